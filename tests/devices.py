"""Where a test runs: marks for what needs an NVIDIA GPU."""

import os

import pytest
import torch

ON_CUDA = [
    pytest.mark.cuda,
    pytest.mark.skipif(
        not torch.cuda.is_available() and "FAIL_WITHOUT_CUDA" not in os.environ,
        reason="no CUDA device",
    ),
]
DEVICES = ["cpu", pytest.param("cuda", marks=ON_CUDA)]
