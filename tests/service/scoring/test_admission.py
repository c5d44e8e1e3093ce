import pytest

from service.errors import QueueFull
from service.metrics import Metrics
from service.scoring.admission import Admission


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    return Admission(18, Metrics(), clock=clock)


def test_full_at_the_limit_and_free_again_on_every_way_out(admission: Admission) -> None:
    with admission.place(9, "a"):
        admission.require_room("a")
        with admission.place(9, "a"):
            with pytest.raises(QueueFull):
                admission.require_room("a")
            with pytest.raises(QueueFull), admission.place(1, "a"):
                pass
        with pytest.raises(ZeroDivisionError), admission.place(9, "a"):
            _ = 1 / 0
        assert admission.fragments == 9
    assert admission.fragments == 0


def test_one_client_cannot_take_all_places(clock: Clock) -> None:
    admission = Admission(36, Metrics(), client_share=0.75, clock=clock)
    with admission.place(9, "a"), admission.place(9, "a"), admission.place(9, "a"):
        with pytest.raises(QueueFull, match="of yours"), admission.place(9, "a"):
            pass
        with pytest.raises(QueueFull, match="of yours"):
            admission.require_room("a")
        admission.require_room("b")
        with admission.place(9, "b"), pytest.raises(QueueFull, match="36 fragments are waiting"):
            admission.require_room("c")
    with admission.place(36, "a"):  # alone, a clip may be larger than the share
        assert admission.fragments == 36
    assert admission.fragments == 0


def test_a_clip_larger_than_the_limit_is_admitted_alone(admission: Admission) -> None:
    with admission.place(20, "a"):
        assert admission.fragments == 20
    with admission.place(1, "a"), pytest.raises(QueueFull), admission.place(20, "a"):
        pass


def test_retry_after_is_what_waits_over_the_measured_rate(
    admission: Admission, clock: Clock
) -> None:
    with admission.place(9, "a"), admission.place(9, "a"):
        assert admission.retry_after_s() == 60  # nothing measured yet: the longest
        clock.now += 3
        admission.done(9)  # 3 fragments a second
        assert admission.retry_after_s() == 6
        with pytest.raises(QueueFull) as refused, admission.place(9, "a"):
            pass
        assert refused.value.retry_after_s == 6


def test_idle_time_does_not_slow_the_rate(admission: Admission, clock: Clock) -> None:
    with admission.place(18, "a"):
        clock.now += 6
        admission.done(18)
    clock.now += 3600
    with admission.place(18, "a"):
        clock.now += 6
        admission.done(18)
        assert admission.retry_after_s() == 6


def test_retry_after_is_never_less_than_a_second(admission: Admission, clock: Clock) -> None:
    with admission.place(9, "a"):
        clock.now += 0.001
        admission.done(9)
        assert admission.retry_after_s() == 1


@pytest.mark.parametrize("batches", [1, 10])
def test_the_rate_forgets_by_time_and_not_by_batches(clock: Clock, batches: int) -> None:
    """Ten batches of 1 s each weigh as much as one of 10 s at the same rate."""
    admission = Admission(9, Metrics(), clock=clock)
    with admission.place(2543, "a"):
        clock.now += 1
        admission.done(100)
        for _ in range(batches):
            clock.now += 10 / batches
            admission.done(100 // batches)
        # After 10 s the old rate still counts 1/e: 10 + 90/e = 43.11 a second.
        assert admission.retry_after_s() == 59
