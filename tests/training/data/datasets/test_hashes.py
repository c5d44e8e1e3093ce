"""Hashes of clips: of their bytes alone, and once in a process."""

import hashlib
import os
from fractions import Fraction
from pathlib import Path

import pytest

from model_store.video.container import sha256_of
from model_store.video.frame_files import FrameFiles
from tests.training.data.datasets.layouts import write_frames
from training.data.datasets import hashes
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.hashes import clip_hashes, source_hash
from training.errors import DataError


def clip(path: Path, frames: FrameFiles | None = None) -> JudgedClip:
    return JudgedClip(path=path, split="train", score=1.0, columns={}, frames=frames)


def test_the_bytes_of_a_file(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.mp4" for number in range(30)]
    for number, path in enumerate(paths):
        path.write_bytes(b"%d" % (number % 7))
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert clip_hashes([clip(path) for path in paths]) == expected


def test_frames_are_one_clip(tmp_path: Path) -> None:
    write_frames(tmp_path / "a", 50.0, ["1.jpg", "2.jpg"])
    paths = tuple(tmp_path / "a" / name for name in ("1.jpg", "2.jpg"))
    found = {
        source_hash(FrameFiles(paths[:count], fps)) for count in (1, 2) for fps in (Fraction(25),)
    }
    assert len(found) == 2
    frames = FrameFiles(paths, Fraction(25))
    assert clip_hashes([clip(tmp_path / "a", frames)])[0] in found
    assert source_hash(frames) == hashlib.sha256(frames.video()).hexdigest()


def test_a_file_is_read_once_and_again_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def logged(file: Path) -> str:
        read.append(file)
        return sha256_of(file)

    monkeypatch.setattr(hashes, "sha256_of", logged)
    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    first = [source_hash(path) for _ in range(3)]
    assert len(read) == 1
    path.write_bytes(b"two")  # as long as before
    os.utime(path, ns=(0, 0))
    assert source_hash(path) not in first
    assert len(read) == 2


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    for name in ("none.mp4", "empty.mp4"):
        with pytest.raises(DataError, match=rf"{name} cannot be read"):
            clip_hashes([clip(tmp_path / name)])
