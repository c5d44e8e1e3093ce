"""
What no single row of a data set can show: one clip, or one group, in two places.

The rule: none of it is silent. The same bytes for training and for testing, or with two scores,
are an error; a clip that counts twice, and a group on both sides, are a warning, for some data
sets were published so. Same bytes mean the same clip whatever it is called: a copy, a link, a path
with `..`, a folder that is given twice.
"""

from collections.abc import Iterable, Sequence

from training.data.datasets.annotations import JudgedClip, Split
from training.data.datasets.hashes import clip_hashes
from training.display import warn
from training.errors import DataError

SHOWN = 3  # of the clips or groups in a message


def check_leaks(clips: Sequence[JudgedClip]) -> None:
    """Of both splits, and of all folders that are used together.   Raises DataError."""
    same: dict[str, list[JudgedClip]] = {}
    for clip, digest in zip(clips, clip_hashes(clips), strict=True):
        same.setdefault(digest, []).append(clip)
    copies = [found for found in same.values() if len(found) > 1]
    both = [found for found in copies if len({clip.split for clip in found}) > 1]
    if both:
        raise DataError(
            f"{len(both)} clips are for training and for testing, the same bytes: {_listed(both)}"
        )
    contrary = [found for found in copies if len({clip.score for clip in found}) > 1]
    if contrary:
        raise DataError(
            f"{len(contrary)} clips have more than one score, the same bytes: {_listed(contrary)}"
        )
    if copies:
        warn(f"{len(copies)} clips are there more than once, and count so: {_listed(copies)}")
    warn_of_groups((clip.split, clip.group) for clip in clips)


def check_apart(clips: Sequence[JudgedClip], others: Sequence[JudgedClip], what: str) -> None:
    """Raises DataError where some of `others` are among the clips; `what` describes them."""
    hashes = set(clip_hashes(clips))
    shared = [c for c, digest in zip(others, clip_hashes(others), strict=True) if digest in hashes]
    if shared:
        raise DataError(
            f"{len(shared)} clips are {what}: {first_few([str(c.source) for c in shared])}"
        )


def warn_of_groups(clips: Iterable[tuple[Split, str | None]]) -> None:
    """Of groups on both sides; a clip is its split and its group."""
    sides = {(split, group) for split, group in clips if group is not None}
    groups = sorted({group for _, group in sides})
    if both := [group for group in groups if {("train", group), ("test", group)} <= sides]:
        warn(f"{len(both)} groups have clips for training and for testing: {first_few(both)}")


def _listed(copies: Sequence[Sequence[JudgedClip]]) -> str:
    return first_few([" = ".join(str(clip.source) for clip in found) for found in copies])


def first_few(names: Sequence[str]) -> str:
    return ", ".join([*names[:SHOWN], *(["…"] if len(names) > SHOWN else [])])
