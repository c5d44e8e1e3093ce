"""
clips.csv in a run's folder: the clips that the run is of, with hash, scores and side of the split.

The rule: a run is its data and its options. The file is written before the first step; a run goes
on only with the same clips. Another name, row or folder of the same bytes is the same clip.
"""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from model_store.files import replace_file
from training.errors import RunError

CLIPS = "clips.csv"
SHOWN = 5  # changes that a message names


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
    """training or validation"""


MEANING = {
    "sha256": "the bytes",
    "judged": "the score",
    "labels": "execution, stages, deductions or tracks",
}


@dataclass(frozen=True, slots=True)
class ClipRecord:
    name: str
    content: Content


def hash_of_labels(*labels: object) -> str:
    return hashlib.sha256(repr(labels).encode()).hexdigest()[:16]


def check_clip_list(
    folder: Path, clips: Sequence[ClipRecord], *, begun: bool, first: bool = True
) -> None:
    """Write the clips of a run that has not `begun`; else see that they are those it began with.

    Of several processes the `first` one writes and the others compare. Raises RunError.
    """
    if first and not begun:
        replace_file(folder / CLIPS, _table(clips).encode())
    elif changed := changes(read_clip_list(folder), clips):
        rest = len(changed) - SHOWN
        more = f"; and {rest} more" if rest > 0 else ""
        raise RunError(
            f"{folder} holds a run of other data, {len(changed)} clips changed:"
            f" {'; '.join(changed[:SHOWN])}{more}. --restart starts anew there"
        )


def read_clip_list(folder: Path) -> list[ClipRecord]:
    """Raises RunError where the folder has none."""
    try:
        with (folder / CLIPS).open(encoding="utf-8", newline="") as file:
            return [ClipRecord(row.pop("name"), Content(**row)) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{folder} does not say which clips its run began with (no readable {CLIPS}):"
            " --restart starts anew there"
        ) from error


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


def _table(clips: Sequence[ClipRecord]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", *Content._fields])
    writer.writerows([clip.name, *clip.content] for clip in clips)
    return text.getvalue()
