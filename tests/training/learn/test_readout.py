"""The linear path fitted to scores that depend on the features, on the head, or on nothing."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.model_selection import GroupKFold

from model_store.network import FragmentNetwork
from tests.training.bright import SPEC, TINY
from training.errors import DataError
from training.learn.forward import join
from training.learn.readout import PENALTIES, Floats, Readout, Regression, Rows, rescaled
from training.learn.starting_point import mean_over_frames

FRAGMENTS, CHANNELS = 2, 12
BLANK = np.full((FRAGMENTS, CHANNELS), 0.2)


def rows(clips: int, *, of_features: float, of_head: float, noise: float, seed: int = 0) -> Rows:
    """Each clip twice, its features a little changed; what the score depends on is as told."""
    random = np.random.default_rng(seed)
    features = random.normal(1.0, 0.5, (clips, FRAGMENTS, CHANNELS))
    head = random.normal(70, 10, clips)
    line = np.random.default_rng(99).normal(size=(FRAGMENTS, CHANNELS))
    signal = of_features * (features * line).sum(axis=(1, 2)) + of_head * head
    judged = 20 + signal + random.normal(0, noise, clips)
    again = features + random.normal(0, 0.01, features.shape)
    return Rows(
        features=np.stack([features, again]),
        shown=np.ones((2, clips, FRAGMENTS), bool),
        head=np.stack([head, head]),
        judged=np.stack([judged, judged]),
        factor=np.ones(clips),
        weight=np.ones(clips),
        groups=np.arange(clips),
        leader=np.arange(clips),
        differences=np.zeros(clips),
        kinds=np.full(clips, -1),
        views=1,
    )


def fit(learnt: Rows, blank: Floats, *, use_head: bool | None = None) -> Readout:
    return Regression.of(learnt, blank).readout(use_head=use_head)


def error(line: Readout, held: Rows) -> float:
    return float(np.abs(line.predict(held.features, held.head) - held.judged).mean())


def test_what_the_features_tell_is_learned_without_the_head() -> None:
    learnt, held = (rows(n, of_features=5, of_head=0, noise=0.5, seed=n) for n in (300, 100))
    line = fit(learnt, BLANK)
    assert error(line, held) < 0.3 * np.abs(held.judged - learnt.judged.mean()).mean()
    assert abs(line.scale) < 0.05


def test_a_head_that_knows_is_listened_to_and_brought_to_scale() -> None:
    learnt, held = (rows(n, of_features=0, of_head=0.55, noise=1.0, seed=n) for n in (40, 400))
    line = fit(learnt, BLANK)
    assert line.scale == pytest.approx(0.55, abs=0.06)
    assert error(line, held) < 1.1 * error(rescaled(learnt), held)


def test_both_together_are_better_than_either() -> None:
    learnt, held = (rows(n, of_features=3, of_head=0.5, noise=1.0, seed=n) for n in (200, 200))
    both, ridge = fit(learnt, BLANK), fit(learnt, BLANK, use_head=False)
    assert error(both, held) < 0.5 * min(error(ridge, held), error(rescaled(learnt), held))


def test_where_nothing_tells_of_the_score_the_mean_is_answered() -> None:
    """A clip's second variant in another fold would give its score away."""
    learnt = rows(60, of_features=0, of_head=0, noise=5.0)
    line = fit(learnt, BLANK)
    answers = line.predict(learnt.features, learnt.head)
    assert answers.std() < 0.4 * learnt.judged.std()


STEADINESS = 4.0


def ridge(learnt: Rows, columns: Floats, penalties: Floats) -> Floats:
    """One weight for each column of (V, n, columns): least squares with a row for each penalty.

    The first two of three variants are views: their mean is to be the judged score. Either view is
    to be their mean, and the third variant the first view.
    """
    counts = np.sqrt(learnt.factor**2 * learnt.weight)
    counts /= np.sqrt((counts**2).mean())
    left, right = [np.diag(np.sqrt(penalties))], [np.zeros(len(penalties))]
    served = columns[:2].mean(axis=0)
    left.append(counts[:, None] * served)
    right.append(counts * learnt.judged[0])
    for change in (columns[0] - served, columns[1] - served, columns[2] - columns[0]):
        left.append(np.sqrt(STEADINESS / 3) * counts[:, None] * change)
        right.append(np.zeros(len(change)))
    weights: Floats = np.linalg.lstsq(np.vstack(left), np.concatenate(right))[0]
    return weights


