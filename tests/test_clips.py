"""What makes clips for the tests leaves the process as it was."""

import os
import sys

import pytest

from tests.clips import clip_of, numbered


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's scheduler")
def test_no_encoder_leaves_the_tests_at_real_time_priority() -> None:
    before = os.sched_getscheduler(0)
    clip_of(numbered(1, 64, 64), codec="libsvtav1", container="avif")
    assert os.sched_getscheduler(0) == before
