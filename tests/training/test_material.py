"""Which clips choose the weights: a share of the training split, or one fold of it."""

import numpy as np
import pytest

from training.errors import DataError
from training.material import Material, open_material


def opened(bright, spec, cache, **options) -> Material:
    return open_material((str(bright),), spec, seed=4, cache=cache, **options)


def test_folds_make_up_the_training_split(bright, spec, tmp_path):
    folds = [opened(bright, spec, tmp_path, validation=0.2, fold=(i, 7)) for i in range(7)]
    assert sorted(np.concatenate([fold.validation for fold in folds])) == list(range(60))
    for fold in folds:
        assert len(fold.validation) in (8, 9)
        assert sorted([*fold.training, *fold.validation]) == list(range(60))
        assert all(clip.split == "train" for clip in fold.clips)


def test_a_share_depends_on_the_seed_alone(bright, spec, tmp_path):
    one, two = (opened(bright, spec, tmp_path, validation=0.25) for _ in range(2))
    assert len(one.validation) == 15
    assert one.validation.tolist() == two.validation.tolist()
    assert not set(one.validation) & set(one.training)


def test_too_few_clips_to_choose_by(bright, spec, tmp_path):
    with pytest.raises(DataError, match="60 training clips, 1 of them"):
        opened(bright, spec, tmp_path, validation=0.02)
    with pytest.raises(DataError, match="need at least 2 each"):
        opened(bright, spec, tmp_path, validation=0.2, fold=(0, 60))
