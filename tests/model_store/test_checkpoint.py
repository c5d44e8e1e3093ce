import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_store.card import ClipsCard, group_hash
from model_store.checkpoint import (
    CARD,
    FILES,
    GOLDEN_ANSWER,
    MANIFEST,
    WEIGHTS,
    Golden,
    copy_checkpoint,
    load_checkpoint,
    parse_card,
    save_checkpoint,
)
from model_store.clip_warning import ClipWarning
from model_store.errors import (
    CheckpointCorrupt,
    CheckpointExists,
    CheckpointIncompatible,
    CheckpointNotFound,
    CheckpointUnreadable,
)
from model_store.store import Store
from tests.checkpoints import TINY, flip_a_bit, publish_tiny, tiny_card, tiny_network, tiny_spec
from tests.clips import clip_bytes


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("store"))
    publish_tiny(store)
    return store.path("diving@1")


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    """A copy that the test may damage."""
    return shutil.copytree(published, tmp_path / "1")


def reseal(folder: Path) -> None:
    """Make the manifest true again, as an attacker or a careless editor would."""
    lines = subprocess.run(
        ["sha256sum", *FILES], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
    (folder / MANIFEST).write_text(lines)


def test_what_is_loaded_is_what_was_saved(published: Path) -> None:
    loaded = load_checkpoint(published)
    network = tiny_network(tiny_spec())
    halved = {name for name, parameter in network.named_parameters() if parameter.ndim >= 2}
    for name, tensor in loaded.network.state_dict().items():
        saved = network.state_dict()[name]
        expected = saved.half().float() if name in halved else saved
        assert torch.equal(tensor, expected), name
        assert tensor.dtype == saved.dtype
    assert loaded.card == tiny_card(tiny_spec())
    assert not loaded.network.training


def test_the_manifest_is_one_that_sha256sum_reads(published: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", MANIFEST], cwd=published, check=True)


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_in_any_file_is_found(folder: Path, name: str) -> None:
    flip_a_bit(folder / name)
    with pytest.raises(CheckpointCorrupt, match=name):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_missing_file_is_found(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointCorrupt, match=name):
        load_checkpoint(folder)


LEFT = [
    ".DS_Store", "._card.json", ".nfs00000000025a1b2c00000001", ".card.json.swp", ".#card.json",
    ".fuse_hidden0001", "Thumbs.db", "desktop.ini", "README.md~", "#README.md#", "@eaDir",
    "lost+found", "__MACOSX",
]  # fmt: skip


def test_what_systems_and_editors_leave_plays_no_part(folder: Path, tmp_path: Path) -> None:
    for name in LEFT:
        (folder / name).write_bytes(b"x")
        (folder.parent / name).write_bytes(b"x")
    assert load_checkpoint(folder).version == 1
    copy_checkpoint(folder, tmp_path / "copy" / "1")
    copied = {path.name for path in (tmp_path / "copy" / "1").iterdir()}
    assert copied == {*FILES, MANIFEST}


@pytest.mark.parametrize(
    "name", ["weights.safetensors.bak", "weights.bin", "weights.pt", "card (1).json", "x"]
)
def test_any_other_file_is_reported(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"x")
    with pytest.raises(CheckpointCorrupt, match=re.escape(name)):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_what_cannot_be_read_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to(name)  # to itself: not even root can read it
    with pytest.raises(CheckpointUnreadable, match=re.escape(str(folder / name))):
        load_checkpoint(folder)


def test_pictures_are_kept_and_verified_like_the_rest(tmp_path: Path) -> None:
    spec = tiny_spec()
    checkpoint = Store(tmp_path).publish(
        tiny_card(spec),
        tiny_network(spec),
        golden_clip=clip_bytes(frames=spec.frames, height=48, width=64),
        readme="![](scores.png)",
        pictures={"scores.png": b"a picture"},
    )
    assert checkpoint.pictures == {"scores.png": b"a picture"}
    subprocess.run(["sha256sum", "--check", "--strict", MANIFEST], cwd=checkpoint.path,
                   check=True)  # fmt: skip
    (checkpoint.path / "scores.png").write_bytes(b"another")
    with pytest.raises(CheckpointCorrupt, match=r"scores\.png"):
        load_checkpoint(checkpoint.path)
    (checkpoint.path / "scores.png").unlink()
    with pytest.raises(CheckpointCorrupt, match=r"scores\.png"):
        load_checkpoint(checkpoint.path)


def test_no_such_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFound):
        load_checkpoint(tmp_path / "diving" / "3")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("head.out.weight"), "lack"),
        (lambda w: w.update(extra=torch.zeros(1)), "unknown"),
        (lambda w: w.update({"head.out.bias": torch.zeros(2)}), r"is \(2,\), need \(1,\)"),
        (lambda w: w.update({"head.out.bias": torch.tensor([float("nan")])}), "not finite"),
        (lambda w: w.update({"head.baseline": torch.tensor([float("inf")])}), "not finite"),
        (lambda w: w.update(mean=torch.zeros(3, 1, 1, 1)), "mean"),
        (lambda w: w.update({"head.out.bias": torch.zeros(1, dtype=torch.bfloat16)}), "BF16"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    folder: Path, change: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS)
    reseal(folder)
    with pytest.raises(CheckpointIncompatible, match=message):
        _ = load_checkpoint(folder).network


