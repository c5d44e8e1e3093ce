"""
The part of a simulated clip's score that the shown fragments determine, without judges' noise.

A simulator knows what each stage was deducted. A clip of which fragments are blanked is taught
what is then known: stages that are seen cost what they truly cost, the others what they cost on
average, and the difficulty is known where the stage that shows it is seen. With everything shown
that is the score of a panel without bias and noise, with nothing the mean of all clips.

So the network learns from each clip what each of its stages is worth, and Shapley values are
predictions of that and not an accident of extrapolation. Of an execution the difficulty is no part:
it tells what the stages cost alone.

Shapes: N clips, K fragments, S stages, T frames, O outputs (`NetworkSpec.outputs`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_store.spec import ClipSpec
from training.data.announced import Announced
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.points import points
from training.data.file_times import FileTimes
from training.data.stages import DIFFICULTY_SHOWN_IN, has_stages, stages_of_frames
from training.errors import DataError

Floats = NDArray[np.float32]

ENOUGH = 0.5  # of a stage's frames show all of it: a fault is visible in most frames of its stage


@dataclass(frozen=True, slots=True)
class PartialScores:
    spec: ClipSpec
    stages: NDArray[np.int64]
    """(N, T) stage of every frame of the prepared clip, −1 in padding."""
    parts: Floats
    """(N, O, S + 1): by how much the stages, and last the difficulty, differ from the mean clip.

    In the unit of each output.
    """
    mean: Floats
    """(O,) of the clips that the network learns from, in the same units."""

    @classmethod
    def read(
        cls,
        spec: ClipSpec,
        clips: Sequence[JudgedClip],
        times: Sequence[FileTimes],
        training: NDArray[np.int64],
        announced: Announced,
    ) -> "PartialScores":
        """Raises DataError for a clip of which true score, stages or deductions are not known."""
        if spec.action not in DIFFICULTY_SHOWN_IN:
            raise DataError(f"what a stage of {spec.action} is worth is not known")
        for clip in clips:
            knows = clip.columns.get("true_score") and clip.deductions.keys() == {*spec.stages}
            if not (knows and has_stages(clip, spec)):
                raise DataError(
                    f"{clip.path.name}: need true_score, and stage_starts and deductions of"
                    " every stage, as simulated clips have them"
                )
        stages = [
            stages_of_frames(spec, clip, timed) for clip, timed in zip(clips, times, strict=True)
        ]
        deducted = np.array([[clip.deductions[s] for s in spec.stages] for clip in clips])
        true = np.array(
            [points(clip.columns["true_score"], "true_score", clip.path.name) for clip in clips]
        )
        values = announced.value(true[:, None], np.arange(len(clips)))  # (N, O)
        costs = deducted[:, None] / announced.factor[:, :, None]  # (N, O, S)
        perfect = values + costs.sum(axis=2)
        parts = np.concatenate([-costs, perfect[..., None]], axis=2)
        parts -= parts[training].mean(axis=0)
        mean = values[training].mean(axis=0)
        return cls(spec, np.stack(stages), parts.astype(np.float32), mean.astype(np.float32))

    def at(self, clip: int, start: int, shown: NDArray[np.bool_]) -> Floats:
        """(O,), if of the fragments cut from frame `start` on those in `shown` (K,) are shown."""
        spec = self.spec
        cut = self.stages[clip, start : start + spec.fragments * spec.fragment_length]
        cut = cut.reshape(spec.fragments, spec.fragment_length)
        there, seen = (self._frames(frames) for frames in (cut, cut[shown]))
        share = np.minimum(1, seen / np.maximum(ENOUGH * there, 1))  # (S,)
        difficulty = share[spec.stages.index(DIFFICULTY_SHOWN_IN[spec.action])]
        values: Floats = self.mean + self.parts[clip] @ np.append(share, difficulty)
        return values

    def _frames(self, stages: NDArray[np.int64]) -> NDArray[np.int64]:
        """(S,): frames of each stage."""
        return np.bincount(stages[stages >= 0], minlength=len(self.spec.stages))
