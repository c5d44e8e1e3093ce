import numpy as np
import pytest

from training.simulator.judges import (
    diving_execution,
    diving_marks,
    vault_execution,
    vault_marks,
)
from training.simulator.statistics import real_statistics


def test_diving_rule_by_hand():
    # a dive of the 2012 Games: 7.5 7.0 7.5 8.5 7.5 8.0 7.5; off go 7.0, 7.5 and 8.5, 8.0
    assert diving_execution([7.5, 7.0, 7.5, 8.5, 7.5, 8.0, 7.5]) == 22.5


def test_vault_rule_by_hand():
    # 8.8 and 9.3 go; (9.0 + 9.1 + 9.1) / 3
    assert vault_execution([9.1, 8.8, 9.3, 9.0, 9.1]) == pytest.approx(9.067)


def test_a_panel_of_another_size_is_refused():
    with pytest.raises(ValueError, match="5 marks"):
        diving_execution([8.0] * 5)
    with pytest.raises(ValueError, match="7 marks"):
        vault_execution([8.0] * 7)


def test_marks_are_halves_and_tenths_within_0_to_10():
    rng = np.random.default_rng(0)
    for level in (0.2, 5.0, 9.9):
        dive, vault = diving_marks(level, rng), vault_marks(level, rng)
        assert len(dive) == 7
        assert len(vault) == 5
        assert all(0 <= m <= 10 and m * 2 == int(m * 2) for m in dive)
        assert all(0 <= m <= 10 and m == pytest.approx(round(m, 1)) for m in vault)


@pytest.mark.parametrize("level", [5.5, 6.5, 7.5, 8.5])
def test_spread_within_a_panel_is_the_real_one(level):
    rng = np.random.default_rng(1)
    panels = np.array([diving_marks(level, rng) for _ in range(1500)])
    real = real_statistics()["diving"]["panel_spread"]
    expected = real["deviation"][real["level"].index(level)]
    assert np.sqrt(panels.var(axis=1, ddof=1).mean()) == pytest.approx(expected, rel=0.08)
