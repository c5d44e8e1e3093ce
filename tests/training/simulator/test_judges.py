"""The marks that simulated panels give."""

import numpy as np
import pytest

from training.simulator.judges import diving_marks, vault_marks
from training.simulator.statistics import real_statistics


def test_marks_are_halves_and_tenths_within_0_to_10() -> None:
    rng = np.random.default_rng(0)
    for level in (0.2, 5.0, 9.9):
        dive, vault = diving_marks(level, rng), vault_marks(level, rng)
        assert len(dive) == 7
        assert len(vault) == 5
        assert all(0 <= m <= 10 and m * 2 == int(m * 2) for m in dive)
        assert all(0 <= m <= 10 and m == pytest.approx(round(m, 1)) for m in vault)


@pytest.mark.parametrize("level", [5.5, 6.5, 7.5, 8.5])
def test_spread_within_a_panel_is_the_real_one(level: float) -> None:
    rng = np.random.default_rng(1)
    panels = np.array([diving_marks(level, rng) for _ in range(1500)])
    real = real_statistics()["diving"]["panel_spread"]
    expected = real["deviation"][real["level"].index(level)]
    assert np.sqrt(panels.var(axis=1, ddof=1).mean()) == pytest.approx(expected, rel=0.08)