def test_weights_that_change_between_two_looks_are_reported(folder: Path) -> None:
    loaded = load_checkpoint(folder)
    weights = load_file(folder / WEIGHTS)
    weights["head.out.bias"] += 1
    save_file(weights, folder / WEIGHTS)
    reseal(folder)
    with pytest.raises(CheckpointCorrupt, match="has changed"):
        _ = loaded.network


def test_weights_that_are_not_safetensors_are_refused(folder: Path) -> None:
    torch.save({"head.out.bias": torch.zeros(1)}, folder / WEIGHTS)
    reseal(folder)
    with pytest.raises(CheckpointIncompatible, match="safetensors"):
        load_checkpoint(folder)


def card_keys(values: dict[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        yield (*prefix, key)
        if isinstance(value, dict) and key in ("data", "training", "spec", "network", "clips"):
            yield from card_keys(value, (*prefix, key))


def test_a_card_must_have_every_field_and_no_other(folder: Path) -> None:
    original = json.loads((folder / CARD).read_text())
    paths = [p for p in card_keys(original) if p[:2] != ("training", "options")]
    assert len(paths) > 30
    for path in paths:
        for name, change in (("missing", "pop"), ("unknown", "add")):
            card = json.loads(json.dumps(original))
            place = card
            for key in path[:-1]:
                place = place[key]
            if change == "pop":
                place.pop(path[-1])
            else:
                place["unheard_of"] = 1
            with pytest.raises(CheckpointIncompatible):
                pytest.fail(f"{path} {name}: {parse_card(json.dumps(card).encode())}")


def test_saving_never_overwrites_and_leaves_nothing_half_written(
    published: Path, tmp_path: Path
) -> None:
    spec = tiny_spec()
    arguments: dict[str, Any] = {
        "golden_clip": clip_bytes(frames=40, height=48, width=64),
        "readme": "x",
    }
    with pytest.raises(CheckpointExists):
        save_checkpoint(published, tiny_card(spec), tiny_network(spec), **arguments)
    with pytest.raises(Exception, match="video"):
        save_checkpoint(
            tmp_path / "diving" / "1",
            tiny_card(spec),
            tiny_network(spec),
            **arguments | {"golden_clip": b"not a video"},
        )
    assert not (tmp_path / "diving").exists()


def test_float32_weights_are_kept_to_the_bit(tmp_path: Path) -> None:
    spec = tiny_spec("vault")
    network = tiny_network(spec)
    clip = clip_bytes(frames=100, height=48, width=64)
    saved = save_checkpoint(
        tmp_path / "1", tiny_card(spec, TINY), network, golden_clip=clip, readme="", half=False
    )
    loaded = load_checkpoint(saved).network.state_dict()
    assert all(torch.equal(tensor, loaded[k]) for k, tensor in network.state_dict().items())


def test_a_clip_has_one_role_on_the_card() -> None:
    a, b, c = (digit * 64 for digit in "abc")
    clips = ClipsCard.of(training=[b, a, a], validation=[b, c], calibration=[c, a])
    assert (clips.training, clips.validation, clips.calibration) == (
        ["a" * 16, "b" * 16],
        ["c" * 16],
        [],
    )
    further = clips.trained_on([c], ["d" * 64])
    assert further.training == ["a" * 16, "b" * 16, "c" * 16]
    assert further.validation == ["d" * 16]


def test_groups_are_on_the_card_without_their_names() -> None:
    clips = ClipsCard.of(training=["a" * 64], groups=[group_hash("Ada"), group_hash("Ada")])
    assert clips.groups == [group_hash("Ada")]
    assert "Ada" not in clips.model_dump_json()
    further = clips.trained_on([], groups=[group_hash("Bob")])
    assert set(further.groups) == {group_hash("Ada"), group_hash("Bob")}


@pytest.fixture(scope="session")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("store"))
    publish_tiny(store, "vault", target="both", calibrated=True)
    return store.path("vault@1")


def test_each_output_has_its_calibration_and_its_golden_answer(calibrated: Path) -> None:
    loaded = load_checkpoint(calibrated)
    assert loaded.card.network.outputs == ("final", "execution")
    assert loaded.confidence is not None
    assert loaded.card.calibration is not None
    assert [*loaded.confidence.outputs] == ["final", "execution"]
    assert loaded.confidence.outputs["execution"].width_limit == 2.0
    assert loaded.card.calibration["final"]["width_limit"] == 3.0
    names = {name for name in load_file(calibrated / WEIGHTS) if "confidence" in name}
    assert names == {
        "confidence.mean",
        "confidence.whitening",
        "confidence.final.spread_weights",
        "confidence.execution.spread_weights",
    }
    final, execution = loaded.golden.outputs
    assert final.score > 2 * execution.score > 0
    assert Golden.from_json(loaded.golden.to_json(), 2) == loaded.golden


def test_a_calibration_or_golden_answer_that_lacks_an_output_is_refused(
    calibrated: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(calibrated, tmp_path / "1")
    golden = json.loads((folder / GOLDEN_ANSWER).read_text())
    del golden["execution"]
    (folder / GOLDEN_ANSWER).write_text(json.dumps(golden))
    reseal(folder)
    with pytest.raises(CheckpointIncompatible, match="execution's"):
        load_checkpoint(folder)
    card = json.loads((folder / CARD).read_text())
    del card["calibration"]["execution"]
    (folder / CARD).write_text(json.dumps(card))
    weights = load_file(folder / WEIGHTS)
    del weights["confidence.execution.spread_weights"]
    save_file(weights, folder / WEIGHTS)
    reseal(folder)
    with pytest.raises(CheckpointIncompatible, match="the calibration is of"):
        load_checkpoint(folder)


def test_hashes_on_the_card_are_hashes(folder: Path) -> None:
    card = json.loads((folder / CARD).read_text())
    card["clips"]["training"] = ["clips/001.mp4"]
    with pytest.raises(CheckpointIncompatible, match=r"clips\.training"):
        parse_card(json.dumps(card).encode())


def test_the_warning_that_moves_a_score_most_says_how_far_an_interval_reaches() -> None:
    card = tiny_card(tiny_spec()).model_copy(
        update={"moved_by": {ClipWarning.INTERLACED: 1.5, ClipWarning.SIZE_CHANGES: 6.0}}
    )
    assert card.points_moved_by([]) == card.points_moved_by([ClipWarning.PADDED]) == 0
    assert card.points_moved_by([ClipWarning.PADDED, ClipWarning.INTERLACED]) == 1.5
    assert card.points_moved_by([ClipWarning.SIZE_CHANGES, ClipWarning.INTERLACED]) == 6.0


@pytest.mark.parametrize(
    "moved_by", [{"sunshine": 1.0}, {"interlaced": -1.0}, {"interlaced": "far"}]
)
def test_ways_of_storing_on_the_card_are_known_ones(
    folder: Path, moved_by: dict[str, float | str]
) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"moved_by": moved_by}))
    reseal(folder)
    with pytest.raises(CheckpointIncompatible, match="moved_by"):
        load_checkpoint(folder)
