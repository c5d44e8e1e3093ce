"""ConvISA: every step by hand, and the whole of it on clips whose score is a matter of motion."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.clips import Frames, write_clip
from tests.training.bright import SHORT_ACTION, write_rows
from tests.training.command_line import call, error_message, succeed
from training.errors import DataError, RunError
from training.metrics import spearman
from training.paper.baselines.conv_isa import (
    Layers,
    Vocabulary,
    grey,
    patches_of,
    regress,
    windows_of,
)
from training.paper.baselines.conv_isa_spec import ConvIsaSpec
from training.paper.baselines.isa import Subspaces

SMALL = ConvIsaSpec(
    patch_pixels=4, patch_frames=4, block_pixels=8, block_frames=8, patch_components=12,
    block_components=8, patch_group=2, samples=800, isa_steps=15, stride_pixels=8,
    stride_frames=4, words=12,
)  # fmt: skip


def quiet(*_: object) -> None:
    pass


def silent(_: str) -> Callable[[int, int], None]:
    return quiet


def wavy_clip(moving: float, random: np.random.Generator) -> Frames:
    """(36, 24, 24, 3): waves that creep, and in a share of the time run; then 4 blank frames."""
    speed = np.where(np.arange(32) >= 32 * (1 - moving), 0.9, 0.15)
    phase = np.cumsum(speed) + random.uniform(0, 6)
    place = np.hypot(*np.meshgrid(np.arange(24), np.arange(24))) * 0.8
    waves = 120 + 60 * np.sin(place + phase[:, None, None])
    noisy = waves + random.normal(0, 4, waves.shape)
    clip = np.repeat(noisy[..., None], 3, axis=3).clip(1, 255)
    return np.concatenate([clip, np.zeros((4, *clip.shape[1:]))]).astype(np.uint8)


def wavy_clips(count: int, seed: int) -> tuple[list[Frames], NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    moving = random.random(count)
    return [wavy_clip(share, random) for share in moving], 50 + 40 * moving


def test_grey_is_of_the_frames_that_are_shown() -> None:
    clip = np.zeros((6, 2, 2, 3), np.uint8)
    clip[1:4] = [100, 200, 50]
    clip[2, 0, 0] = [0, 0, 255]
    expected = np.full((3, 2, 2), round(0.299 * 100 + 0.587 * 200 + 0.114 * 50))
    expected[1, 0, 0] = round(0.114 * 255)
    np.testing.assert_array_equal(grey(clip), expected)
    assert len(grey(np.zeros((6, 2, 2, 3), np.uint8))) == 0


def test_patches_lie_four_apart_in_a_block() -> None:
    clip = np.random.default_rng(0).integers(0, 255, (20, 24, 24)).astype(np.uint8)
    spec = ConvIsaSpec()
    block = windows_of(clip, spec)[3, 2, 1]
    np.testing.assert_array_equal(block, clip[3:17, 2:22, 1:21])
    patches = patches_of(block[None], spec)
    assert patches.shape == (1, 8, 10 * 16 * 16)
    places = [(t, y, x) for t in (0, 4) for y in (0, 4) for x in (0, 4)]
    for patch, (t, y, x) in zip(patches[0], places, strict=True):
        np.testing.assert_array_equal(
            patch, block[t : t + 10, y : y + 16, x : x + 16].ravel().astype(np.float32)
        )


def random_layer(values: int, components: int, groups: int, seed: int) -> Subspaces:
    random = np.random.default_rng(seed)
    return Subspaces(
        mean=random.normal(size=values).astype(np.float32),
        whitening=random.normal(size=(components, values)).astype(np.float32),
        weights=np.linalg.qr(random.normal(size=(components, components)))[0].astype(np.float32),
        groups=groups,
    )


def respond(layer: Subspaces, values: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Whitened values and responses, a loop for every sum."""
    level = values - sum(values) / len(values) - layer.mean
    white = [float(sum(row * level)) for row in layer.whitening.astype(np.float64)]
    outputs = [float(sum(row * np.array(white))) for row in layer.weights.astype(np.float64)]
    groups = [outputs[group :: layer.groups] for group in range(layer.groups)]
    return white, [sum(each**2 for each in group) ** 0.5 for group in groups]


def test_descriptors_of_both_layers_by_hand() -> None:
    spec = dataclasses.replace(
        SMALL, patch_pixels=2, patch_frames=1, block_pixels=6, block_frames=5,
        patch_components=4, block_components=6, block_group=3,
    )  # fmt: skip
    layers = Layers(spec, random_layer(4, 4, 2, seed=1), random_layer(16, 6, 2, seed=2))
    blocks = np.random.default_rng(3).integers(0, 9, (3, 5, 6, 6)).astype(np.uint8)
    described, activations = layers.describe(blocks)
    assert described.shape == (3, 4)
    for n, block in enumerate(blocks.astype(np.float64)):
        of_first: list[float] = []
        for t in (0, 4):
            for y in (0, 4):
                for x in (0, 4):
                    of_first += respond(layers.first, block[t, y : y + 2, x : x + 2].ravel())[1]
        white, of_second = respond(layers.second, np.array(of_first))
        np.testing.assert_allclose(described[n], [*of_second, *white[:2]], rtol=1e-3, atol=1e-3)
        assert activations[n] == pytest.approx(np.mean(of_first), rel=1e-4)


