"""Published C3D weights: the three ways of naming them, and what is refused."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_store.card import ClipsCard
from model_store.network import FragmentNetwork
from model_store.network_spec import COMPACT, PAPER
from model_store.spec import DIVING
from tests.training.command_line import call, error_message, succeed
from training.errors import RunError
from training.learn.extractor_file import (
    extractor_clips,
    read_extractor,
    read_fc6,
    spec_for,
    write_extractor,
)
from training.learn.first_weights import load_extractor
from training.pretraining.published_c3d import (
    OURS,
    SCHEMES,
    convert_c3d,
    extractor_weights,
    fc6_weights,
)

# As field papers and the publishers' code have them: written out, not computed.
SHAPES = {
    "conv1a": (64, 3, 3, 3, 3),
    "conv2a": (128, 64, 3, 3, 3),
    "conv3a": (256, 128, 3, 3, 3),
    "conv3b": (256, 256, 3, 3, 3),
    "conv4a": (512, 256, 3, 3, 3),
    "conv4b": (512, 512, 3, 3, 3),
    "conv5a": (512, 512, 3, 3, 3),
    "conv5b": (512, 512, 3, 3, 3),
}
NAMES = {
    "c3d.pickle": ("conv1", "conv2", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b"),
    "pytorch-video-recognition": (
        "features.0", "features.3", "features.6", "features.8", "features.11", "features.13",
        "features.16", "features.18",
    ),
    "mmaction2": (
        "conv1a.conv", "conv2a.conv", "conv3a.conv", "conv3b.conv", "conv4a.conv", "conv4b.conv",
        "conv5a.conv", "conv5b.conv",
    ),
}  # fmt: skip
PIXELS = {
    "c3d.pickle": ("bgr", (90.25, 97.66, 101.41)),
    "pytorch-video-recognition": ("bgr", (90.0, 98.0, 102.0)),
    "mmaction2": ("rgb", (104.0, 117.0, 128.0)),
}


FC6 = {"c3d.pickle": "fc6", "pytorch-video-recognition": "classifier.0", "mmaction2": "fc6"}


def filled(shape: Sequence[int], value: float) -> Tensor:
    """One number, however large it looks: files stay small."""
    return torch.tensor([float(value)]).expand(shape)


def published(name: str) -> dict[str, Tensor]:
    """Layer n has weights n + 1 and biases −(n + 1), besides layers that are not wanted."""
    content = {"fc7.weight": filled((4096, 4096), 0), "fc7.bias": filled((4096,), 0)}
    for n, (layer, shape) in enumerate(zip(NAMES[name], SHAPES.values(), strict=True), 1):
        content |= {f"{layer}.weight": filled(shape, n), f"{layer}.bias": filled(shape[:1], -n)}
    return content


@pytest.mark.parametrize("name", NAMES)
def test_every_scheme_goes_to_the_right_layers(name: str, tmp_path: Path) -> None:
    content = published(name)
    [scheme] = [scheme for scheme in SCHEMES if scheme.name == name]
    weights = extractor_weights(content, scheme, tmp_path)
    assert tuple(SHAPES) == OURS
    for n, (layer, shape) in enumerate(SHAPES.items(), 1):
        assert weights[f"{layer}.weight"].shape == shape
        assert weights[f"{layer}.weight"].flatten()[-1] == n
        assert weights[f"{layer}.bias"][0] == -n
    spec = scheme.pixels(DIVING)
    assert (spec.colour_order, spec.mean) == PIXELS[name]


def test_a_run_starts_from_the_file_with_its_pixels(tmp_path: Path) -> None:
    """Through the command line: from a file of MMAction2, which nests its weights."""
    source, out = tmp_path / "c3d_sports1m_pretrain.pth", tmp_path / "run"
    torch.save({"meta": {}, "state_dict": published("mmaction2")}, source)
    output = succeed("import-c3d", source, "--out", out)
    assert "mmaction2: rgb, minus 104, 117, 128; without fc6" in output
    file = out / "extractor.safetensors"
    spec = spec_for(file, DIVING.with_size((32, 32), (32, 32)))
    assert (spec.colour_order, spec.mean, spec.crop) == ("rgb", (104.0, 117.0, 128.0), (32, 32))

    small = dataclasses.replace(
        PAPER, head_channels=(2, 2), head_hidden=(2, 2), fragments_used=(8,)
    )
    network = FragmentNetwork(small, spec)
    load_extractor(network, file)
    assert network.extractors[0].state_dict()["conv5b.weight"].unique().tolist() == [8.0]
    assert network.mean.flatten().tolist() == [104.0, 117.0, 128.0]
    with pytest.raises(RunError, match="not an extractor of this network"):
        load_extractor(FragmentNetwork(COMPACT, spec), file)


def test_the_port_of_the_original_keeps_its_source(tmp_path: Path) -> None:
    source, file = tmp_path / "c3d.pickle", tmp_path / "extractor.safetensors"
    torch.save(published("c3d.pickle"), source, _use_new_zipfile_serialization=False)
    assert convert_c3d(source, file).scheme.name == "c3d.pickle"
    assert load_file(file)["conv3b.bias"].tolist() == [-4.0] * 256
    spec = spec_for(file, DIVING)
    assert (spec.colour_order, spec.mean) == PIXELS["c3d.pickle"]


@pytest.mark.parametrize("name", NAMES)
def test_fc6_is_found_under_its_name(name: str, tmp_path: Path) -> None:
    [scheme] = [scheme for scheme in SCHEMES if scheme.name == name]
    content = published(name)
    assert fc6_weights(content, scheme, tmp_path) == {}
    content[f"{FC6[name]}.weight"] = torch.arange(8192.0).expand(4096, 8192)
    with pytest.raises(RunError, match=rf"lacks {FC6[name]}\.bias"):
        fc6_weights(content, scheme, tmp_path)
    content[f"{FC6[name]}.bias"] = filled((4096,), -6)
    found = fc6_weights(content, scheme, tmp_path)
    assert found["fc6.weight"][17].tolist() == [*range(8192)]  # in the published order
    assert found["fc6.bias"].unique().tolist() == [-6]
    content[f"{FC6[name]}.weight"] = filled((4096, 4608), 1)  # of a pool5 without padding
    with pytest.raises(RunError, match=r"is \(4096, 4608\), need \(4096, 8192\)"):
        fc6_weights(content, scheme, tmp_path)


def test_fc6_is_kept_and_in_the_way_of_no_run(tmp_path: Path) -> None:
    source, out = tmp_path / "c3d-pretrained.pth", tmp_path / "out"
    content = published("pytorch-video-recognition")
    content["classifier.0.weight"] = torch.arange(8192.0).expand(4096, 8192)
    content["classifier.0.bias"] = filled((4096,), -6)
    torch.save(content, source)
    assert "with fc6" in succeed("import-c3d", source, "--out", out)
    file = out / "extractor.safetensors"
    kept = read_fc6(file)
    assert kept is not None
    assert kept[0][4095].tolist() == [*range(8192)]
    assert kept[1].unique().tolist() == [-6]
    assert {name.split(".")[0] for name in read_extractor(file)} == {*OURS}


class Harmful:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv4b.bias": None}, "lacks conv4b.bias"),
        ({"conv2.weight": filled((128, 64, 3, 3), 1)}, "conv2.weight is (128, 64, 3, 3), need"),
        ({"conv3a.bias": filled((256,), float("nan"))}, "conv3a.bias has values that are not"),
        ({"conv1.weight": None}, "need one of conv1.weight"),
        ({"conv1.bias": [1.0]}, "lacks conv1.bias"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    source = tmp_path / "c3d.pickle"
    content = published("c3d.pickle") | changes
    torch.save({name: value for name, value in content.items() if value is not None}, source)
    assert message in error_message(call("import-c3d", source, "--out", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    source, made = tmp_path / "c3d.pickle", tmp_path / "made"
    torch.save(published("c3d.pickle") | {"x": Harmful(str(made))}, source)
    assert "cannot be read" in error_message(call("import-c3d", source, "--out", tmp_path / "out"))
    assert not made.exists()
    for content in (b"", b"rubbish"):
        source.write_bytes(content)
        assert "cannot be read" in error_message(
            call("import-c3d", source, "--out", tmp_path / "out")
        )
    torch.save([1, 2], source)
    assert "holds a list" in error_message(call("import-c3d", source, "--out", tmp_path / "out"))
    source.unlink()
    assert "cannot be read" in error_message(call("import-c3d", source, "--out", tmp_path / "out"))


def test_a_file_that_is_no_extractor(tmp_path: Path) -> None:
    file = tmp_path / "extractor.safetensors"
    for read in (read_extractor, read_fc6, lambda path: spec_for(path, DIVING)):
        with pytest.raises(RunError, match="not an extractor's file"):
            read(file)
    file.write_bytes(b"rubbish")
    with pytest.raises(RunError, match="not an extractor's file"):
        read_extractor(file)


def test_the_same_extractor_gives_the_same_bytes(tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.safetensors" for n in range(20)]
    for file in files:
        write_extractor(
            file,
            {"conv1a.bias": torch.ones(3)},
            DIVING,
            clips=ClipsCard.of(training=["0" * 64]),
            source="a",
            scheme="b",
        )
    assert len({file.read_bytes() for file in files}) == 1
    assert spec_for(files[0], DIVING) == DIVING
    assert extractor_clips(files[0]) == ClipsCard.of(training=["0" * 64])
    save_file({"conv1a.bias": torch.ones(3)}, files[1])  # one that says nothing of its pixels
    assert spec_for(files[1], DIVING) == DIVING
    assert extractor_clips(files[1]).unlisted == {str(files[1]): "real"}
