"""
The archive of scored clips: folders that the service writes and that training reads.

    ARCHIVE/<SHA-256 of the file>/clip.mp4      the file as it was sent, named by its container
                                  answer.json   the newest answer, and which part was scored
                                  judged.json   what judges gave; missing until they gave anything

The rule: a folder holds one routine, and what judges gave keeps the action and the part of the file
that it was given for. Another answer for the same file replaces `answer.json` alone. Names that
begin with a dot are no part of an archive.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from model_store.errors import ArchiveDamaged

ANSWER, JUDGED, CLIP = "answer.json", "judged.json", "clip"
HASH = r"[0-9a-f]{64}"

_QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_File = TypeVar("_File", bound=BaseModel)


class KeptAnswer(BaseModel):
    """`answer.json`: the whole assessment of the clip; here is what others read of it."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    action: str
    score: float
    """Predicted, points."""
    difficulty: float | None
    """As it was declared with the request."""
    start_s: float | None
    """Where the part that was scored begins and ends, seconds of the file; None: the file's end."""
    end_s: float | None
    scored_at: AwareDatetime


class Judged(BaseModel):
    """`judged.json`: what judges gave for a clip."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    action: str
    """The one that was scored, as in `KeptAnswer`, when this was given."""
    score: float | None = None
    """As announced, points; None while only the difficulty or the group is known."""
    difficulty: float | None = None
    marks: tuple[float, ...] = ()
    """One a judge, in the order of the score sheet; empty where only the score is known."""
    deductions: float = 0.0
    """Neutral ones, points."""
    group: str | None = None
    """Clips of one group stay on one side of every split: an athlete, a meet."""
    start_s: float | None = None
    """The part that was scored, as in `KeptAnswer`, when this was given."""
    end_s: float | None = None
    judged_at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptClip:
    sha256: str
    path: Path
    """Of the video file."""
    answer: KeptAnswer
    judged: Judged | None


def kept_folders(archive: Path) -> Iterator[Path]:
    """One a clip, in no order.   Raises OSError."""
    return (path for path in archive.iterdir() if re.fullmatch(HASH, path.name))


def read_kept_clip(folder: Path) -> KeptClip:
    """Raises FileNotFoundError for a clip that is not kept (any more), ArchiveDamaged."""
    place = folder.stat().st_ino
    try:
        return KeptClip(
            sha256=folder.name,
            path=_clip(folder),
            answer=_read(folder / ANSWER, KeptAnswer),
            judged=_read(folder / JUDGED, Judged) if (folder / JUDGED).exists() else None,
        )
    except (ArchiveDamaged, FileNotFoundError):
        if folder.stat().st_ino == place:
            raise
        return read_kept_clip(folder)  # it was removed and added again meanwhile


def ending_of(head: bytes) -> str:
    """The ending for a video file that was decoded, by its first 64 bytes."""
    if head[4:8] == b"ftyp":
        return "mov" if head[8:10] == b"qt" else "mp4"
    if head[4:8] in _QUICKTIME:
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"webm" in head else "mkv"
    return "avi" if head.startswith(b"RIFF") else "ts"


def _clip(folder: Path) -> Path:
    found = [path for path in folder.glob(f"{CLIP}.*") if path.is_file()]
    if len(found) != 1 or not found[0].stat().st_size:
        raise ArchiveDamaged(f"{folder} has {len(found)} video files, need one that is not empty")
    return found[0]


def _read(path: Path, kind: type[_File]) -> _File:
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise ArchiveDamaged(f"{path} is missing") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f" {name}" for name in first["loc"])
        raise ArchiveDamaged(f"{path}:{where} {first['msg']}") from error
