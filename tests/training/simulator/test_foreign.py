import itertools
from pathlib import Path

import numpy as np
import pytest

from model_store.clip import read_clip
from model_store.spec import DIVING
from training.simulator import foreign
from training.simulator.foreign import FRAMES, HEIGHT, KINDS, WIDTH, foreign_clip, write_foreign


@pytest.mark.parametrize("index", range(len(KINDS)), ids=KINDS)
def test_a_seed_makes_one_clip_and_another_seed_another(
    index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "FRAMES", 20)  # drawn as the 140 of a whole one are
    kind, frames = foreign_clip(3, index)
    assert kind == list(KINDS)[index]
    assert frames.shape == (20, HEIGHT, WIDTH, 3)
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, foreign_clip(3, index)[1])
    assert not np.array_equal(frames, foreign_clip(4, index)[1])
    assert any(not np.array_equal(a, b) for a, b in itertools.pairwise(frames))  # it moves


def test_files_are_videos_that_decode(tmp_path: Path) -> None:
    [path] = write_foreign(tmp_path / "new", 1, seed=0)
    assert len(read_clip(path, DIVING.with_size((32, 32), (32, 32))).frames) == FRAMES
