"""
Published C3D weights as an extractor: conv1a…conv5b of files in three ways of naming them.

    c3d.pickle                    conv1, conv2, conv3a … conv5b     BGR   Sports-1M, for PyTorch
    c3d-pretrained.pth            features.0, .3, .6, .8, .11 …     BGR   pytorch-video-recognition
    c3d_sports1m_pretrain_*.pth   conv1a.conv … conv5b.conv         RGB   MMAction2

Where a file has fc6, (4096, 8192) behind the convolutions, that is kept beside them.

The rule: a file is data. It is read with `weights_only`, which runs nothing, and a missing key, a
wrong shape or a value that is not finite is an error that names it.
"""

import dataclasses
import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model_store.card import ClipsCard
from model_store.network import C3DExtractor
from model_store.spec import DIVING, ClipSpec, ColourOrder
from training.errors import RunError
from training.learn.extractor_file import FC6, write_extractor


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a publisher names the eight convolutions, and what their pixels are."""

    name: str
    layers: tuple[str, ...]
    """In the order of `C3DExtractor.LAYERS`."""
    fc6: str
    colour_order: ColourOrder
    mean: tuple[float, float, float]
    """0–255, in `colour_order`."""

    def pixels(self, spec: ClipSpec) -> ClipSpec:
        return dataclasses.replace(spec, colour_order=self.colour_order, mean=self.mean)


FC6_SHAPE = (4096, 8192)  # from pool5 of 16 frames of 112×112, 512×1×4×4 in this order
OURS = tuple(name for name, _, _ in C3DExtractor.LAYERS)
SCHEMES = (
    Scheme(
        "c3d.pickle",
        ("conv1", "conv2", *OURS[2:]),
        "fc6",
        "bgr",
        (90.25, 97.66, 101.41),
    ),
    Scheme(
        "pytorch-video-recognition",
        tuple(f"features.{number}" for number in (0, 3, 6, 8, 11, 13, 16, 18)),
        "classifier.0",
        "bgr",
        (90.0, 98.0, 102.0),
    ),
    Scheme(
        "mmaction2", tuple(f"{name}.conv" for name in OURS), "fc6", "rgb", (104.0, 117.0, 128.0)
    ),
)


@dataclass(frozen=True, slots=True)
class Converted:
    """What a published file was."""

    scheme: Scheme
    has_fc6: bool


def convert_c3d(source: Path, target: Path) -> Converted:
    """Write a published file's extractor to `target`, and fc6 where it has one.

    Raises RunError.
    """
    content = _load(source)
    scheme = scheme_of(content, source)
    weights = extractor_weights(content, scheme, source)
    fc6 = fc6_weights(content, scheme, source)
    write_extractor(
        target,
        weights | fc6,
        scheme.pixels(DIVING),
        clips=ClipsCard.of(),  # videos of Sports-1M, none of which anyone has as a judged clip
        source=source.name,
        sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
        scheme=scheme.name,
    )
    return Converted(scheme, has_fc6=bool(fc6))


def scheme_of(content: Mapping[str, Any], source: Path) -> Scheme:
    """The one whose first convolution the file has."""
    for scheme in SCHEMES:
        if f"{scheme.layers[0]}.weight" in content:
            return scheme
    wanted = ", ".join(f"{scheme.layers[0]}.weight ({scheme.name})" for scheme in SCHEMES)
    raise RunError(f"{source} has keys {sorted(content)[:6]}…, need one of {wanted}")


def extractor_weights(
    content: Mapping[str, Any], scheme: Scheme, source: Path
) -> dict[str, Tensor]:
    """The file's convolutions by this project's names.   Raises RunError."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in C3DExtractor().state_dict().items()}
    names = {
        f"{ours}.{part}": f"{theirs}.{part}"
        for ours, theirs in zip(OURS, scheme.layers, strict=True)
        for part in ("weight", "bias")
    }
    return {
        ours: _checked(content, theirs, shapes[ours], f"{source} ({scheme.name})")
        for ours, theirs in names.items()
    }


def fc6_weights(content: Mapping[str, Any], scheme: Scheme, source: Path) -> dict[str, Tensor]:
    """By the names of `extractor_file`; empty where the file has neither.   Raises RunError."""
    theirs = [f"{scheme.fc6}.weight", f"{scheme.fc6}.bias"]
    if not any(name in content for name in theirs):
        return {}
    return {
        ours: _checked(content, name, shape, f"{source} ({scheme.name})")
        for ours, name, shape in zip(FC6, theirs, (FC6_SHAPE, FC6_SHAPE[:1]), strict=True)
    }


def _checked(content: Mapping[str, Any], name: str, wanted: tuple[int, ...], source: str) -> Tensor:
    value = content.get(name)
    if not isinstance(value, Tensor):
        raise RunError(f"{source} lacks {name}")
    if value.shape != wanted:
        raise RunError(f"{source}: {name} is {tuple(value.shape)}, need {tuple(wanted)}")
    if not value.isfinite().all():
        raise RunError(f"{source}: {name} has values that are not finite")
    return value.float()


def _load(source: Path) -> Mapping[str, Any]:
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except (
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        LookupError,
        pickle.UnpicklingError,
    ) as error:
        first = str(error).strip().splitlines()[:1]
        raise RunError(f"{source} cannot be read as PyTorch weights: {' '.join(first)}") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise RunError(f"{source} holds a {type(content).__name__}, need weights by name")
    return {str(name): value for name, value in content.items()}
