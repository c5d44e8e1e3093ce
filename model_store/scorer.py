"""
The scorer: prepared clips in, scores and contributions out.

A checkpoint and the engine that runs it, kept together so that no caller can pair a network with
the wrong clips. One thread at a time may use a scorer; it does no locking.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_store.checkpoint import Checkpoint
from model_store.clip import load_clip
from model_store.confidence import Trust, pool
from model_store.contributions import Contributions
from model_store.engines import EngineName, make_engine
from model_store.errors import EngineError, InvalidDifficulty, UnusableClip
from model_store.judging.difficulty import (
    ScoredBy,
    check_positive,
    execution_of,
    factor_and_term,
)
from model_store.network_spec import Output
from model_store.spec import ClipSpec, DifficultyRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The answer for one clip, in points: baseline + Σ contribution = score.

    It comes from one output of the network. Of a network with both it is `final`, until a
    difficulty is known.
    """

    output: Output = "final"
    """The one that the score comes from."""
    score: float
    """As announced; the execution alone where that is predicted and no difficulty is known yet."""
    baseline: float
    """The score of a clip of which nothing is seen."""
    contribution: tuple[float, ...]
    """K Shapley values. Exactly 0 for a blank fragment."""
    alone: tuple[float, ...]
    """The score when fragment i alone is shown.   [Li18 Fig. 2]"""
    without: tuple[float, ...]
    """The score when all but fragment i are shown."""
    standard_error: tuple[float, ...] | None = None
    """Of the contributions where they are estimated from a sample; None where they are exact."""
    blank: tuple[bool, ...]
    trust: Trust | None = None
    """None when the checkpoint was not calibrated."""
    difficulty: float | None = None
    execution: float | None = None
    of_execution: "Score | None" = None
    """The execution output's answer, where the network has both outputs."""

    @property
    def scored_by(self) -> ScoredBy:
        by_both = self.output == "execution" and self.difficulty is not None
        return "video and difficulty" if by_both else "video"

    def with_difficulty(self, difficulty: float | None, rule: DifficultyRule) -> "Score":
        """The answer once the declared difficulty is known (None if it is not).

        With a difficulty the answer is the execution output's where there is one: all its points
        are multiplied by the difficulty, or the difficulty is added to the score and the baseline.
        Where `final` is the only output its score stays, and the execution is derived from it.
        Raises InvalidDifficulty.
        """
        if difficulty is None:
            if self.output == "execution":
                raise InvalidDifficulty(
                    "this checkpoint predicts the execution, it needs a difficulty"
                )
            return self
        check_positive(difficulty)
        predicted = self if self.output == "execution" else self.of_execution
        if predicted is None:
            return dataclasses.replace(
                self, difficulty=difficulty, execution=execution_of(self.score, difficulty, rule)
            )
        factor, term = factor_and_term(difficulty, rule)
        return dataclasses.replace(
            predicted,
            score=predicted.score * factor + term,
            baseline=predicted.baseline * factor + term,
            contribution=tuple(value * factor for value in predicted.contribution),
            alone=tuple(value * factor + term for value in predicted.alone),
            without=tuple(value * factor + term for value in predicted.without),
            standard_error=predicted.standard_error
            and tuple(value * factor for value in predicted.standard_error),
            trust=predicted.trust and predicted.trust.scaled(factor, term),
            difficulty=difficulty,
            execution=predicted.score,
        )

    def widened(self, points: float) -> "Score":
        """The same score, whose interval allows for a move by so many points."""
        return dataclasses.replace(self, trust=self.trust and self.trust.widened(points))


class Scorer:
    """Runs one checkpoint on one engine."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        engine: EngineName = "auto",
        *,
        cache: Path | None = None,
        threads: int | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.engine = make_engine(checkpoint.network, name=engine, cache=cache, threads=threads)

    @property
    def spec(self) -> ClipSpec:
        return self.checkpoint.spec

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Of the network, in order."""
        return self.checkpoint.card.network.outputs

    def score(self, clips: Sequence[NDArray[np.uint8]]) -> list[Score]:
        """Prepared clips, each (T, H, W, 3) uint8, to one Score each.

        The same clip gives the same score alone and in any batch, within the engine's tolerance.
        """
        return self.score_with_features(clips)[0] if clips else []

    def score_with_features(
        self, clips: Sequence[NDArray[np.uint8]]
    ) -> tuple[list[Score], NDArray[np.float32]]:
        """`score`, and the pooled features (B, P) that confidence rests on; at least one clip."""
        shape = (self.spec.frames, self.spec.height, self.spec.width, 3)
        for clip in clips:
            if clip.shape != shape or clip.dtype != np.uint8:
                raise UnusableClip(f"clip is {clip.shape} {clip.dtype}, need {shape} uint8")
        batch = np.stack(clips)  # (B, T, H, W, 3)
        output = self.engine.score(batch)
        pooled, blank = pool(output.features), output.blank
        scores = []
        for i in range(len(clips)):
            first, *others = (
                self._of_output(name, contributions, i, pooled[i], blank[i])
                for name, contributions in zip(self.outputs, output.contributions, strict=True)
            )
            scores.append(dataclasses.replace(first, of_execution=others[0] if others else None))
        return scores, pooled

    def _of_output(
        self,
        output: Output,
        contributions: Contributions,
        clip: int,
        pooled: NDArray[np.float32],
        blank: NDArray[np.bool_],
    ) -> Score:
        """The answer of one output for one clip of a batch."""
        score, confidence = float(contributions.score[clip]), self.checkpoint.confidence
        error = contributions.standard_error
        return Score(
            output=output,
            score=score,
            baseline=contributions.baseline,
            contribution=tuple(map(float, contributions.contribution[clip])),
            alone=tuple(map(float, contributions.alone[clip])),
            without=tuple(map(float, contributions.without[clip])),
            standard_error=None if error is None else tuple(map(float, error[clip])),
            blank=tuple(map(bool, blank)),
            trust=confidence.trust(pooled, output, score) if confidence else None,
        )

    def check_golden(self) -> float:
        """Score the golden clip and return the error in points.

        Each output of the network is checked, in its own points. Raises EngineError for an error
        beyond the tolerance.
        """
        golden = self.checkpoint.golden
        [score] = self.score([load_clip(self.checkpoint.golden_clip, self.spec)])
        found = [score] if score.of_execution is None else [score, score.of_execution]
        error = max(
            abs(a - b)
            for each, expected in zip(found, golden.outputs, strict=True)
            for a, b in zip(
                (each.score, *each.contribution),
                (expected.score, *expected.contributions),
                strict=True,
            )
        )
        if not error <= golden.tolerance:
            raise EngineError(
                f"the golden clip of {self.checkpoint.name}@{self.checkpoint.version} is off by"
                f" {error:.3f} points, allowed are {golden.tolerance}"
            )
        return error
