"""
What a data set folder holds, counted: every clip opened, none decoded.

Shapes: N clips of a split.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_store.clip import ClipLimits, FrameFiles
from model_store.errors import ClipError
from model_store.video.container import open_bytes, open_video
from model_store.video.demuxer import demux
from model_store.video.timeline import Timeline
from training.choices import Kind
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.kinds import DATA_SETS, read_clips
from training.data.datasets.leaks import check_leaks, warn_of_groups
from training.data.datasets.media import ClipPart, ClipSource
from training.data.datasets.ucf101 import PUBLISHED, read_ucf101
from training.errors import DataError

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Spread:
    """Of at least one number."""

    mean: float
    deviation: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        numbers = np.array(values, np.float64)
        return cls(
            float(numbers.mean()), float(numbers.std()), float(numbers.min()), float(numbers.max())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFindings:
    name: str
    clips: int
    published: int | None
    """Clips of the official split, where it is known."""
    score: Spread | None = None
    difficulty: Spread | None = None
    marks: tuple[int, ...] = ()
    """Sizes of the panels whose marks are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    splits: list[SplitFindings]
    videos: int
    """Clips that are one file; the others are folders of frames."""
    frames: Spread
    fps: Spread
    groups: int
    """Athletes, events or videos of which the clips are."""
    classes: int | None
    """Of a data set for classification."""


def check_dataset(kind: Kind, folder: Path, progress: Progress) -> Findings:
    """Raises DataError for whatever `read_clips` does, and for clips that cannot be opened."""
    classes = None
    if kind == Kind.ucf101:
        classified = read_ucf101(folder)
        classes = len(classified.classes)
        groups: set[str | None] = {clip.group for clip in classified.clips}
        warn_of_groups((clip.split, clip.group) for clip in classified.clips)
        sources: list[ClipSource] = [clip.path for clip in classified.clips]
        splits = [
            SplitFindings(
                name=name,
                clips=sum(clip.split == name for clip in classified.clips),
                published=published,
            )
            for name, published in PUBLISHED.items()
        ]
    else:
        clips = read_clips(kind, folder)
        check_leaks(clips)
        groups = {clip.group for clip in clips}
        sources = [clip.source for clip in clips]
        data_set = DATA_SETS[kind]
        actions = sorted({clip.action for clip in clips}, key=str)
        splits = [
            _judged_split(
                name if len(actions) == 1 else f"{name}, {action}",
                published,
                [clip for clip in clips if clip.split == name and clip.action == action],
            )
            for action in actions
            for name, published in (("train", data_set.train), ("test", data_set.test))
        ]
    counts, rates = _frames(sources, progress)
    return Findings(
        splits=splits,
        videos=sum(not isinstance(source, FrameFiles) for source in sources),
        frames=counts,
        fps=rates,
        groups=len(groups - {None}),
        classes=classes,
    )


def _judged_split(name: str, published: int | None, clips: Sequence[JudgedClip]) -> SplitFindings:
    difficulties = [clip.difficulty for clip in clips if clip.difficulty is not None]
    return SplitFindings(
        name=name,
        clips=len(clips),
        published=published,
        score=Spread.of([clip.score for clip in clips]) if clips else None,
        difficulty=Spread.of(difficulties) if difficulties else None,
        marks=tuple(sorted({len(clip.marks) for clip in clips if clip.marks})),
    )


def _frames(sources: Sequence[ClipSource], progress: Progress) -> tuple[Spread, Spread]:
    """Frames a clip and frames a second, over all clips."""
    counts, rates = [], []
    for done, source in enumerate(sources, 1):
        try:
            count, rate = frames_and_rate(source)
        except ClipError as error:
            raise DataError(f"{source}: {error}") from error
        counts.append(count)
        rates.append(rate)
        progress(done, len(sources))
    return Spread.of(counts), Spread.of(rates)


def frames_and_rate(source: ClipSource) -> tuple[int, float]:
    """Frames of a file and their rate, from its packets.   Raises ClipError."""
    limits = ClipLimits()
    file_of = source.path if isinstance(source, ClipPart) else source
    with open_bytes(file_of) as file, open_video(file, limits) as video:
        pts = demux(video, limits).pts
        timeline = Timeline.of_pts(pts, video.time_base)
        return len(pts), float(video.rate or 0) if timeline is None else timeline.fps
