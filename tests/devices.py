"""The devices that a test runs on."""

import pytest

from tests.engine_clips import ON_A_GPU

DEVICES = ["cpu", pytest.param("cuda", marks=ON_A_GPU)]
