"""
The scorer: prepared clips in, scores and contributions out.

A checkpoint and the engine that runs it, kept together so that no caller can pair a network with
the wrong clips. One thread at a time may use a scorer, except for `upload`; it does no locking.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_store.checkpoint import Checkpoint
from model_store.clip import load_clip
from model_store.confidence import pool
from model_store.contributions import Contributions
from model_store.engines import EngineName, Upload, make_engine
from model_store.errors import EngineError, UnusableClip
from model_store.network_spec import Output
from model_store.score import Score
from model_store.spec import ClipSpec

Clip = NDArray[np.uint8]
"""Prepared, (T, H, W, 3)."""


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
        self.engine = make_engine(
            checkpoint.stored,
            name=engine,
            cache=cache,
            threads=threads,
            example=lambda: load_clip(checkpoint.golden_clip, checkpoint.spec),
        )

    @property
    def spec(self) -> ClipSpec:
        return self.checkpoint.spec

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Of the network, in order."""
        return self.checkpoint.card.network.outputs

    def upload(self, clip: Clip) -> Upload:
        """A prepared clip, brought to where the network runs. Other threads may do that.

        Raises UnusableClip, EngineError.
        """
        self._check(clip)
        return self.engine.upload(clip)

    def score(self, clips: Sequence[Clip | Upload]) -> list[Score]:
        """Prepared clips, each (T, H, W, 3) uint8 or uploaded to this scorer, to one Score each.

        The same clip gives the same score alone and in any batch, within the engine's tolerance.
        """
        return self.score_with_features(clips)[0] if clips else []

    def score_with_features(
        self, clips: Sequence[Clip | Upload]
    ) -> tuple[list[Score], NDArray[np.float32]]:
        """`score`, and the pooled features (B, P) that confidence rests on; at least one clip."""
        for clip in clips:
            if not isinstance(clip, Upload):
                self._check(clip)
        output = self.engine.score(clips)
        pooled, blank = pool(output.features), output.blank
        scores = []
        for i in range(len(clips)):
            first, *others = (
                self._of_output(name, contributions, i, pooled[i], blank[i])
                for name, contributions in zip(self.outputs, output.contributions, strict=True)
            )
            scores.append(dataclasses.replace(first, of_execution=others[0] if others else None))
        return scores, pooled

    def _check(self, clip: Clip) -> None:
        shape = (self.spec.frames, self.spec.height, self.spec.width, 3)
        if clip.shape != shape or clip.dtype != np.uint8:
            raise UnusableClip(f"clip is {clip.shape} {clip.dtype}, need {shape} uint8")

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
                f"the golden clip of {self.checkpoint.reference} is off by"
                f" {error:.3f} points, allowed are {golden.tolerance}"
            )
        return error
