"""The measures of a picture, on pictures whose values are known."""

from pathlib import Path

import numpy as np
import pytest

from training.simulator.appearance import MEASURES, MOMENTS, appearance, measure, moments, table
from training.simulator.dataset import write_dataset


def test_measures_of_known_pictures() -> None:
    half = np.zeros((40, 60, 3), np.uint8)
    half[:, 30:] = 200
    brightness, contrast, saturation, sharpness = measure(half)
    assert (brightness, contrast, saturation) == pytest.approx((100, 100, 0))
    # the Laplacian is ±200 in the two columns at the edge, and 0 elsewhere
    assert sharpness == pytest.approx(200**2 * 2 / 60)
    blue = np.full((4, 4, 3), (50, 100, 200), np.uint8)
    assert measure(blue)[2] == pytest.approx(255 * 150 / 200)


def test_moments_lie_in_their_stages_and_in_the_clip() -> None:
    assert moments([0, 20, 30, 60, 70], 100) == [10, 45, 65, 85]
    assert moments([0, 20, 30, 60, 70], 80)[-1] == 79


def test_a_folder_has_a_table(tmp_path: Path) -> None:
    write_dataset("diving", 2, 5, tmp_path, workers=1)
    values = appearance(tmp_path)
    assert values.shape == (2, len(MOMENTS), len(MEASURES))
    assert (values > 0).all()
    lines = table(values).splitlines()
    assert [line.split()[0] for line in lines] == ["start", *MEASURES]
    low, middle, high = (float(q) for q in lines[1].split()[1:6:2])
    assert low <= middle <= high
