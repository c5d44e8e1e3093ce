"""`python -m service` as it is run: a real uvicorn, a real network, real signals."""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from model_store.engines import gpu
from model_store.store import Store
from tests.checkpoints import flip_a_bit
from tests.clips import audio_only, clip_bytes, clip_of, still_png
from tests.servers import (
    COMMAND,
    LiveServer,
    children_of,
    is_running,
    live_server,
    processor_s,
    until,
)

BAD_CLIPS = {
    "empty": (b"", 400),
    "random": (os.urandom(20_000), 415),
    "text": (b"hello", 415),
    "png": (still_png(), 415),
    "half": (clip_bytes()[: len(clip_bytes()) // 2], 415),
    "audio": (audio_only(), 422),
    "short": (clip_bytes(frames=5), 422),
    "m3u8": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", 415),
    "ffconcat": (b"ffconcat version 1.0\nfile clip.mp4\n", 415),
    "sdp": (
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        b"m=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
        415,
    ),
}


def test_a_clip_is_scored(server: LiveServer) -> None:
    response = server.score(clip_bytes(), difficulty="3.0")
    assert response.status_code == 200
    answer = response.json()
    total = answer["baseline"] + sum(f["contribution"] for f in answer["fragments"])
    assert total == pytest.approx(answer["score"], abs=1e-3)
    assert answer["checkpoint"]["trained_on"] == "simulated"


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_no_browser_guesses_what_an_answer_is(server: LiveServer, accept: str) -> None:
    files, headers = {"clip": clip_bytes()}, {"accept": accept}
    scored = httpx.post(f"{server.url}/score", files=files, headers=headers, timeout=60)
    assert scored.headers["content-type"].startswith(accept)
    paths = (
        "/livez",
        "/metrics",
        "/",
        "/docs",
        "/openapi.json",
        "/nowhere",
        "/web/",
        "/checkpoints/x",
    )
    for answer in [scored, *(httpx.get(f"{server.url}{path}") for path in paths)]:
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"], answer.url


@pytest.mark.parametrize("name", BAD_CLIPS)
def test_a_bad_clip_gets_its_4xx_and_the_next_good_one_is_scored(
    server: LiveServer, name: str
) -> None:
    content, status = BAD_CLIPS[name]
    began = time.monotonic()
    response = server.score(content)
    assert time.monotonic() - began < 5
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert server.score(clip_bytes()).status_code == 200


def test_the_loop_is_asyncio_wherever_it_runs(local_server: LiveServer) -> None:
    """Ray brings uvloop, which uvicorn would take if it may choose; the image has none."""
    assert importlib.util.find_spec("uvloop"), "then this proves nothing"
    assert "uvloop" not in Path(f"/proc/{local_server.process.pid}/maps").read_text()
    for lock in (Path(__file__).parents[2] / "docker").glob("requirements.*.lock"):
        assert "uvloop" not in lock.read_text()


def test_every_start_of_uvicorn_names_the_loop() -> None:
    root = Path(__file__).parents[2]
    sources = [path for room in ("service", "tests") for path in (root / room).rglob("*.py")]
    starts = re.compile(r"uvicorn\.(?:run|Config)\(\n?(.*)", re.DOTALL)
    found = [starts.search(path.read_text()) for path in sources if path != Path(__file__)]
    assert len([each for each in found if each]) >= 2
    assert all('loop="asyncio"' in each[1] for each in found if each)


def test_many_at_once_each_get_their_own_answer(server: LiveServer) -> None:
    clips = [clip_bytes(seed=seed) for seed in range(3)]
    alone = [server.score(clip).json()["score"] for clip in clips]
    assert len({round(score, 3) for score in alone}) == 3
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda i: server.score(clips[i % 3]).json(), range(24)))
    for i, answer in enumerate(answers):
        assert answer["score"] == pytest.approx(alone[i % 3], abs=1e-3)


def test_an_upload_that_is_too_large_gets_its_answer(server: LiveServer) -> None:
    """By a client that sends all of it before it reads: 413 and not a broken pipe."""
    content = b"\0" * 120_000_000
    response = httpx.post(f"{server.url}/score", files={"clip": content}, timeout=30)
    assert response.status_code == 413
    assert response.json()["type"] == "/problems/body-too-large"