def test_shares_are_of_the_blocks_that_count() -> None:
    clips, _ = wavy_clips(10, seed=0)
    learned = Vocabulary.learn(clips, SMALL, seed=0, progress=silent)
    blocks = windows_of(grey(clips[0]), SMALL)[::4, ::8, ::8].reshape(-1, 8, 8, 8)
    assert len(blocks) == 7 * 3 * 3
    described, activations = learned.layers.describe(blocks)
    centres = learned.centres.cluster_centers_
    counts = np.zeros(12)
    for descriptor, activation in zip(described, activations, strict=True):
        if activation >= learned.least:
            counts[np.square(centres - descriptor).sum(axis=1).argmin()] += 1
    assert 0 < counts.sum() < len(blocks)
    np.testing.assert_allclose(learned.shares(clips[0]), counts / counts.sum())


def test_the_share_asked_for_is_left_out() -> None:
    clips, _ = wavy_clips(10, seed=0)
    for drop in (0.5, 0.9):
        spec = dataclasses.replace(SMALL, drop=drop, isa_steps=0)
        learned = Vocabulary.learn(clips, spec, seed=0, progress=silent)
        counting = [
            (learned.layers.describe(rows.reshape(-1, 8, 8, 8))[1] >= learned.least).mean()
            for clip in clips
            for rows in windows_of(grey(clip), spec)
        ]
        assert np.mean(counting) == pytest.approx(1 - drop, abs=0.08)


def test_a_clip_without_motion_or_edges_has_no_shares() -> None:
    clips, _ = wavy_clips(10, seed=0)
    learned = Vocabulary.learn(clips, SMALL, seed=0, progress=silent)
    assert not learned.shares(np.full((36, 24, 24, 3), 90, np.uint8)).any()


def test_how_long_something_moves_is_learned() -> None:
    clips, judged = wavy_clips(60, seed=1)
    spec = dataclasses.replace(SMALL, drop=0.0)
    options: dict[str, Any] = {"seed": 0, "progress": silent}
    predicted = regress(clips[:40], judged[:40], clips[40:], spec, **options)
    assert spearman(predicted, judged[40:]) > 0.9
    assert np.abs(predicted - judged[40:]).mean() < 0.4 * np.abs(judged[40:] - 70).mean()
    again = regress(clips[:40], judged[:40], clips[40:], spec, **options)
    np.testing.assert_array_equal(again, predicted)
    fewer = regress(clips[:40], judged[:40], clips[40:43], spec, **options)
    np.testing.assert_array_equal(fewer, predicted[:3])  # others teach nothing


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="32x24x24 frames and pixels are shown, need at least 14x"):
        windows_of(np.zeros((32, 24, 24), np.uint8), ConvIsaSpec(block_pixels=28))
    with pytest.raises(DataError, match="12x24x24 frames"):
        windows_of(np.zeros((12, 24, 24), np.uint8), ConvIsaSpec())
    with pytest.raises(RunError, match="a block is 14x12x12, need at least a patch, 10x16x16"):
        ConvIsaSpec(block_pixels=12)
    with pytest.raises(RunError, match="300 components make no groups of 7"):
        ConvIsaSpec(patch_group=7)
    with pytest.raises(RunError, match=r"drop is 1\.0, need at most 0\.99"):
        ConvIsaSpec(drop=1.0)


@pytest.fixture(scope="module")
def wavy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 50 clips of 32 frames, 12 of them for testing, and the file of its action."""
    folder = tmp_path_factory.mktemp("wavy")
    (folder / "action.toml").write_text(SHORT_ACTION)
    rows = []
    clips, judged = wavy_clips(50, seed=2)
    for number, (clip, score) in enumerate(zip(clips, judged, strict=True)):
        write_clip(folder / f"{number}.mp4", clip[:32], options={"qp": "10"})
        split = "test" if number >= 38 else "train"
        rows.append({"clip": f"{number}.mp4", "split": split, "score": f"{score:.2f}"})
    write_rows(folder, rows)
    return folder


def command(data: Path, *options: object) -> list[object]:
    return [
        "baseline", "--method", "conv-isa", "--data", data, "--action", data / "action.toml",
        *options,
    ]  # fmt: skip


@pytest.mark.parametrize("folds", [[], ["--folds", 3]])
def test_the_command_learns_and_reports(wavy: Path, folds: list[object], tmp_path: Path) -> None:
    sizes = {**dataclasses.asdict(SMALL), "drop": 0.0}
    options = [word for name, n in sizes.items() for word in (f"--{name.replace('_', '-')}", n)]
    small = ["--resize", "24x24", *options, "--json", tmp_path / "figures.json"]
    succeed(*command(wavy, *small, *folds))
    measured = json.loads((tmp_path / "figures.json").read_text())
    assert measured["sizes"] == sizes
    assert measured["clips"] == (38 if folds else 12)
    assert measured["spearman"] > 0.8
    assert measured["mean_distance"] < 0.6 * measured["training_mean"]["mean_distance"]


def test_the_command_names_a_clip_that_does_not_fit(wavy: Path) -> None:
    message = error_message(call(*command(wavy, "--resize", "24x24", "--block-pixels", 28)))
    assert ".mp4: 32x24x24 frames and pixels are shown, need at least 14x28x28" in message
    few = error_message(call(*command(wavy, "--resize", "24x24", "--samples", 100)))
    assert "114 patches differ in" in few
