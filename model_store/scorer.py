"""
The scorer: prepared clips in, scores and contributions out.

A checkpoint and the engine that runs it, kept together so that no caller can pair a network with
the wrong clips. One thread at a time may use a scorer; it does no locking.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_store.checkpoint import Checkpoint
from model_store.clip import blank_fragments, load_clip
from model_store.confidence import Trust, pool
from model_store.engines import EngineName, make_engine
from model_store.errors import EngineError, InvalidDifficulty, UnusableClip
from model_store.network_spec import Target
from model_store.spec import ClipSpec, DifficultyRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The answer for one clip, in points: baseline + Σ contribution = score."""

    score: float
    """As announced; the execution alone where the network was trained for that (`target`)."""
    baseline: float
    """The score of a clip of which nothing is seen."""
    contribution: tuple[float, ...]
    """K Shapley values. Exactly 0 for a blank fragment."""
    alone: tuple[float, ...]
    """The score when fragment i alone is shown.   [Li18 Fig. 2]"""
    without: tuple[float, ...]
    """The score when all but fragment i are shown."""
    blank: tuple[bool, ...]
    trust: Trust | None = None
    """None when the checkpoint was not calibrated."""
    difficulty: float | None = None
    execution: float | None = None

    def with_difficulty(
        self, difficulty: float | None, rule: DifficultyRule, target: Target
    ) -> "Score":
        """The same answer once the declared difficulty is known (None if it is not).

        A `final` network keeps its score, and the execution is derived from it. An `execution`
        network needs the difficulty: the score and its parts are multiplied by it, or it joins
        the baseline. Raises InvalidDifficulty.
        """
        if difficulty is not None:
            check_difficulty(difficulty)
        if target == "final":
            return dataclasses.replace(
                self, difficulty=difficulty, execution=execution_of(self.score, difficulty, rule)
            )
        if difficulty is None:
            raise InvalidDifficulty("this checkpoint predicts the execution, it needs a difficulty")
        factor, term = (difficulty, 0.0) if rule == "multiply" else (1.0, difficulty)
        return dataclasses.replace(
            self,
            score=self.score * factor + term,
            baseline=self.baseline * factor + term,
            contribution=tuple(value * factor for value in self.contribution),
            alone=tuple(value * factor + term for value in self.alone),
            without=tuple(value * factor + term for value in self.without),
            trust=self.trust and self.trust.scaled(factor, term),
            difficulty=difficulty,
            execution=self.score,
        )


def check_difficulty(difficulty: float) -> None:
    if not (math.isfinite(difficulty) and difficulty > 0):
        raise InvalidDifficulty(f"difficulty is {difficulty}, need a finite number above 0")


def execution_of(score: float, difficulty: float | None, rule: DifficultyRule) -> float | None:
    """score = execution × difficulty, or execution + difficulty, solved for the execution."""
    if difficulty is None:
        return None
    return score / difficulty if rule == "multiply" else score - difficulty


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

    def score(self, clips: Sequence[NDArray[np.uint8]]) -> list[Score]:
        """Prepared clips, each (T, H, W, 3) uint8, to one Score each.

        The same clip gives the same score alone and in any batch, within the engine's tolerance.
        """
        return self.examine(clips)[0] if clips else []

    def examine(
        self, clips: Sequence[NDArray[np.uint8]]
    ) -> tuple[list[Score], NDArray[np.float32]]:
        """`score`, and the pooled features (B, P) that confidence rests on; at least one clip."""
        shape = (self.spec.frames, self.spec.height, self.spec.width, 3)
        for clip in clips:
            if clip.shape != shape or clip.dtype != np.uint8:
                raise UnusableClip(f"clip is {clip.shape} {clip.dtype}, need {shape} uint8")
        batch = np.stack(clips)  # (B, T, H, W, 3)
        output = self.engine.score(batch)
        answer, pooled = output.contributions, pool(output.features)
        confidence = self.checkpoint.confidence
        scores = [
            Score(
                score=float(answer.score[i]),
                baseline=float(answer.baseline),
                contribution=tuple(map(float, answer.contribution[i])),
                alone=tuple(map(float, answer.alone[i])),
                without=tuple(map(float, answer.without[i])),
                blank=tuple(map(bool, blank)),
                trust=confidence.trust(pooled[i], float(answer.score[i])) if confidence else None,
            )
            for i, blank in enumerate(blank_fragments(batch, self.spec))
        ]
        return scores, pooled

    def check_golden(self) -> float:
        """Score the golden clip; how far off, in points.   Raises EngineError beyond tolerance."""
        golden = self.checkpoint.golden
        [answer] = self.score([load_clip(self.checkpoint.golden_clip, self.spec)])
        expected = (golden.score, *golden.contributions)
        error = max(
            abs(a - b) for a, b in zip((answer.score, *answer.contribution), expected, strict=True)
        )
        if not error <= golden.tolerance:
            raise EngineError(
                f"the golden clip of {self.checkpoint.name}@{self.checkpoint.version} is off by"
                f" {error:.3f} points, allowed are {golden.tolerance}"
            )
        return error
