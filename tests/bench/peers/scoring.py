"""What every peer does with a clip: our decoder and our engine, called directly."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_store.clip import load_clip
from model_store.engines import EngineName
from model_store.score import Score
from model_store.scorer import Scorer
from model_store.store import Store

Clip = NDArray[np.uint8]


class Scoring:
    """The shipped diving checkpoint, on so many threads."""

    def __init__(self, cache: str | Path, threads: int, engine: EngineName = "openvino") -> None:
        self.scorer = Scorer(Store().load("diving"), engine, cache=Path(cache), threads=threads)

    def decode(self, file: bytes) -> Clip:
        return load_clip(file, self.scorer.spec)

    def score(self, clips: list[Clip]) -> list[Score]:
        return self.scorer.score(clips)


def answer(score: Score) -> dict[str, Any]:
    return {
        "score": score.score,
        "baseline": score.baseline,
        "contribution": score.contribution,
        "alone": score.alone,
        "without": score.without,
    }
