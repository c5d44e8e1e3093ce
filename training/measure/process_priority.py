"""Lets SVT-AV1 encode without changing the priority of this process, or writing to its terminal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """SVT-AV1, run by root, gives its caller real-time priority, and so whatever that starts."""
    os.environ.setdefault("SVT_LOG", "1")  # errors only
    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)
