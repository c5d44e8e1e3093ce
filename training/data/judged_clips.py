"""
The judged clips that a command works with, from all its data set folders.

The rule: every command that trains, measures or calibrates gets its clips here, so that clips that
contradict each other across rows or folders are refused. To check that, the clips of both splits
are hashed; the clips of the other split are not returned.
"""

from collections.abc import Sequence
from pathlib import Path

from model_store.spec import ClipSpec
from training.data.datasets.annotations import JudgedClip, Split, of_split
from training.data.datasets.kinds import read_clips
from training.data.datasets.leaks import check_leaks
from training.data.datasets.scores import check_scores


def open_clips(
    kind: str, folders: Sequence[str | Path], spec: ClipSpec, split: Split | None = None
) -> list[JudgedClip]:
    """Those of one split, or all, folder by folder.   Raises DataError."""
    found = [
        (Path(folder), read_clips(kind, Path(folder), action=spec.action)) for folder in folders
    ]
    chosen = [clip for folder, clips in found for clip in of_split(clips, split, folder)]
    every = [clip for _, clips in found for clip in clips]
    check_scores(every, spec)
    check_leaks(every)
    return chosen
