"""
Which clip a clip is: the SHA-256 of its bytes, whatever its name and its folder.

The rule: only equal bytes make two clips the same clip, whichever part of a file is meant. A clip
in single frames is the bytes of `FrameFiles.video`. Each is read once in a process, for as long as
its files stay as they are.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

from model_store.errors import ClipError
from model_store.video.container import open_bytes, sha256_of
from model_store.video.frame_files import FrameFiles
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.media import ClipPart, ClipSource
from training.errors import DataError


def clip_hashes(clips: Sequence[JudgedClip]) -> list[str]:
    """64 hexadecimal digits a clip.   Raises DataError, naming the clip."""
    return [source_hash(clip.source) for clip in clips]


def source_hash(source: ClipSource) -> str:
    """64 hexadecimal digits.   Raises DataError, naming the clip."""
    if isinstance(source, ClipPart):
        source = source.path
    paths = source.paths if isinstance(source, FrameFiles) else (source,)
    try:
        stamps = tuple((s.st_mtime_ns, s.st_size, s.st_ino) for s in (p.stat() for p in paths))
        return _hash(source, stamps)
    except (ClipError, OSError) as error:
        raise DataError(f"{source} cannot be read: {error}") from error


@functools.cache
def _hash(source: Path | FrameFiles, stamps: tuple[tuple[int, ...], ...]) -> str:
    """Of the source as it was when its files had these `stamps`."""
    with open_bytes(source) as file:
        return sha256_of(file)
