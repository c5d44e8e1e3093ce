"""
Whether a file is complete: uploads break off, and recorders stop before they write an index.

The rule: a file is cut off where a part of it that holds frames, or their index, ends beyond the
last byte, as the header of that part states. Only the sizes of the outermost parts are read, and
only up to the first bytes that are no such part.

[ISO 14496-12] 4.2: boxes.   [RFC 8794] 4, 5: EBML elements.   [RFC 9559] Matroska.
"""

import os
from dataclasses import dataclass
from typing import BinaryIO

_MOST_PARTS = 20_000  # of a file with more the rest is not read
_BOXES = {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"wide", b"free", b"skip", b"pnot", b"sidx"}
_SEGMENT, _CLUSTER, _EBML = 0x18538067, 0x1F43B675, 0x1A45DFA3


@dataclass(frozen=True, slots=True)
class FileLength:
    """The length of a file as the file itself states it."""

    kind: str
    """The container's name in an error text."""
    size: int
    """Bytes that are there."""
    announced: int
    """Bytes that the file should have at least; `size` if it does not state any."""
    begun: bool
    """Whether the parts are there without which no frame can be read."""

    @classmethod
    def of(cls, file: BinaryIO) -> "FileLength | None":
        """None for a file of another kind. The position in the file is undefined afterwards."""
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(12)
        if head[4:8] in _BOXES:
            return _mp4(file, size)
        if head[:4] == _EBML.to_bytes(4):
            return _matroska(file, size)
        if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b""):
            return _avi(file, size)
        return None

    @property
    def cut_off(self) -> bool:
        return self.announced > self.size

    @property
    def missing(self) -> str | None:
        """What is missing, as a part of a sentence; None if nothing is known to be missing."""
        if self.cut_off:
            return f"its end is missing: {self.size} bytes of at least {self.announced} are there"
        if not self.begun:
            index = "index (moov)" if self.kind.startswith("MP4") else "pictures"
            return f"its end is missing: it has {self.size} bytes and no {index}"
        return None


def _mp4(file: BinaryIO, size: int) -> FileLength:
    announced, begun, at = size, False, 0
    for _ in range(_MOST_PARTS):
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4])
        if length == 1:
            length = int.from_bytes(header[8:])
        elif length == 0:
            length = size - at
        if len(header) < 8 or length < 8:
            break
        if header[4:8] in (b"moov", b"moof", b"mdat"):
            announced = max(announced, at + length)
        begun |= header[4:8] == b"moov" and at + length <= size
        at += length
    return FileLength("MP4 or QuickTime", size, announced, begun)


def _avi(file: BinaryIO, size: int) -> FileLength:
    announced, begun, at = size, False, 0
    for _ in range(_MOST_PARTS):
        file.seek(at)
        header = file.read(12)
        if len(header) < 8:
            break
        length = int.from_bytes(header[4:8], "little")
        if header[:4] == b"RIFF":
            if 0 < length < 0xFFFFFFFF:  # else it was never written
                announced = max(announced, at + 8 + length)
            at += 12  # what follows is inside
            continue
        begun |= header[:4] == b"LIST" and header[8:] == b"movi"
        at += 8 + length + length % 2
    return FileLength("AVI", size, announced, begun)


def _matroska(file: BinaryIO, size: int) -> FileLength:
    announced, begun, at = size, False, 0
    live = True
    for _ in range(_MOST_PARTS):
        file.seek(at)
        element = _element(file.read(12))
        if element is None:
            break
        kind, header, length = element
        begun |= kind == _CLUSTER
        if kind == _SEGMENT and length is not None:
            announced, live = max(announced, at + header + length), False
        if begun and not live:
            break
        if kind == _SEGMENT or length is None:  # what follows is inside
            at += header
            continue
        at += header + length
        if live:
            announced = max(announced, at)
    return FileLength("Matroska or WebM", size, announced, begun)


def _element(head: bytes) -> tuple[int, int, int | None] | None:
    """Id, bytes of the header and of the content (None if unknown) of an EBML element."""
    if not head or not head[0]:
        return None
    id_width = 9 - head[0].bit_length()
    if len(head) <= id_width or not head[id_width]:
        return None
    width = 9 - head[id_width].bit_length()
    content = head[id_width : id_width + width]
    if len(content) < width:
        return None
    unknown = (1 << 7 * width) - 1
    length = int.from_bytes(content) & unknown
    return (
        int.from_bytes(head[:id_width]),
        id_width + width,
        None if length == unknown else length,
    )
