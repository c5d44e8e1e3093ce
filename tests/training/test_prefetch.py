"""Results come in order, and no more is computed ahead than was asked for."""

from training.prefetch import prefetched


def test_results_come_in_order_and_a_few_ahead() -> None:
    started: list[int] = []

    def square(number: int) -> int:
        started.append(number)
        return number**2

    results = prefetched(square, range(10), threads=2, ahead=3)
    assert next(results) == 0
    assert set(started) <= {0, 1, 2, 3}
    assert list(results) == [n**2 for n in range(1, 10)]
    assert sorted(started) == list(range(10))


def test_nothing_gives_nothing() -> None:
    assert list(prefetched(str, [])) == []
