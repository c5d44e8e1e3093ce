"""Where the service listens, and how it ends where it cannot."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from model_store.store import Store
from service.http.address import TAKEN, UNUSABLE, Address, AddressError, listen, resolve
from tests.servers import COMMAND, LiveServer, live_server, start_service, wait_until_ready


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"]
)
def test_loopback_by_all_its_names(host: str) -> None:
    assert all(address.is_loopback for address in resolve(host, 8000))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]", "192.0.2.1", "[2001:db8::1]"])
def test_addresses_that_others_can_reach(host: str) -> None:
    assert not any(address.is_loopback for address in resolve(host, 8000))


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70, "x86_64-conda-linux-gnu."])
def test_a_name_that_means_no_address(host: str) -> None:
    with pytest.raises(AddressError, match="is unknown, need an IP address") as caught:
        resolve(host, 8000)
    assert caught.value.code == UNUSABLE


def test_an_address_of_another_machine() -> None:
    with pytest.raises(AddressError, match="no address of this machine") as caught:
        listen(resolve("192.0.2.1", 0))  # for documentation, so nobody's
    assert caught.value.code == UNUSABLE


def test_a_taken_port(taken: int) -> None:
    with pytest.raises(AddressError, match=f"port {taken} of 127.0.0.1 is taken") as caught:
        listen(resolve("127.0.0.1", taken))
    assert caught.value.code == TAKEN


def test_of_several_addresses_those_that_this_machine_lacks_are_left_out() -> None:
    [lacked], [own] = resolve("192.0.2.1", 0), resolve("127.0.0.1", 0)
    for addresses in ([lacked, own], [own, lacked]):
        [one] = listen(addresses)
        with one:
            assert Address.of(one).url.startswith("http://127.0.0.1:")


def run(folder: Path, **environment: str) -> tuple[int, list[str]]:
    """The exit code of a service that cannot start, and the lines that it has written."""
    log = folder / "service.log"
    process = start_service(None, os.environ | environment, folder, log)
    try:
        return process.wait(60), log.read_text().splitlines()
    finally:
        process.kill()


def test_the_process_ends_with_one_line_and_its_own_code(taken: int, tmp_path: Path) -> None:
    code, lines = run(tmp_path, SCORING_PORT=str(taken))
    assert code == TAKEN == 3
    assert lines == [f"SCORING_PORT: port {taken} of 127.0.0.1 is taken by another process"]
    code, lines = run(tmp_path, SCORING_HOST="no-such-host.invalid")
    assert code == UNUSABLE == 4
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("SCORING_PORT", "70000", "SCORING_PORT: "),
        ("PORT", "tcp://10.0.0.1:80", "PORT: "),
        ("SCORING_HOST", "", "SCORING_HOST: "),
        ("SCORING_API_KEYS", '"abc"', "SCORING_API_KEYS: there are quotes around it"),
    ],
)
def test_a_setting_that_cannot_be_is_one_line(
    name: str, value: str, found: str, tmp_path: Path
) -> None:
    code, [line] = run(tmp_path, **{name: value})
    assert code == 2
    assert line.startswith(found)
    assert "abc" not in line


def test_host_of_a_conda_environment_plays_no_part(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST", "x86_64-conda-linux-gnu")
    monkeypatch.setenv("PORT", "1")  # SCORING_PORT wins
    with live_server(store.root, tmp_path, host="localhost", checkpoints="diving") as server:
        assert httpx.get(f"{server.url}/livez").status_code == 200


def test_port_as_platforms_set_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k != "SCORING_PORT"}
    environment |= {"PORT": str(port), "HOST": "0.0.0.0", "SCORING_STORE": str(store.root)}
    environment |= {"SCORING_ENGINE": "torch", "SCORING_CHECKPOINTS": "diving"}
    log = tmp_path / "service.log"
    process = start_service(COMMAND, environment, tmp_path, log)
    try:
        wait_until_ready(LiveServer(process, port, log))
        assert "HOST is not read, SCORING_HOST is: listening on 127.0.0.1" in log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_help_helps_and_an_unknown_argument_is_an_error() -> None:
    for words, code in ((["--help"], 0), (["--workers", "4"], 2), (["extra"], 2)):
        ended = subprocess.run(
            [sys.executable, "-m", "service", *words], capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == code
        printed = ended.stdout if code == 0 else ended.stderr
        assert "usage: python -m service" in printed
        assert ("exit codes:" in printed) == (code == 0)
