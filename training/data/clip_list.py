"""
clips.csv in a run's folder: the clips that the run is of, with hash, scores and side of the split.

The rule: a run is its data and its options. The file is written before the first step; a run is
resumed only with the same clips. The same bytes under another name, in another row or folder are
the same clip.
"""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

Side = Literal["training", "validation", "unused"]


class Content(NamedTuple):
    """All of a clip but its name, as text."""

    sha256: str
    judged: str
    """The score, points, or the class."""
    difficulty: str
    group: str
    labels: str
    """A hash of whatever else is learned from: execution, stages, deductions, pairs, tracks."""
    side: str
    """training, validation, or unused by a run that learns from fewer clips than there are"""


MEANING = {
    "sha256": "the bytes",
    "judged": "the score",
    "labels": "execution, stages, deductions or tracks",
}


@dataclass(frozen=True, slots=True)
class ClipRecord:
    name: str
    content: Content

    @classmethod
    def of(
        cls,
        path: Path,
        sha256: str,
        judged: str,
        *,
        side: Side,
        difficulty: str = "",
        group: str = "",
        labels: str = "",
    ) -> "ClipRecord":
        return cls(str(path), Content(sha256, judged, difficulty, group, labels, side))


def hash_of_labels(*labels: object) -> str:
    return hashlib.sha256(repr(labels).encode()).hexdigest()[:16]


def changes(before: Sequence[ClipRecord], now: Sequence[ClipRecord]) -> list[str]:
    """One line for each clip that differs; empty for the same clips in whatever order."""
    gone, new = _left_over(before, now), _left_over(now, before)
    lines = []
    for name in sorted(gone.keys() | new.keys()):
        if name not in new:
            lines.append(f"{name} is missing")
        elif name not in gone:
            lines.append(f"{name} is new")
        else:
            lines.append(f"{name}: {_difference(gone[name], new[name])}")
    return lines


def _left_over(clips: Sequence[ClipRecord], others: Sequence[ClipRecord]) -> dict[str, Content]:
    """Those that have no partner of the same content among the others, by name."""
    partners = Counter(other.content for other in others)
    left = {}
    for clip in clips:
        if partners[clip.content]:
            partners[clip.content] -= 1
        else:
            left[clip.name] = clip.content
    return left


def _difference(old: Content, new: Content) -> str:
    changed = [
        MEANING.get(name, name)
        + ("" if name in ("sha256", "labels") else f" was {one or 'none'}, is {two or 'none'}")
        for name, one, two in zip(Content._fields, old, new, strict=True)
        if one != two
    ]
    return ", ".join(changed)


def to_csv(clips: Sequence[ClipRecord]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", *Content._fields])
    writer.writerows([clip.name, *clip.content] for clip in clips)
    return text.getvalue()


def from_csv(text: str) -> list[ClipRecord]:
    """Raises ValueError, KeyError or TypeError for another table."""
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [ClipRecord(row.pop("name"), Content(**row)) for row in rows]