def test_a_chunked_upload_is_counted(server: LiveServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(
            b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        )
        part = b'--b\r\nContent-Disposition: form-data; name="clip"; filename="c"\r\n\r\n'
        client.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        chunk = b"100000\r\n" + b"\0" * 0x100000 + b"\r\n"
        answer = b""
        with contextlib.suppress(ConnectionError):
            for _ in range(110):
                client.sendall(chunk)
            answer = client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413")


def test_the_log_has_the_request_id_and_nothing_that_the_client_sent(
    local_server: LiveServer,
) -> None:
    httpx.post(
        f"{local_server.url}/score",
        files={"clip": ("name-of-an-athlete.mp4", b"no video")},
        headers={"x-request-id": "log-test-1"},
    )
    httpx.post(f"{local_server.url}/score", params={"secret": "in-the-query"})
    httpx.get(f"{local_server.url}/somewhere/in-the-path")
    time.sleep(0.1)
    lines = local_server.log_lines()
    [line] = [line for line in lines if line.get("request_id") == "log-test-1"]
    assert all({"time", "level", "logger", "message"} <= each.keys() for each in lines)
    assert line["status"] == 415
    assert line["problem"] == "not-a-video"
    assert line["route"] == "/score"
    for secret in ("athlete", "in-the-query", "in-the-path"):
        assert secret not in local_server.log.read_text()


def test_a_client_that_hangs_up_while_it_sends_leaves_nothing(local_server: LiveServer) -> None:
    with socket.create_connection(("127.0.0.1", local_server.port), timeout=10) as client:
        client.sendall(
            b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
            b'--b\r\nContent-Disposition: form-data; name="clip"; filename="c"\r\n\r\n'
            + b"\0"
            * 3_000_000
        )
        time.sleep(0.2)
        assert open_uploads(local_server)
    until(lambda: not open_uploads(local_server), timeout_s=5)
    metrics = httpx.get(f"{local_server.url}/metrics").text
    assert "score_inflight_bytes 0.0" in metrics
    assert local_server.score(clip_bytes()).status_code == 200


def open_uploads(server: LiveServer) -> list[str]:
    """Deleted temporary files that the server still holds; the pixels' memory is not one."""
    files = server.open_files()
    return [name for name in files if name.endswith("(deleted)") and "memfd" not in name]


def test_sigterm_finishes_what_is_in_flight_and_exits_0(store: Store, tmp_path: Path) -> None:
    clip = clip_bytes(height=720, width=1280)  # long to decode
    with live_server(store.root, tmp_path) as server, ThreadPoolExecutor(1) as threads:
        with server.client() as client:
            answer = threads.submit(server.score, clip)
            while "score_inflight_requests 1.0" not in client.get("/metrics").text:
                assert not answer.done()
        assert server.terminate() == 0
        assert answer.result().status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/livez")
    assert not children_of(server.process.pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_of_all_its_processes_finishes_what_is_in_flight(
    store: Store, tmp_path: Path, number: signal.Signals
) -> None:
    """As a terminal does, which signals the group, and systemd, which signals each process."""
    noise = np.random.default_rng(0).integers(0, 256, (100, 480, 640, 3), dtype=np.uint8)
    clip = clip_of(noise, options={"preset": "ultrafast", "qp": "4"})  # a second to decode
    with live_server(store.root, tmp_path) as server, ThreadPoolExecutor(1) as threads:
        children = children_of(server.process.pid)
        before = sum(map(processor_s, children))
        answer = threads.submit(server.score, clip)
        until(lambda: sum(map(processor_s, children)) > before + 0.1)  # one is in the middle of it
        for child in children:
            os.kill(child, signal.SIGSTOP)
        assert not answer.done()
        for sent in (signal.SIGHUP, number):
            for child in children:
                os.kill(child, sent)
            os.killpg(server.process.pid, sent)
        time.sleep(0.2)
        for child in children:
            os.kill(child, signal.SIGCONT)
        assert server.process.wait(timeout=60) == 0
        assert answer.result().status_code == 200
    assert not any(map(is_running, children))


def test_requests_that_are_cut_by_the_stop_get_a_problem(store: Store, tmp_path: Path) -> None:
    clip = clip_bytes(height=720, width=1280)
    with (
        live_server(store.root, tmp_path, drain_s=0.1, decode_workers=1) as server,
        ThreadPoolExecutor(16) as threads,
    ):
        answers = [threads.submit(server.score, clip) for _ in range(16)]
        while server.metric("score_inflight_requests") + sum(a.done() for a in answers) < 16:
            time.sleep(0.01)
        assert server.terminate() == 0
        cut = [answer.result() for answer in answers if answer.result().status_code != 200]
        assert cut
        assert {answer.json()["type"] for answer in cut} == {"/problems/draining"}


def test_while_it_drains_it_is_not_ready_but_alive(store: Store, tmp_path: Path) -> None:
    with live_server(store.root, tmp_path, drain_delay_s=1.0) as server:
        with server.client() as client:
            assert client.get("/readyz").status_code == 200
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            assert client.get("/readyz").status_code == 503
            alive = client.get("/livez")
            assert alive.status_code == 200
            assert alive.headers["connection"] == "close"  # or a proxy would keep it until the end
            assert client.post("/score", files={"clip": clip_bytes()}).status_code == 503
        assert server.process.wait(timeout=20) == 0


def test_decoders_die_with_a_service_that_is_killed(store: Store, tmp_path: Path) -> None:
    with live_server(store.root, tmp_path) as server:
        children = children_of(server.process.pid)
        assert len(children) == 2
        server.process.kill()
        server.process.wait()
        until(lambda: not any(map(is_running, children)), timeout_s=5)


def test_pytorch_is_loaded_to_convert_a_network_and_never_again(
    store: Store, tmp_path: Path
) -> None:
    engine = "openvino" if gpu.is_available() else "auto"  # without a GPU auto need not look
    for converted in (False, True):
        with live_server(
            store.root, tmp_path, command=COMMAND, engine=engine, cache=tmp_path / "cache"
        ) as server:
            assert server.score(clip_bytes(), difficulty="3.0").status_code == 200
            memory = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert "openvino" in memory
        assert ("libtorch" in memory) is not converted


def test_a_damaged_default_checkpoint_ends_the_start(store: Store, tmp_path: Path) -> None:
    store = Store(shutil.copytree(store.root, tmp_path / "store"))
    flip_a_bit(store.path("diving") / "weights.safetensors")
    with live_server(store.root, tmp_path, ready=False) as server:
        assert server.process.wait(timeout=60) == 1
        said = "the service cannot start: weights.safetensors differs from MANIFEST.sha256"
        assert said in [line["message"] for line in server.log_lines()]


def test_an_empty_store_and_a_bad_setting_end_the_process(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with live_server(tmp_path / "empty", tmp_path, ready=False) as server:
        assert server.process.wait(timeout=60) == 1
    with live_server(tmp_path, tmp_path, ready=False, batch_clips="none") as server:
        assert server.process.wait(timeout=60) == 2
        assert "SCORING_BATCH_CLIPS" in server.log.read_text()


def test_a_default_that_is_not_loaded_ends_the_process(store: Store, tmp_path: Path) -> None:
    with live_server(
        store.root, tmp_path, ready=False, checkpoints="vault", default_checkpoint="diving"
    ) as server:
        assert server.process.wait(timeout=60) == 1


def test_what_an_operator_should_know_is_said_at_the_start(store: Store, tmp_path: Path) -> None:
    with live_server(store.root, tmp_path, queue_fragment=5) as server:
        said = " ".join(line["message"] for line in server.log_lines())
    assert "SCORING_QUEUE_FRAGMENT" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_strangers_need_a_key_or_the_operators_word(
    store: Store, tmp_path: Path, host: str
) -> None:
    with live_server(store.root, tmp_path, ready=False, host=host) as server:
        assert server.process.wait(timeout=60) == 2
        assert "SCORING_API_KEYS" in server.log.read_text()
        assert "SCORING_ALLOW_ANONYMOUS" in server.log.read_text()


@pytest.mark.parametrize(
    ("settings", "status"), [({"api_keys": "a-key"}, 401), ({"allow_anonymous": "true"}, 200)]
)
def test_with_either_it_serves_everybody(
    store: Store, tmp_path: Path, settings: dict[str, Any], status: int
) -> None:
    with live_server(store.root, tmp_path, host="0.0.0.0", **settings) as server:
        assert httpx.get(f"{server.url}/checkpoints").status_code == status
        key = {"authorization": "Bearer a-key"}
        assert httpx.get(f"{server.url}/checkpoints", headers=key).status_code == 200
