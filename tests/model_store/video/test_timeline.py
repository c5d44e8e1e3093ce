from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.video.timeline import Timeline, in_order, rising


def at(times: list[int], unit: Fraction = Fraction(1, 90000), *, stated: int = 0) -> Timeline:
    timeline = Timeline.of_pts(times, unit, stated_last_duration=stated)
    assert timeline is not None
    return timeline


def steady(count: int, fps: Fraction | int, unit: Fraction = Fraction(1, 90000)) -> Timeline:
    """Timestamps as muxers write them: rounded to the unit."""
    return at([round(Fraction(i) / fps / unit) for i in range(count)], unit)


def nearest(timeline: Timeline, fps: Fraction, output: int) -> int:
    """The rule, looked up among all frames."""
    instant = output / fps
    times = [timeline.seconds(i) for i in range(len(timeline.pts))]
    due = [i for i, time in enumerate(times) if time <= instant + 1 / (2 * fps)]
    return min(due, key=lambda i: (abs(times[i] - instant), i))


@pytest.mark.parametrize("unit", [Fraction(1, 90000), Fraction(1, 1000), Fraction(1, 30)])
@pytest.mark.parametrize("count", [1, 2, 16, 151, 900])
def test_thirty_frames_a_second_stay_as_they_are(count: int, unit: Fraction) -> None:
    assert steady(count, 30, unit).resample(Fraction(30)) == list(range(count))


def test_broadcast_rate_maps_one_to_one_over_a_clip() -> None:
    timeline = steady(151, Fraction(30000, 1001))
    assert timeline.resample(Fraction(30)) == list(range(151))


@pytest.mark.parametrize("unit", [Fraction(1, 90000), Fraction(1, 1000)])
def test_sixty_frames_a_second_lose_every_second_one(unit: Fraction) -> None:
    assert steady(302, 60, unit).resample(Fraction(30)) == list(range(0, 302, 2))


def test_every_fifth_frame_of_skating() -> None:
    assert steady(4500, 24).resample(Fraction(24, 5)) == list(range(0, 4500, 5))


def test_low_rates_repeat_frames() -> None:
    assert steady(3, 10).resample(Fraction(30)) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@given(jitter=st.lists(st.integers(-1400, 1400), min_size=20, max_size=60))
def test_jitter_below_half_a_frame_changes_nothing(jitter: list[int]) -> None:
    jitter[0] = 0
    timeline = at([3000 * i + shift for i, shift in enumerate(jitter)])
    shown = timeline.resample(Fraction(30))
    assert shown[: len(jitter) - 1] == list(range(len(jitter) - 1))


@given(
    gaps=st.lists(st.integers(1, 20000), min_size=1, max_size=40),
    fps=st.sampled_from([Fraction(30), Fraction(24, 5), Fraction(30000, 1001)]),
    first=st.integers(-(2**40), 2**40),
)
def test_any_times_against_the_rule(gaps: list[int], fps: Fraction, first: int) -> None:
    pts = [first]
    for gap in gaps:
        pts.append(pts[-1] + gap)
    timeline = at(pts)
    shown = timeline.resample(fps)
    assert shown == [nearest(timeline, fps, k) for k in range(len(shown))]
    assert abs(len(shown) - timeline.duration * fps) <= Fraction(1, 2) or len(shown) == 1


def test_a_frame_is_never_shown_long_before_its_time() -> None:
    # One frame stands for a second; the next one is nearer from 0.5 s on, but not yet on screen.
    shown = at([0, 90000, 93000]).resample(Fraction(30))
    assert shown == [0] * 30 + [1, 2]


def test_the_last_frame_is_held_for_the_median_gap() -> None:
    timeline = at([0, 3000, 6000, 96000])
    assert timeline.last_duration == 3000
    assert timeline.duration == Fraction(11, 10)


def test_rate_and_duration() -> None:
    timeline = steady(61, 60)
    assert timeline.fps == pytest.approx(60)
    assert timeline.duration == Fraction(61, 60)
    assert at([5]).fps == 0.0
    assert at([5]).resample(Fraction(30)) == [0]


def test_the_last_frame_is_held_as_long_as_the_container_says() -> None:
    still = at([0, 3000, 6000], stated=93000)
    assert still.resample(Fraction(30)) == [0, 1, *[2] * 31]
    for rounded in (0, 1, 2999, 3001, 4500):
        assert at([0, 3000, 6000], stated=rounded).last_duration == 3000
    assert at([7], stated=450000).resample(Fraction(30)) == [0]


@pytest.mark.parametrize(
    ("pts", "pictures"),
    [
        ([0, 30, 30, 90, 120], [0, 1, 3, 4]),  # the second one belongs into the gap
        ([0, 60, 60, 90, 120], [0, 2, 3, 4]),  # the first one does
        ([0, 30, 60, 40, 120], [0, 1, 2, 4]),
        ([0, 30, 9000, 90, 120], [0, 1, 3, 4]),
        ([9000, 30, 60, 90], [1, 2, 3]),
        ([0, 30, 60, 90, 10], [0, 1, 2, 3]),
        ([0, 30, None, 90], [0, 1, 3]),
        ([None, 30, 60, 90], [1, 2, 3]),
        ([0, 30, 120, 60, 90, 120, 150], [0, 1, 3, 4, 5, 6]),
        ([5, 5], [1]),
    ],
)
def test_a_wrong_time_costs_its_picture(pts: list[int | None], pictures: list[int]) -> None:
    timeline = Timeline.of_pts(pts, Fraction(1, 900))
    assert timeline is not None
    assert list(timeline.indices) == pictures
    assert list(timeline.pts) == [pts[picture] for picture in pictures]
    assert timeline.repaired
    assert not timeline.assumed


@given(
    gaps=st.lists(st.integers(1, 5000), min_size=1, max_size=80),
    wrong=st.lists(st.tuples(st.integers(0, 80), st.integers(-(10**6), 10**6)), max_size=6),
)
def test_as_few_pictures_as_possible_are_left_out(
    gaps: list[int], wrong: list[tuple[int, int]]
) -> None:
    pts: list[int | None] = np.cumsum(gaps).tolist()
    for place, time in wrong:
        pts[place % len(pts)] = time or None
    kept = rising(pts)
    times = [pts[place] for place in kept]
    assert in_order(times)
    assert len(kept) == longest_rise(pts)


def longest_rise(pts: list[int | None]) -> int:
    """By trying every end."""
    best: list[int] = []
    for at, stamp in enumerate(pts):
        before = [
            best[i] for i in range(at) if (other := pts[i]) is not None and other < (stamp or 0)
        ]
        best.append(0 if stamp is None else 1 + max(before, default=0))
    return max(best)


@pytest.mark.parametrize("count", [40, 400])
def test_of_more_wrong_times_none_is_believed(count: int) -> None:
    pts: list[int | None] = list(range(count))
    for place in range(count // 20):
        pts[20 * place + 10] = pts[20 * place + 9]
    assert Timeline.of_pts(pts, Fraction(1, 30)) is not None
    pts[5] = None
    assert Timeline.of_pts(pts, Fraction(1, 30)) is None


@pytest.mark.parametrize("pts", [[], [None], [None, None, 3], [3, 2, 1]])
def test_times_that_are_of_no_use(pts: list[int | None]) -> None:
    assert Timeline.of_pts(pts, Fraction(1, 30)) is None
    assert Timeline.of_pts([0, 1, 2], None) is None


def test_counted_frames() -> None:
    timeline = Timeline.at_rate(50, Fraction(25))
    assert timeline.assumed
    assert timeline.duration == 2
    assert len(timeline.resample(Fraction(30))) == 60
