"""What is converted is kept on disk, used again, and never trusted when damaged."""

import dataclasses
import logging
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from model_store.engines import EngineName, converted, make_engine
from model_store.network import FragmentNetwork
from model_store.stored_network import StoredNetwork
from tests.checkpoints import TINY, tiny_network, tiny_spec

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def small() -> FragmentNetwork:
    """Quick to convert."""
    spec = tiny_spec("vault")
    return tiny_network(spec, dataclasses.replace(TINY, fragments_used=(0,)))


def noise(network: FragmentNetwork) -> np.ndarray:
    spec = network.clip_spec
    shape = (2, spec.frames, *spec.crop, 3)
    return np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)


@pytest.fixture(scope="module")
def converted_small(small: FragmentNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    make_engine(small, name="openvino", cache=folder)
    return folder


@pytest.fixture
def filled(converted_small: Path, tmp_path: Path) -> Path:
    """A cache that holds `small` alone."""
    return shutil.copytree(converted_small, tmp_path / "cache")


def files(cache: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}


def forbid_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    from model_store.engines import openvino_cpu

    def convert(stored: StoredNetwork) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(openvino_cpu, "convert", convert)


def test_what_is_converted_is_kept_and_used(
    small: FragmentNetwork, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = noise(small)
    expected = make_engine(small, name="torch").score(clips).contributions[0].score
    kept = files(filled)
    assert len(kept) == 4  # the model's two files, the baseline, and the manifest
    forbid_conversion(monkeypatch)
    monkeypatch.setenv("SCORING_CACHE", str(filled))
    for cache in (filled, None):
        engine = make_engine(small, name="openvino", cache=cache)
        [answer] = engine.score(clips).contributions
        np.testing.assert_allclose(answer.score, expected, atol=0.01)
    assert files(filled) == kept


def test_other_weights_are_another_entry(small: FragmentNetwork, filled: Path) -> None:
    other = deepcopy(small)
    other.head.baseline += 1.0
    engine = make_engine(other, name="openvino", cache=filled)
    assert len(list(filled.iterdir())) == 2
    blank = np.zeros((engine.spec.frames, *engine.spec.crop, 3), np.uint8)
    _, values = engine.runtime.values([blank], engine.looks)
    np.testing.assert_allclose(values[0, -1], engine.baseline, atol=0.01)


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "manifest"])
def test_a_damaged_entry_is_replaced(small: FragmentNetwork, filled: Path, damage: str) -> None:
    [entry] = filled.iterdir()
    weights = entry / "network.bin"
    content = weights.read_bytes()
    if damage == "truncate":
        weights.write_bytes(content[:1000])
    elif damage == "flip":
        weights.write_bytes(content[:1000] + bytes([content[1000] ^ 64]) + content[1001:])
    elif damage == "remove":
        (entry / "network.xml").unlink()
    else:
        (entry / converted.MANIFEST).write_text("")
    clips = noise(small)
    ours, expected = (
        make_engine(small, name=name, cache=filled).score(clips).contributions[0].score
        for name in ("openvino", "torch")
    )
    np.testing.assert_allclose(ours, expected, atol=0.01)
    [replaced] = filled.iterdir()
    assert replaced != entry
    assert converted.is_whole(replaced)


