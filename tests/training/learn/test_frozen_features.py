"""Which versions of a clip the features of frozen extractors are of, and a line is fitted to."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.bright import Quiet, beside_a_readout, bright_run, dataset_of
from training.data.augment import Augmentation
from training.data.batches import Draw, Variation, make_batch
from training.learn.frozen_features import FrozenFeatures, compute_features
from training.learn.learner import Learner
from training.learn.run_folder import RunFolder
from training.learn.run_spec import RunSpec
from training.learn.starting_point import rows_of
from training.learn.trainer import Trainer

LOOKS = {"flip": 0.5, "colour": 0.2, "zoom": 0.1}


@pytest.fixture
def run(bright: Path, tmp_path: Path) -> RunSpec:
    """Of three views, with looks."""
    return with_views(beside_a_readout(bright_run(bright, **LOOKS), tmp_path), 3)


def with_views(run: RunSpec, views: int) -> RunSpec:
    return dataclasses.replace(run, network=dataclasses.replace(run.network, views=views))


def features_of(run: RunSpec, folder: Path, variants: int) -> tuple[Learner, FrozenFeatures]:
    learner = Trainer(run, dataset_of(run), RunFolder(folder)).learner
    return learner, compute_features(learner, variants, Quiet())


def varied(learner: Learner, variation: Variation, number: int) -> tuple[Tensor, list[Draw]]:
    """Features of all clips as they are drawn for that variant."""
    dataset = learner.dataset
    clips = np.arange(len(dataset.clips))
    draws = [variation.draw(dataset.spec, learner.run.seed, (0, number), int(c)) for c in clips]
    batch = make_batch(dataset.cache, dataset.spec, clips, draws)
    return learner.features(batch, frozen=True).detach(), draws


def test_views_come_again_as_copies_at_lower_frame_rates_show_them(
    run: RunSpec, tmp_path: Path
) -> None:
    low = dataclasses.replace(run, low_frame_rate=1.0)
    learner, frozen = features_of(low, tmp_path, 5)
    _, before = features_of(run, tmp_path, 5)
    assert torch.equal(frozen.served, before.served)
    for number, view in ((3, learner.views[0]), (4, learner.views[1])):
        look = Augmentation(flip=float(view.mirrored), low_frame_rate=1.0)
        variation = Variation(shift=False, blanking=0.0, augmentation=look, start=view.start)
        expected, draws = varied(learner, variation, number)
        torch.testing.assert_close(frozen.features[number], expected, rtol=1e-4, atol=1e-4)
        assert (frozen.starts[number] == view.start).all()
        shown = [draw.look.shown for draw in draws if draw.look is not None]
        assert len(set(shown)) > 0.9 * len(draws)  # each clip at another rate
        changed = (
            (frozen.features[number] - frozen.features[number - 3]).abs().amax((1, 2, 3, 4, 5))
        )
        assert (changed > 0.01).all()


@pytest.mark.parametrize(
    ("views", "number", "chosen"), [(3, 3, {}), (1, 2, {}), (1, 2, {"low_frame_rate": 1.0})]
)
def test_other_runs_have_random_starts_and_looks_beyond_their_views(
    views: int, number: int, chosen: dict[str, Any], run: RunSpec, tmp_path: Path
) -> None:
    other = dataclasses.replace(with_views(run, views), **chosen)
    learner, frozen = features_of(other, tmp_path, number + 1)
    looks = Augmentation(**LOOKS | chosen)
    expected, draws = varied(
        learner, Variation(shift=True, blanking=0.0, augmentation=looks), number
    )
    torch.testing.assert_close(frozen.features[number], expected, rtol=1e-4, atol=1e-4)
    assert frozen.starts[number].tolist() == [draw.start for draw in draws]


def test_a_line_is_fitted_to_all_variants(run: RunSpec, tmp_path: Path) -> None:
    learner, frozen = features_of(run, tmp_path, 4)
    for rows in rows_of(learner, frozen):
        assert len(rows.features) == len(rows.head) == len(rows.judged) == 4
        assert rows.views == frozen.views == 3
