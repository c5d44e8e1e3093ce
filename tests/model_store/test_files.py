"""A file or a folder has its name only once it is whole."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_store.files import new_folder, remove_partial_files, replace_file, replacing


@pytest.fixture
def _umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_umask")
def test_the_new_content_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for content in (b"old", b"new"):
        replace_file(file, content)
        assert file.read_bytes() == content
    with new_folder(tmp_path / "a" / "folder") as partial:
        (partial / "file").write_bytes(b"new")
        assert not (tmp_path / "a" / "folder").exists()
    assert (tmp_path / "a" / "folder" / "file").read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o640  # as the umask says
    assert {path.name for path in tmp_path.rglob("*")} == {"file", "a", "folder"}


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    for write in (interrupted_file, interrupted_folder):
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [tmp_path / "file"]


def interrupted_file(place: Path) -> None:
    with replacing(place / "file") as partial:
        partial.write_bytes(b"new")
        raise KeyboardInterrupt


def interrupted_folder(place: Path) -> None:
    with new_folder(place / "folder") as partial:
        (partial / "file").write_bytes(b"new")
        raise KeyboardInterrupt


def test_of_two_writers_of_a_folder_the_first_one_wins(tmp_path: Path) -> None:
    def write_late() -> None:
        with new_folder(tmp_path / "folder") as late:
            (late / "file").write_bytes(b"late")
            with new_folder(tmp_path / "folder") as early:
                (early / "file").write_bytes(b"early")

    with pytest.raises(OSError, match="not empty"):
        write_late()
    assert [path.read_bytes() for path in tmp_path.rglob("file")] == [b"early"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    with replacing(tmp_path / "file") as partial:
        partial.write_bytes(b"")
        left = partial.with_name("." + partial.name[1:].replace("-", "-0"))
        left.write_bytes(b"half")
    remove_partial_files(tmp_path)
    assert [*tmp_path.iterdir()] == [tmp_path / "file"]