def test_a_cache_that_cannot_be_written_is_done_without(
    small: FragmentNetwork, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "file"
    place.write_text("not a folder")
    engine = make_engine(small, name="openvino", cache=place / "cache")
    assert engine.name == "openvino"
    assert "cannot be kept" in caplog.text


@contextmanager
def no_file_larger_than(most: int) -> Iterator[None]:
    """Writing fails beyond so many bytes, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("missing", ["all", "one"])
@pytest.mark.parametrize("name", ["auto", "openvino"])
def test_what_cannot_be_written_is_used_from_memory(
    small: FragmentNetwork,
    converted_small: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: EngineName,
    missing: str,
) -> None:
    largest = max(path.stat().st_size for path in converted_small.rglob("*.*"))
    with no_file_larger_than(0 if missing == "all" else largest - 1):
        engine = make_engine(small, name=name, cache=tmp_path)
    assert engine.name == "openvino"
    [warning] = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert "cannot be kept" in warning.message
    assert not list(tmp_path.iterdir())
    kept = make_engine(small, name="openvino", cache=converted_small)
    clips = noise(small)
    for ours, other in zip(
        engine.score(clips).contributions, kept.score(clips).contributions, strict=True
    ):
        np.testing.assert_array_equal(ours.score, other.score)


ON_REAL_DISKS = """
import dataclasses, sys
from pathlib import Path
from model_store.engines import make_engine
from tests.checkpoints import TINY, tiny_network, tiny_spec
network = tiny_network(tiny_spec("vault"), dataclasses.replace(TINY, fragments_used=(0,)))
for cache in map(Path, sys.argv[1:]):
    print(make_engine(network, name="openvino", cache=cache).name, len(list(cache.iterdir())))
"""


def test_on_disks_that_are_full_or_read_only(converted_small: Path, tmp_path: Path) -> None:
    """Without room for anything, for half of it, for the manifest; and with room for all."""
    pages = [-(-path.stat().st_size // 4096) for path in converted_small.rglob("*.*")]
    kilobytes = 4 * sum(pages[:-1])  # of the models
    assert len(pages) == 4
    options = ["size=4k", f"size={kilobytes // 2}k", f"size={kilobytes}k", "ro", "size=9m"]
    caches = [str(tmp_path / str(number)) for number in range(len(options))]
    mounts = [
        f"mkdir {cache} && mount -t tmpfs -o {option} none {cache}"
        for cache, option in zip(caches, options, strict=True)
    ]
    in_namespace = ["unshare", "-rm", "sh", "-c", " && ".join(mounts) + ' && exec "$@"', "sh"]
    if subprocess.run([*in_namespace, "true"], check=False).returncode:
        pytest.skip("needs a mount namespace")
    for cache in caches:
        Path(cache).rmdir()
    done = subprocess.run(
        [*in_namespace, sys.executable, "-c", ON_REAL_DISKS, *caches],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.splitlines() == [*["openvino 0"] * 4, "openvino 1"], done.stderr
    assert done.stderr.count("cannot be kept") == 4


def test_an_entry_that_vanishes_while_it_is_read_is_converted_again(
    small: FragmentNetwork, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found_and_removed(folder: Path) -> bool:
        shutil.rmtree(folder)
        return True

    monkeypatch.setattr(converted, "is_whole", found_and_removed)
    assert make_engine(small, name="openvino", cache=filled).name == "openvino"
    assert len(list(filled.iterdir())) == 1


def test_an_entry_that_cannot_be_read_here_is_left_to_others(
    small: FragmentNetwork, filled: Path
) -> None:
    [entry] = filled.iterdir()
    (entry / "network.xml").unlink()
    (entry / "network.xml").symlink_to("network.xml")  # not even root can read it
    assert make_engine(small, name="openvino", cache=filled).name == "openvino"
    assert len(list(filled.iterdir())) == 2
    assert entry.is_dir()


@pytest.mark.parametrize("damaged", [False, True])
def test_two_that_convert_at_once_take_nothing_from_each_other(
    tmp_path: Path, damaged: bool
) -> None:
    """The second one has looked before the first one has kept its own, and keeps its own then."""
    key, both = "0" * 64, threading.Barrier(2)
    if damaged:
        (tmp_path / f"{key}-old").mkdir()
    found: dict[str, list[str]] = {}

    def write(folder: Path) -> None:
        for name in ("coalition_head", "extraction"):
            (folder / f"{name}.xml").write_text(threading.current_thread().name)
        both.wait(10)

    def start(name: str) -> None:
        assert converted.find(tmp_path, key) is None
        both.wait(10)
        converted.keep(tmp_path, key, write)
        kept = converted.find(tmp_path, key)
        both.wait(10)  # the other one has done all that it does
        assert kept is not None
        found[name] = sorted(path.read_text() for path in kept.glob("*.xml"))

    threads = [threading.Thread(target=start, args=(name,), name=name) for name in "AB"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for each in found.values():  # of one of the two, and whole
        assert each in (["A", "A"], ["B", "B"])
    assert found.keys() == {"A", "B"}


FIND_OR_KEEP = """
import sys
from pathlib import Path
from model_store.engines import converted
cache, names = Path(sys.argv[1]), ("coalition_head", "extraction")
def write(folder):
    for name in names:
        (folder / f"{name}.xml").write_text("x")
def found(key):
    folder = converted.find(cache, key)
    return folder is not None and [(folder / f"{name}.xml").read_text() for name in names]
for key in (f"{number:064}" for number in range(300)):
    if not found(key):
        converted.keep(cache, key, write)
        assert found(key), key
print("done")
"""


def test_processes_that_start_together_with_one_damaged_cache(tmp_path: Path) -> None:
    """They meet at some of 300 entries; whatever one of them has found, it can read."""
    for number in range(300):
        (tmp_path / f"{number:064}-damaged").mkdir()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", FIND_OR_KEEP, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in range(2)
    ]
    assert [process.communicate(timeout=60)[0] for process in processes] == ["done\n"] * 2
    assert not list(tmp_path.glob("*-damaged"))


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SCORING_CACHE", str(tmp_path))
    assert converted.default_cache() == tmp_path
    monkeypatch.delenv("SCORING_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert converted.default_cache() == tmp_path / "xdg" / "fragment-scorer"
