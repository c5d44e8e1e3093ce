"""
A score: what a network answers for one clip, with the contribution of each fragment.

It is known without PyTorch, so that a caller can hold one without loading an engine.
"""

import dataclasses
from dataclasses import dataclass

from model_store.confidence import Trust
from model_store.errors import InvalidDifficulty
from model_store.judging.difficulty import (
    ScoredBy,
    check_positive,
    execution_of,
    factor_and_term,
)
from model_store.network_spec import Output
from model_store.spec import DifficultyRule


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
