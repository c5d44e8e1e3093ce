"""
Published C3D weights as an extractor: conv1a…conv5b of files in three ways of naming them.

    c3d.pickle                    conv1, conv2, conv3a … conv5b     BGR   Sports-1M, for PyTorch
    c3d-pretrained.pth            features.0, .3, .6, .8, .11 …     BGR   pytorch-video-recognition
    c3d_sports1m_pretrain_*.pth   conv1a.conv … conv5b.conv         RGB   MMAction2

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
from training.learn.extractor_file import write_extractor


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a publisher names the eight convolutions, and what their pixels are."""

    name: str
    layers: tuple[str, ...]
    """In the order of `C3DExtractor.LAYERS`."""
    colour_order: ColourOrder
    mean: tuple[float, float, float]
    """0–255, in `colour_order`."""

    def pixels(self, spec: ClipSpec) -> ClipSpec:
        return dataclasses.replace(spec, colour_order=self.colour_order, mean=self.mean)


OURS = tuple(name for name, _, _ in C3DExtractor.LAYERS)
SCHEMES = (
    Scheme(
        "c3d.pickle",
        ("conv1", "conv2", *OURS[2:]),
        "bgr",
        (90.25, 97.66, 101.41),
    ),
    Scheme(
        "pytorch-video-recognition",
        tuple(f"features.{number}" for number in (0, 3, 6, 8, 11, 13, 16, 18)),
        "bgr",
        (90.0, 98.0, 102.0),
    ),
    Scheme("mmaction2", tuple(f"{name}.conv" for name in OURS), "rgb", (104.0, 117.0, 128.0)),
)


def convert_c3d(source: Path, target: Path) -> Scheme:
    """Write the extractor of a published file to `target`; how it was named.   Raises RunError."""
    content = _load(source)
    scheme = scheme_of(content, source)
    weights = extractor_weights(content, scheme, source)
    write_extractor(
        target,
        weights,
        scheme.pixels(DIVING),
        clips=ClipsCard.of(),  # videos of Sports-1M, none of which anyone has as a judged clip
        source=source.name,
        sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
        scheme=scheme.name,
    )
    return scheme


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
    weights = {}
    for ours, theirs in zip(OURS, scheme.layers, strict=True):
        for part in ("weight", "bias"):
            name, wanted = f"{theirs}.{part}", shapes[f"{ours}.{part}"]
            value = content.get(name)
            if not isinstance(value, Tensor):
                raise RunError(f"{source} ({scheme.name}) lacks {name}")
            if value.shape != wanted:
                raise RunError(f"{source}: {name} is {tuple(value.shape)}, need {tuple(wanted)}")
            if not value.isfinite().all():
                raise RunError(f"{source}: {name} has values that are not finite")
            weights[f"{ours}.{part}"] = value.float()
    return weights


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
