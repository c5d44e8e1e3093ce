"""Checkpoints by archive, folder and address, whole or not at all."""

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from typer.testing import CliRunner, Result

from model_store.__main__ import app
from model_store.checkpoint import verified_files
from model_store.store import Store
from model_store.transfer import checkpoint_archive
from tests.checkpoints import flip_a_bit, publish_tiny, tiny_store

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line, over another store, which is empty."""
    monkeypatch.setenv("SCORING_STORE", str(tmp_path / "mine"))
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def mine(tmp_path: Path) -> Store:
    return Store(tmp_path / "mine")


@pytest.fixture
def archive(store: Store, tmp_path: Path) -> Path:
    path = tmp_path / "diving.tar.gz"
    checkpoint_archive.write_archive(store.load("diving"), path)
    return path


@pytest.fixture
def elsewhere(store: Store) -> Iterator[str]:
    """The address of a checkpoint's folder, beside files of a hub."""
    system = fsspec.filesystem("memory")
    for name, content in verified_files(store.path("diving")).items():
        system.pipe(f"/hub/diving/{name}", content)
    system.pipe("/hub/diving/.gitattributes", b"*.safetensors filter=lfs\n")
    system.pipe("/hub/diving/training_args.bin", b"\0" * 100)
    yield "memory://hub/diving"
    system.rm("/hub", recursive=True)


def test_an_archive_is_the_checkpoint_again(
    run: Run, store: Store, mine: Store, tmp_path: Path
) -> None:
    path = tmp_path / "diving.tar.gz"
    exported = run("export", "diving", "--out", path, "--store", store.root)
    assert exported.exit_code == 0, exported.output
    added = run("add", path)
    assert added.exit_code == 0, added.output
    assert "diving@1 added; diving means version 1" in added.output
    assert mine.load("diving").sha256 == store.load("diving").sha256
    again = run("add", path)
    assert (again.exit_code, "is there already" in again.output) == (0, True)
    first = path.read_bytes()
    os.utime(path, (0, 0))
    run("export", "diving", "--out", path, "--store", store.root)
    assert path.read_bytes() == first


@pytest.mark.parametrize("kind", ["folder", "memory", "file", "archive at an address"])
def test_a_checkpoint_comes_from(
    kind: str, run: Run, store: Store, mine: Store, archive: Path, elsewhere: str
) -> None:
    source = {
        "folder": str(store.path("diving")),
        "memory": elsewhere,
        "file": f"file://{store.path('diving')}",
        "archive at an address": f"file://{archive}",
    }[kind]
    added = run("add", source)
    assert added.exit_code == 0, added.output
    assert verified_files(mine.path("diving")) == verified_files(store.path("diving"))


def test_what_a_name_means_stays_unless_it_is_asked_for(
    run: Run, mine: Store, tmp_path: Path
) -> None:
    others = tiny_store(tmp_path / "others")
    publish_tiny(others, seed=1)
    publish_tiny(mine)
    run("add", others.path("diving@2"))
    assert mine.current("diving") == 1
    run("add", others.path("diving@2"), "--use")
    assert mine.current("diving") == 2


def test_another_checkpoint_of_the_same_name_is_refused(
    run: Run, mine: Store, archive: Path
) -> None:
    publish_tiny(mine, seed=5)
    before = verified_files(mine.path("diving"))
    added = run("add", archive, "--use")
    assert added.exit_code == 1
    assert "has another diving@1 already" in added.output
    assert verified_files(mine.path("diving")) == before


def packed(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def member(
    name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    return info, content if kind == tarfile.REGTYPE else b""


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([member("d/card.json", kind=tarfile.SYMTYPE)], "d/card.json"),
        ([member("d/card.json", kind=tarfile.LNKTYPE)], "d/card.json"),
        ([member("d/card.json", kind=tarfile.FIFOTYPE)], "d/card.json"),
        ([member("d/card.json", kind=tarfile.CHRTYPE)], "d/card.json"),
        ([member("../../evil.py")], "evil.py"),
        ([member("/etc/cron.d/evil")], "evil"),
        ([member("a/card.json"), member("b/README.md")], "b/README.md"),
        ([member("d/card.json"), member("d/card.json")], "d/card.json"),
        ([member("d/card.json")], "there is no MANIFEST.sha256"),
        ([], "there is no MANIFEST.sha256"),
        ([member("d/MANIFEST.sha256", b"0  card.json\n")], "MANIFEST.sha256 lists"),
        ([member("../MANIFEST.sha256", b"\xff")], "missing or not text"),
    ],
)  # fmt: skip
def test_hostile_archives(
    members: list[tuple[tarfile.TarInfo, bytes]], message: str, run: Run, tmp_path: Path
) -> None:
    added = run("add", packed(tmp_path / "evil.tar.gz", *members))
    assert added.exit_code == 1
    assert message in added.output.replace("\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["evil.tar.gz"]


def test_an_archive_that_unpacks_to_too_much(
    run: Run, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_archive, "MOST_BYTES", 1000)
    added = run("add", archive)
    assert (added.exit_code, "more than 1000 bytes" in added.output) == (1, True)


def test_an_address_that_sends_more_than_it_says(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its file system knows no size, as a web server's that sends none."""
    monkeypatch.setattr("model_store.transfer.sources.MOST_BYTES", 1000)
    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.info", no_size)
    fsspec.filesystem("memory").pipe("/endless.tar.gz", b"x" * 5000)
    added = run("add", "memory://endless.tar.gz")
    assert (added.exit_code, "more than 1000 bytes" in added.output) == (1, True)


def no_size(_: object, path: str, **more: object) -> dict[str, object]:
    return {"name": path, "size": None, "type": "file"}


@pytest.mark.parametrize("kept", [0, 10, 500, -5000])
def test_a_cut_archive(kept: int, run: Run, archive: Path, mine: Store) -> None:
    archive.write_bytes(archive.read_bytes()[:kept])
    added = run("add", archive)
    assert added.exit_code == 1
    assert "Traceback" not in added.output
    assert mine.references() == []


@pytest.mark.parametrize("mode", ["w:xz", "w:bz2", "w"])
def test_an_archive_of_another_kind(mode: str, run: Run, archive: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tar"
    with tarfile.open(archive) as source, tarfile.open(other, mode) as target:  # type: ignore[call-overload]
        for each in source:
            target.addfile(each, source.extractfile(each))
    added = run("add", other)
    assert (added.exit_code, "no archive that can be read" in added.output) == (1, True)


def test_a_changed_file_is_noticed(run: Run, store: Store, mine: Store, tmp_path: Path) -> None:
    publish_tiny(other := Store(tmp_path / "other"))
    flip_a_bit(other.path("diving") / "weights.safetensors")
    added = run("add", other.path("diving"))
    assert (added.exit_code, "weights.safetensors differs" in added.output) == (1, True)
    assert mine.references() == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/nowhere", "neither a folder nor a file"),
        ("memory://nothing/here", "there is nothing at memory://nothing/here"),
        ("gopher://old/net", "gopher"),
        (".", "there is no MANIFEST.sha256"),
    ],
)
def test_a_source_that_is_none(
    source: str, message: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    added = run("add", source)
    assert (added.exit_code, message in added.output.replace("\n", "")) == (1, True)
