"""
The judges: the marks that a panel gives for a performance.

They always scatter: every judge has a bias and a noise of that clip, as wide as real panels show
at that level (`statistics.json`, `panel_spread`). What the rules make of them is in
`model_store.judging`; there is no skating, since its panel and its points are the simulator's own.
"""

from collections.abc import Sequence

import numpy as np

from training.simulator.statistics import real_statistics

DIVING_JUDGES = 7
VAULT_JUDGES = 5
SKATING_JUDGES = 9
SKATING_SPREAD = 0.3  # marks
VAULT_SPREAD = 0.1  # points of E; panels of the code give tenths and rarely differ by 0.3


def diving_marks(level: float, rng: np.random.Generator) -> tuple[float, ...]:
    """Seven marks 0–10 in halves around `level`, the mark that a faultless judge would give."""
    spread = real_statistics()["diving"]["panel_spread"]
    width = float(np.interp(level, spread["level"], spread["deviation"]))
    width = np.sqrt(max(width**2 - 0.5**2 / 12, 0.15**2))  # rounding to halves adds its own
    bias, noise = rng.standard_normal((2, DIVING_JUDGES))
    given = level + width * (0.6 * bias + 0.8 * noise)
    return tuple(float(m) for m in np.clip(np.round(given * 2) / 2, 0, 10))


def vault_marks(level: float, rng: np.random.Generator) -> tuple[float, ...]:
    """Five marks 0–10 in tenths around `level`."""
    bias, noise = rng.standard_normal((2, VAULT_JUDGES))
    given = level + VAULT_SPREAD * (0.6 * bias + 0.8 * noise)
    return tuple(float(m) for m in np.clip(np.round(given, 1), 0, 10))


def skating_marks(level: float, rng: np.random.Generator) -> tuple[float, ...]:
    """Nine marks 0–10 in quarters around `level`."""
    bias, noise = rng.standard_normal((2, SKATING_JUDGES))
    given = level + SKATING_SPREAD * (0.6 * bias + 0.8 * noise)
    return tuple(float(m) for m in np.clip(np.round(given * 4) / 4, 0, 10))


def skating_execution(marks: Sequence[float]) -> float:
    """Mean of the middle seven of nine: the highest and the lowest are dropped."""
    return round(sum(sorted(marks)[1:8]) / 7, 3)
