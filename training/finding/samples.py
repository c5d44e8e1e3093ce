"""
Recordings varied at random, so that the finder learns what a routine looks like and no accident of
how recordings are made: hard cuts, stills, blank pictures, noise, other light, mirrored pictures.

Shapes: N frames, G × G parts of a picture.
"""

from collections.abc import Sequence

import numpy as np

from model_store.finding.features import GRID, Floats
from model_store.finding.windows import FrameWindow
from training.finding.recordings import Recording

NOTHING = 0.15  # share of the samples that show no routine
CUT_OUT = 0.35  # share in which one routine stands alone, after and before other things
CLIPS = 0.35  # share that are put together of cut clips, where there are any
LONGEST = 900  # frames
_LEAST = 5  # frames of anything


class Samples:
    """An endless supply."""

    def __init__(
        self, recordings: Sequence[Recording], clips: Sequence[Floats], rng: np.random.Generator
    ) -> None:
        """`clips` are the parts of cut clips: one routine each, and nothing else."""
        self._recordings = recordings
        self._clips = clips
        self._rng = rng

    def draw(self, shortest: int) -> Recording:
        """Of at least `shortest` frames."""
        rng = self._rng
        if self._clips and rng.random() < CLIPS:
            sample = self._of_clips()
        else:
            recording = self._recordings[int(rng.integers(len(self._recordings)))]
            chance = rng.random()
            if chance < CUT_OUT:
                sample = self._cut_out(recording)
            elif chance < CUT_OUT + NOTHING:
                sample = self._nothing(recording)
            else:
                sample = recording
        short = max(0, shortest - len(sample.parts))
        parts = np.concatenate((sample.parts, np.repeat(sample.parts[-1:], short, axis=0)))
        routines = tuple(shown for shown in sample.routines if shown.stop <= LONGEST)
        return Recording(parts=self._look(parts[:LONGEST]), routines=routines)

    def _look(self, parts: Floats) -> Floats:
        """Mirrored or not, in another light."""
        rng = self._rng
        if rng.random() < 0.5:
            parts = parts[:, :, ::-1]
        gain = rng.uniform(0.75, 1.25) * rng.uniform(0.9, 1.1, 3)
        offset = rng.uniform(-0.12, 0.12) + rng.uniform(-0.04, 0.04, 3)
        changed: Floats = np.clip(parts * gain + offset, 0, 1).astype(np.float32)
        return changed

    def _of_clips(self) -> Recording:
        pieces: list[Floats] = []
        routines: list[FrameWindow] = []
        for _ in range(self._rng.integers(1, 3)):
            clip = self._clips[int(self._rng.integers(len(self._clips)))]
            for edge, is_routine in ((clip[0], False), (clip[0], True), (clip[-1], False)):
                begin = sum(map(len, pieces))
                if is_routine:
                    pieces.append(clip)
                    routines.append(FrameWindow(begin, begin + len(clip)))
                elif self._rng.random() < 0.85:
                    pieces.append(self._other(150, edge))
        return Recording(parts=np.concatenate(pieces), routines=tuple(routines))

    def _cut_out(self, recording: Recording) -> Recording:
        """One routine; before and after it what was there, or a cut and something else."""
        rng, parts = self._rng, recording.parts
        shown = recording.routines[rng.integers(len(recording.routines))]
        earlier = [other.stop for other in recording.routines if other.stop <= shown.start]
        later = [other.start for other in recording.routines if other.start >= shown.stop]
        first = int(rng.integers(max(earlier, default=0), shown.start + 1))
        last = int(rng.integers(shown.stop, min(later, default=len(parts)) + 1))
        before = parts[first : shown.start]
        after = parts[shown.stop : last]
        if rng.random() < 0.5:
            before = self._other(200, parts[shown.start])
        if rng.random() < 0.5:
            after = self._other(200, parts[shown.stop - 1])
        pieces = before, parts[shown.start : shown.stop], after
        stop = len(before) + shown.stop - shown.start
        return Recording(parts=np.concatenate(pieces), routines=(FrameWindow(len(before), stop),))

    def _nothing(self, recording: Recording) -> Recording:
        """Other things, and sometimes less than half of a routine among them."""
        rng, parts = self._rng, recording.parts
        pieces = [
            self._other(200, parts[rng.integers(len(parts))]) for _ in range(rng.integers(1, 4))
        ]
        if rng.random() < 0.5:
            shown = recording.routines[0]
            at = int(rng.integers(shown.start, shown.stop))
            torso = parts[shown.start : at] if rng.random() < 0.5 else parts[at : shown.stop]
            if len(torso) < (shown.stop - shown.start) / 2:
                pieces.insert(int(rng.integers(len(pieces) + 1)), torso)
        return Recording(parts=np.concatenate(pieces), routines=())

    def _other(self, most: int, edge: Floats) -> Floats:
        """No routine, for up to `most` frames; `edge` (G, G, 3) is the picture beside it."""
        rng = self._rng
        count = int(rng.integers(_LEAST, most))
        held = np.repeat(edge[None], count, axis=0)
        kind = rng.integers(6)
        if kind == 0:  # a still that was encoded again
            noise = rng.normal(0, rng.uniform(0.0005, 0.004), held.shape)
            return np.asarray(held + noise, np.float32)
        if kind == 1:  # a still that is shaken
            moved = np.roll(edge, rng.integers(-1, 2), axis=rng.integers(0, 2))
            swing = np.sin(np.arange(count) * rng.uniform(0.02, 0.5))
            share = (0.5 + 0.5 * swing)[:, None, None, None] * rng.uniform(0, 0.6)
            return np.asarray(held * (1 - share) + moved * share, np.float32)
        if kind == 2:
            return held
        if kind == 3:  # blank
            level = rng.choice([0.0, rng.random()])
            return np.full((count, GRID, GRID, 3), level, np.float32)
        if kind == 4:  # noise
            noise = rng.random((count, GRID, GRID, 3)) * rng.uniform(0.1, 1)
            return np.asarray(noise, np.float32)
        return self._gap(count, held)

    def _gap(self, count: int, otherwise: Floats) -> Floats:
        """What is between the routines of some recording."""
        rng = self._rng
        recording = self._recordings[int(rng.integers(len(self._recordings)))]
        stops = [0, *(shown.stop for shown in recording.routines)]
        starts = [*(shown.start for shown in recording.routines), len(recording.parts)]
        gaps = [(a, b) for a, b in zip(stops, starts, strict=True) if b - a > _LEAST]
        if not gaps:
            return otherwise
        first, last = gaps[rng.integers(len(gaps))]
        begin = int(rng.integers(first, max(last - count, first) + 1))
        parts: Floats = recording.parts[begin : min(begin + count, last)]
        return parts
