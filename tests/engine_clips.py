"""Clips for engines, the scores that they get, and where a GPU is needed for it."""

import os

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model_store.engines import EngineOutput
from model_store.spec import ClipSpec

ON_A_GPU = [
    pytest.mark.cuda,
    pytest.mark.skipif(
        not torch.cuda.is_available() and "FAIL_WITHOUT_CUDA" not in os.environ,
        reason="no CUDA device",
    ),
]


def random_clips(spec: ClipSpec, count: int, seed: int = 0) -> NDArray[np.uint8]:
    generator = np.random.default_rng(seed)
    return generator.integers(256, size=(count, spec.frames, *spec.crop, 3), dtype=np.uint8)


def scores_of(output: EngineOutput) -> NDArray[np.float64]:
    """(B, O)"""
    return np.stack([each.score for each in output.contributions], axis=1)
