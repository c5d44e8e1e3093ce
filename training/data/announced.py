"""
What the outputs of a network are worth in points of the score that is announced.

A final score is announced as it is. An execution is announced multiplied by the clip's difficulty,
or added to it, by the action's rule. Errors of both then count in the same points.

The rule: the execution of a clip is what the rule leaves of its score, so that a network that
predicts it without an error predicts the score without one.

Shapes: N clips, O outputs (`NetworkSpec.outputs`), n of the clips at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_store.judging.difficulty import factor_and_term
from model_store.network_spec import OUTPUTS, Output, Target
from model_store.spec import ClipSpec, DifficultyRule
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.points import judged_execution
from training.errors import DataError

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Announced:
    """score = factor · output + addend"""

    outputs: tuple[Output, ...]
    factor: Floats
    """(N, O)"""
    addend: Floats
    """(N, O) points."""

    @classmethod
    def of(cls, clips: Sequence[JudgedClip], spec: ClipSpec, target: Target) -> "Announced":
        """Raises DataError for a clip of which an output is not known."""
        outputs = OUTPUTS[target]
        each = [
            [_factor_and_addend(clip, output, spec.difficulty_rule) for output in outputs]
            for clip in clips
        ]
        values = np.array(each, np.float32).reshape(len(clips), len(outputs), 2)
        return cls(outputs, values[..., 0], values[..., 1])

    def score(self, values: NDArray[Any], clips: Indices) -> NDArray[Any]:
        """Outputs (…, n, O) of these clips (n,) -> the scores that they announce (…, n, O)."""
        scores: NDArray[Any] = values * self.factor[clips] + self.addend[clips]
        return scores

    def value(self, scores: NDArray[Any], clips: Indices) -> NDArray[Any]:
        """Scores (…, n, O) of these clips (n,) -> the outputs that announce them (…, n, O).

        Scores may be (…, n, 1), where all outputs announce the same.
        """
        values: NDArray[Any] = (scores - self.addend[clips]) / self.factor[clips]
        return values


def _factor_and_addend(
    clip: JudgedClip, output: Output, rule: DifficultyRule
) -> tuple[float, float]:
    if output == "final":
        return 1.0, 0.0
    if clip.difficulty is None or judged_execution(clip.score, clip.difficulty, rule) is None:
        raise DataError(f"{clip.path.name} has no execution: {_missing(clip)}")
    return factor_and_term(clip.difficulty, rule)


def _missing(clip: JudgedClip) -> str:
    if clip.difficulty is None:
        return "no difficulty"
    return f"score {clip.score:g} is below the difficulty {clip.difficulty:g}"


def default_target(clips: Sequence[JudgedClip], rule: DifficultyRule) -> tuple[Target, str]:
    """Both outputs where every clip has them, else the final score; and why, in words."""
    lacking = [
        clip for clip in clips if judged_execution(clip.score, clip.difficulty, rule) is None
    ]
    if not lacking:
        return "both", f"all {len(clips)} clips have a difficulty"
    first = lacking[0]
    return "final", (
        f"{len(lacking)} of {len(clips)} clips have no execution, as {first.path.name}:"
        f" {_missing(first)}"
    )
