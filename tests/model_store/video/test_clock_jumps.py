from fractions import Fraction

import pytest

from model_store.video.clock_jumps import shifts

MS = Fraction(1, 1000)


def moved(times: list[int], *, broadcast: bool = True) -> list[int]:
    every = shifts(times, times, MS, broadcast=broadcast)
    return [time + shift for time, shift in zip(times, every, strict=True)]


def steady(start: int, count: int) -> list[int]:
    return [start + 40 * i for i in range(count)]


@pytest.mark.parametrize("second", [3_600_000, 5000, 100, 0, 700])
@pytest.mark.parametrize("broadcast", [True, False])
def test_a_gap_is_closed(second: int, broadcast: bool) -> None:
    times = steady(1000, 50) + steady(second, 50)
    closed = steady(1000, 100)
    ahead = second > times[49]
    assert moved(times, broadcast=broadcast) == (times if ahead and not broadcast else closed)


def test_several_gaps_and_the_end_of_the_bits() -> None:
    assert moved(steady(9000, 50) + steady(0, 50) + steady(90_000, 50)) == steady(9000, 150)


@pytest.mark.parametrize("times", [
    steady(0, 50),
    [0, 900, 1800, 2700],
    [*steady(0, 20), 90_000, *steady(840, 30)],  # a time that is wrong alone
    [*steady(0, 20), 10, *steady(840, 30)],
    [5000 * i for i in range(8)],  # a broadcast of stills
    [7],
    [],
])  # fmt: skip
def test_what_is_no_jump(times: list[int]) -> None:
    assert moved(times) == times


def test_pictures_in_another_order_than_they_are_stored() -> None:
    decoded = steady(0, 8) + steady(900_000, 8)
    shown = [time + delay for time, delay in zip(decoded, [40, 120, 40, 0] * 4, strict=True)]
    every = shifts(decoded, shown, MS, broadcast=True)
    assert every[:8] == [0] * 8
    assert min(shown[8:]) + every[8] == max(shown[:8]) + 40


def test_no_clock_at_all() -> None:
    assert shifts([None] * 4, [None] * 4, MS, broadcast=True) == [0] * 4
    assert shifts([1, 2], [1, 2], None, broadcast=True) == [0, 0]
