"""A recording that nobody has cut, for the tests of all packages."""

import functools
from collections.abc import Sequence
from fractions import Fraction

from training.measure.stored_copies import STORAGE_VARIANTS, Recording, StorageVariant
from training.simulator.looks import Pixels
from training.simulator.uncut import UncutRecording, simulate_recording

FPS = 30
NEAR = 12  # frames by which the ends of a simulated dive may be off, which nothing marks


@functools.cache
def uncut_dive() -> UncutRecording:
    """About ten seconds; the athlete walks to the edge of the platform."""
    return simulate_recording("diving", 4711, 7, "walking", around_s=5.0)


def stored(
    frames: Pixels | Sequence[Pixels], variant: StorageVariant = STORAGE_VARIANTS["again"]
) -> bytes:
    """(N, 240, 320, 3) RGB as a file."""
    times = [Fraction(n, FPS) for n in range(len(frames))]
    return variant.store(Recording([*frames], times))


@functools.cache
def uncut_file() -> bytes:
    return stored(uncut_dive().frames)
