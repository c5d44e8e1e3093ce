"""Recordings around simulated routines."""

import numpy as np
import pytest

from training.simulator.plan import draw_plan
from training.simulator.uncut import KINDS, Kind, simulate_recording


@pytest.mark.parametrize("action", ["diving", "vault"])
@pytest.mark.parametrize("kind", KINDS)
def test_routines_lie_in_their_recording(action: str, kind: Kind) -> None:
    recording = simulate_recording(action, 3, 1, kind, around_s=1.0)
    assert len(recording.routines) in ((2, 3) if kind == "several" else (1,))
    stop = 0
    for shown in recording.routines:
        assert stop <= shown.start < shown.stop <= len(recording.frames)
        stop = shown.stop
    assert len(recording.routines[0]) == draw_plan(action, 3, 1000).frames


def test_equal_seeds_give_equal_recordings() -> None:
    one, other = (simulate_recording("vault", 3, 2, "others", around_s=1.0) for _ in range(2))
    np.testing.assert_array_equal(one.frames, other.frames)
    assert one.routines == other.routines


@pytest.mark.parametrize("action", ["diving", "vault"])
def test_nothing_jumps_where_a_routine_begins_or_ends(action: str) -> None:
    """Else a finder would learn how recordings are made."""
    for index in range(3):
        recording = simulate_recording(action, 5, index, "standing", around_s=1.5)
        [shown] = recording.routines
        frames = recording.frames.astype(np.int16)
        for seam in (shown.start, shown.stop):
            near = frames[max(seam - 12, 0) : seam + 12]
            changes = np.abs(np.diff(near, axis=0)).mean(axis=(1, 2, 3))
            at = seam - max(seam - 12, 0) - 1
            if 0 <= at < len(changes):
                others = np.delete(changes, at)
                assert changes[at] <= 1.25 * others.max()
