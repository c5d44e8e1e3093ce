import pytest

from training.simulator.plan import draw_plan
from training.simulator.routines import routines


@pytest.mark.parametrize(("action", "low", "high"), [("diving", 2.7, 4.1), ("vault", 4.6, 7.4)])
def test_difficulty_lies_in_the_range_of_the_sport(action: str, low: float, high: float) -> None:
    values = [routine.difficulty for routine in routines(action).values()]
    assert min(values) == low
    assert max(values) == high


def test_all_groups_and_families_are_there() -> None:
    assert {r.group for r in routines("diving").values()} == {
        "forward", "back", "reverse", "inward", "twisting", "armstand",
    }  # fmt: skip
    assert {r.group for r in routines("vault").values()} == {"handspring", "tsukahara", "yurchenko"}


@pytest.mark.parametrize("action", ["diving", "vault"])
def test_difficulty_follows_from_what_can_be_seen(action: str) -> None:
    """No two routines that look alike are worth different points; harder ones are worth more."""
    table = list(routines(action).values())
    seen = {(r.group, r.start, r.somersaults, r.twists, r.position) for r in table}
    assert len(seen) == len(table)
    for a in table:
        for b in table:
            alike = (a.group, a.start, a.position) == (b.group, b.start, b.position)
            if alike and (a.somersaults, a.twists) < (b.somersaults, b.twists):
                assert a.difficulty < b.difficulty, (a.code, b.code)


def test_dives_end_head_first() -> None:
    for routine in routines("diving").values():
        halves = 2 * routine.somersaults
        assert halves % 2 == (0 if routine.group == "armstand" else 1), routine.code


def test_a_code_overrides_the_routine_alone() -> None:
    drawn, fixed = draw_plan("diving", 4, 4), draw_plan("diving", 4, 4, code="109B")
    assert fixed.routine.code == "109B"
    assert fixed.stage_starts == drawn.stage_starts
