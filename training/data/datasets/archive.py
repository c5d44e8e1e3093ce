"""
The archive of a service, see `model_store.archive`: clips that it scored, and what judges gave.

    <SHA-256 of the file>/clip.mp4, answer.json, judged.json

A clip without a judged score is left out. Of the others the action and the part of the file count
that were scored when judges gave the score, so that training sees what the judges saw. Clips of
several actions may lie in one archive. The split is drawn, see `drawn_split`.

The rule: a folder that is damaged, or whose file is not the one that its name states, is a
DataError that names it, and nothing is used. A service may add and remove clips meanwhile.
"""

import functools
from pathlib import Path

from model_store.archive import Judged, KeptClip, kept_folders, read_kept_clip
from model_store.errors import ArchiveDamaged
from model_store.spec import SPECS
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.drawn_split import drawn_split
from training.data.datasets.hashes import source_hash
from training.data.datasets.points import judged_execution
from training.display import warn
from training.errors import DataError

SHOWN = 3  # of the folders in a message


def read_archive(folder: Path) -> list[JudgedClip]:
    """All that are judged, in the order of their hashes.   Raises DataError."""
    kept, damaged = [], []
    for place in sorted(kept_folders(folder)):
        try:
            clip = read_kept_clip(place)
            if source_hash(clip.path) == clip.sha256:
                kept.append(clip)
            else:
                damaged.append(f"{clip.path} has other bytes than its folder's name states")
        except (ArchiveDamaged, DataError, OSError) as error:
            if place.is_dir():  # else it was removed meanwhile
                damaged.append(str(error))
    if damaged:
        more = f" and {len(damaged) - SHOWN} more" if len(damaged) > SHOWN else ""
        first = "; ".join(damaged[:SHOWN])
        raise DataError(f"{len(damaged)} kept clips are damaged: {first}{more}")
    clips = [
        _judged_clip(clip, clip.judged, clip.judged.score)
        for clip in kept
        if clip.judged is not None and clip.judged.score is not None
    ]
    if len(clips) < len(kept):
        _warn_once(f"{folder}: {len(kept) - len(clips)} of {len(kept)} kept clips are not judged")
    if not clips:
        raise DataError(f"{folder} lacks clips that are judged; {len(kept)} are kept")
    return clips


def _judged_clip(clip: KeptClip, judged: Judged, score: float) -> JudgedClip:
    action = judged.action
    rule = SPECS[action].difficulty_rule if action in SPECS else None
    return JudgedClip(
        path=clip.path,
        split=drawn_split(clip.sha256, judged.group),
        score=score,
        columns={"clip": f"{clip.sha256}/{clip.path.name}"},
        group=judged.group,
        start_s=judged.start_s,
        end_s=judged.end_s,
        action=action,
        difficulty=judged.difficulty,
        execution=None if rule is None else judged_execution(score, judged.difficulty, rule),
        marks=judged.marks,
    )


@functools.cache
def _warn_once(text: str) -> None:
    """A command may read the same archive several times."""
    warn(f"{text}: they are left out")