@pytest.mark.parametrize("use_head", [False, True])
@pytest.mark.parametrize("clips", [8, 60])
def test_the_line_and_its_errors_are_those_of_ridge_regressions(use_head: bool, clips: int) -> None:
    """Also where clips in all variants are not more than features."""
    random = np.random.default_rng(5)
    learnt = rows(clips, of_features=2, of_head=1.5, noise=2.0)
    changed = learnt.features[0] + random.normal(0, 0.1, learnt.features[0].shape)
    learnt = dataclasses.replace(
        learnt,
        features=np.stack([*learnt.features, changed]),
        shown=np.ones((3, clips, FRAGMENTS), bool),
        head=learnt.head[0] + np.array([[0.0], [1.0], [-2.0]]),
        judged=np.stack([learnt.judged[0]] * 3),
        factor=random.uniform(1.5, 3.5, clips),
        weight=random.uniform(0.1, 1.0, clips),
        groups=np.arange(clips) // 2,
        views=2,
    )
    regression = Regression.of(learnt, BLANK, steadiness=STEADINESS)
    inputs = regression.centring(learnt)
    free = [np.ones_like(learnt.head), learnt.head][: 1 + use_head]
    columns = np.concatenate([inputs, np.stack(free, axis=-1)], axis=-1)
    penalised = np.arange(columns.shape[-1]) < inputs.shape[-1]

    line = regression.readout(use_head=use_head)
    penalty = min(line.penalty, 1e12)  # it may be infinite
    expected = columns @ ridge(learnt, columns, penalty * penalised)
    predicted = line.predict(learnt.features, learnt.head)
    np.testing.assert_allclose(predicted, expected, rtol=1e-7)

    for column in (3, 10):
        squares = np.zeros(clips)
        folds = GroupKFold(min(5, clips // 2), shuffle=True, random_state=0)
        for taught, held in folds.split(squares, groups=learnt.groups):
            counts = learnt.factor**2 * learnt.weight  # penalties are beside all clips' mean
            share = counts[taught].mean() / counts.mean()
            weights = ridge(
                learnt.of(taught), columns[:, taught], PENALTIES[column] / share * penalised
            )
            off = columns[:2, held].mean(axis=0) @ weights - learnt.judged[0, held]
            squares[held] = (off * learnt.factor[held]) ** 2 * learnt.weight[held]
        means = squares.reshape(-1, 2).mean(axis=1)  # two clips a group
        np.testing.assert_allclose(regression.errors[:, int(use_head), column], means, rtol=1e-7)


def test_a_steadier_line_changes_less_between_the_versions_of_a_clip() -> None:
    random = np.random.default_rng(3)
    learnt = rows(60, of_features=2, of_head=0, noise=5.0)
    changed = learnt.features[0] + random.normal(0, 0.5, learnt.features[0].shape)
    learnt = dataclasses.replace(learnt, features=np.stack([learnt.features[0], changed]))

    def change(steadiness: float) -> float:
        line = Regression.of(learnt, BLANK, steadiness=steadiness).readout(use_head=False)
        one, other = line.predict(learnt.features, learnt.head)
        return float(np.abs(one - other).mean())

    assert change(30.0) < 0.5 * change(0.0)


def test_what_hardly_varies_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line in the space of a few directions, for very many features."""
    monkeypatch.setattr("training.learn.readout.DIRECTIONS", 3)
    learnt = rows(60, of_features=5, of_head=0, noise=0.5)
    regression = Regression.of(learnt, BLANK)
    inputs = regression.centring(learnt).reshape(-1, FRAGMENTS * CHANNELS)
    *_, axes = np.linalg.svd(inputs, full_matrices=False)
    np.testing.assert_allclose(
        regression.directions @ regression.directions.T, axes[:3].T @ axes[:3], atol=1e-9
    )
    line = regression.readout(use_head=False)
    predicted = line.predict(learnt.features, learnt.head).ravel()
    within = np.column_stack([inputs @ axes[:3].T, np.ones(len(inputs))])
    parts, *_ = np.linalg.lstsq(within, predicted)
    assert predicted.std() > 0.1
    np.testing.assert_allclose(within @ parts, predicted, rtol=1e-9)


def test_a_head_that_always_says_the_same_is_left_out() -> None:
    learnt = rows(60, of_features=5, of_head=0, noise=0.5)
    constant = dataclasses.replace(learnt, head=np.full_like(learnt.head, 70.0))
    regression = Regression.of(constant, BLANK)
    np.testing.assert_array_equal(*regression.errors.swapaxes(0, 1))
    assert regression.readout(use_head=True).scale == 0


def test_a_head_that_says_something_of_one_clip_only_does_no_harm() -> None:
    """The folds that are fitted without that clip know nothing of the head."""
    learnt = rows(60, of_features=5, of_head=0, noise=0.5)
    rare = dataclasses.replace(learnt, head=np.full_like(learnt.head, 70.0))
    rare.head[:, 7] = 90.0
    regression = Regression.of(rare, BLANK)
    assert np.isfinite(regression.errors).all()
    plain = Regression.of(dataclasses.replace(rare, head=np.full_like(rare.head, 70.0)), BLANK)
    others = np.arange(60) != 7
    np.testing.assert_allclose(
        regression.errors[others].mean(axis=0), plain.errors[others].mean(axis=0), rtol=0.1
    )


def test_a_head_that_is_the_wrong_way_round_is_left_out() -> None:
    wrong = rows(50, of_features=0, of_head=-1.0, noise=1.0)
    for line in (fit(wrong, BLANK), rescaled(wrong)):
        assert line.scale == 0


def test_a_blank_fragment_counts_as_an_average_one() -> None:
    learnt = rows(300, of_features=5, of_head=0, noise=0.5)
    line = fit(learnt, BLANK, use_head=False)
    mean = learnt.features[0].mean(axis=0)
    average, blank = (line.predict(x[None], np.zeros(1))[0] for x in (mean, BLANK))
    assert blank == pytest.approx(average, abs=0.05)
    assert average == pytest.approx(learnt.judged.mean(), abs=0.05)
    hidden = dataclasses.replace(learnt, shown=np.zeros_like(learnt.shown))
    assert np.abs(fit(hidden, BLANK, use_head=False).weights).max() == 0


@torch.inference_mode()
def test_the_network_says_what_was_fitted() -> None:
    torch.manual_seed(0)
    spec = dataclasses.replace(TINY, readout=True, target="both")
    network = FragmentNetwork(spec, SPEC).eval()
    network.head.baseline.fill_(60)
    features = torch.rand(30, 2, *network.fragment_feature_shape)
    before = network.head(join(features)).double().numpy()
    head = before[:, 1]
    places = mean_over_frames(features).double().numpy()
    random = np.random.default_rng(0)
    learnt = Rows(
        features=places[None],
        shown=np.ones((1, 30, 2), bool),
        head=head[None],
        judged=(places @ random.normal(size=places.shape[-1]) @ [3.0, 5.0] + 2 * head)[None],
        factor=np.ones(30),
        weight=np.ones(30),
        groups=np.arange(30),
        leader=np.arange(30),
        differences=np.zeros(30),
        kinds=np.full(30, -1),
        views=1,
    )
    line = fit(learnt, np.zeros(places.shape[1:]), use_head=True)
    assert np.abs(line.weights).max() > 0
    line.put_into(network.head, 1)
    predicted = network.head(join(features)).numpy()
    np.testing.assert_allclose(predicted[:, 1], line.predict(places, head), rtol=1e-4)
    np.testing.assert_array_equal(predicted[:, 0], before[:, 0])  # another output is left alone


def test_errors_count_in_points_of_the_announced_score() -> None:
    """What is hard to tell is told of the clips whose difficulty makes most of it."""
    learnt = rows(200, of_features=5, of_head=0, noise=0.5)
    easy = np.arange(200) % 2 == 0
    contrary = dataclasses.replace(
        learnt, judged=np.where(easy, 2 * learnt.judged.mean() - learnt.judged, learnt.judged)
    )
    for wanted, factor in ((~easy, np.where(easy, 0.01, 4.0)), (easy, np.where(easy, 4.0, 0.01))):
        weighed = dataclasses.replace(contrary, factor=factor)
        for line in (fit(weighed, BLANK), fit(weighed, BLANK, use_head=False)):
            clips = np.flatnonzero(wanted)
            assert error(line, contrary.of(clips)) < 0.3 * contrary.judged[:, clips].std()


def test_a_clip_whose_errors_count_twice_is_as_two_clips() -> None:
    learnt = rows(40, of_features=0, of_head=0.5, noise=4.0)
    twice = np.arange(40) < 10
    weighed = dataclasses.replace(learnt, factor=np.where(twice, np.sqrt(2), 1.0))
    doubled = learnt.of(np.concatenate([np.arange(40), np.flatnonzero(twice)]))
    one, other = rescaled(weighed), rescaled(doubled)
    assert (one.scale, one.constant) == pytest.approx((other.scale, other.constant))
    alike = fit(dataclasses.replace(learnt, factor=np.full(40, 3.0)), BLANK)
    np.testing.assert_allclose(alike.weights, fit(learnt, BLANK).weights)


def test_clips_of_a_group_do_not_choose_what_is_learned_from_the_others() -> None:
    """Features that tell the group, as a pool or a camera does, tell nothing of a new one."""
    random = np.random.default_rng(1)
    learnt = rows(80, of_features=0, of_head=0, noise=0.5)
    groups = np.arange(80) % 8
    line = random.normal(size=(8, FRAGMENTS, CHANNELS))
    of_group = dataclasses.replace(
        learnt,
        features=learnt.features + 3 * line[groups],
        judged=learnt.judged + random.normal(0, 10, 8)[groups],
    )
    parted = fit(dataclasses.replace(of_group, groups=groups), BLANK)
    assert parted.penalty > 100 * fit(of_group, BLANK).penalty


def test_too_few_clips_are_refused() -> None:
    with pytest.raises(DataError, match="7 training clips of 7 groups, need at least 8 of 3"):
        fit(rows(7, of_features=1, of_head=0, noise=1), BLANK)
    learnt = rows(40, of_features=1, of_head=0, noise=1)
    with pytest.raises(DataError, match="40 training clips of 2 groups"):
        fit(dataclasses.replace(learnt, groups=np.arange(40) % 2), BLANK)
    fit(dataclasses.replace(learnt, groups=np.arange(40) % 3), BLANK)


def in_pairs(clips: int, *, seed: int = 0) -> Rows:
    """Noisy scores; the second half are the first with more of one feature, for 7 points less."""
    clean = rows(clips, of_features=1, of_head=0, noise=12.0, seed=seed)
    more = np.random.default_rng(seed).uniform(0.1, 0.6, clips)
    features = clean.features.copy()
    features[:, :, 1, 3] += more
    every = np.arange(2 * clips)
    return Rows(
        features=np.concatenate([clean.features, features], axis=1),
        shown=np.ones((2, 2 * clips, FRAGMENTS), bool),
        head=np.concatenate([clean.head, clean.head], axis=1),
        judged=np.concatenate([clean.judged, clean.judged - 7 * more], axis=1),
        factor=np.ones(2 * clips),
        weight=np.ones(2 * clips),
        groups=every % clips,
        leader=every % clips,
        differences=np.where(every < clips, 0.0, 100.0),
        kinds=np.where(every < clips, -1, 0),
        views=1,
    )


def test_a_fault_costs_what_pairs_say() -> None:
    """That feature is worth something else among clips that differ in much besides."""
    learnt, held = in_pairs(80), in_pairs(40, seed=1)
    unpaired = dataclasses.replace(learnt, differences=np.zeros(160))
    wrong = []
    for known in (learnt, unpaired):
        predicted = fit(known, BLANK, use_head=False).predict(held.features, held.head)[0]
        lost, cost = predicted[:40] - predicted[40:], held.judged[0, :40] - held.judged[0, 40:]
        wrong.append(abs(lost @ cost / (cost @ cost) - 1))
    assert wrong[0] < 0.1
    assert wrong[1] > 0.4


def test_the_pairs_of_a_part_of_the_clips() -> None:
    learnt = in_pairs(80)
    part = learnt.of(np.array([3, 83, 7, 87]))
    assert part.leader.tolist() == [0, 0, 2, 2]
    assert part.differences.tolist() == [0, 100, 0, 100]


def test_a_kind_of_fault_costs_on_average_what_it_does() -> None:
    """However little the difference of a single pair counts among noisy scores."""
    learnt, held = in_pairs(80), in_pairs(40, seed=1)
    learnt = dataclasses.replace(learnt, differences=0.1 * learnt.differences)
    gains = []
    for known in (learnt, dataclasses.replace(learnt, kinds=np.full(160, -1))):
        predicted = fit(known, BLANK, use_head=False).predict(held.features, held.head)[0]
        lost, cost = predicted[:40] - predicted[40:], held.judged[0, :40] - held.judged[0, 40:]
        gains.append(float(lost @ cost / (cost @ cost)))
    assert gains[1] < 0.6 < 0.75 < gains[0] < 1.1, gains
