"""
extractor.safetensors: one C3D extractor, the pixels that it was taught on, and the clips.

The rule: colour order and mean belong to the weights. They travel with them, and the run that
starts from such a file takes them into its clip's spec. A file without them (an older one) leaves
the spec as it is.

Beside the extractor a file may have fc6, the fully connected layer that published weights have
behind it: fc6.weight (P, D·T'·H'·W') and fc6.bias (P,). Networks are not built with it; baselines
describe clips by it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from model_store.card import ClipsCard
from model_store.files import replace_file
from model_store.spec import ClipSpec
from training.errors import RunError

ABOUT = "about"  # one entry of metadata: several come in any order, and files would differ
INPUT = ("colour_order", "mean")  # fields of the spec
CLIPS = "clips"
FC6 = ("fc6.weight", "fc6.bias")


def write_extractor(
    path: Path,
    weights: Mapping[str, Tensor],
    spec: ClipSpec,
    *,
    clips: ClipsCard,
    **about: str,
) -> None:
    """`clips` are those it was taught on; `about` is kept beside them, for people."""
    values = spec.to_json()
    content = about | {name: values[name] for name in INPUT} | {CLIPS: clips.model_dump()}
    metadata = {ABOUT: json.dumps(content)}
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, save(tensors, metadata))


def read_extractor(path: Path) -> dict[str, Tensor]:
    """Without fc6.   Raises RunError."""
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys() if name not in FC6}  # noqa: SIM118


def read_fc6(path: Path) -> tuple[Tensor, Tensor] | None:
    """Weight and bias, where the file has them.   Raises RunError."""
    with _opened(path) as file:
        if not {*FC6} <= {*file.keys()}:
            return None
        weight, bias = map(file.get_tensor, FC6)
        return weight, bias


def extractor_clips(path: Path) -> ClipsCard:
    """Those that it was taught on; of an older file they are not known.   Raises RunError."""
    about = _about(path)
    if CLIPS not in about:
        return ClipsCard.of(unlisted={str(path): "real"})
    try:
        return ClipsCard.model_validate(about[CLIPS])
    except ValidationError as error:
        raise RunError(f"{path} does not say what clips it was taught on: {error}") from error


def spec_for(path: Path | None, spec: ClipSpec) -> ClipSpec:
    """The spec with colour order and mean as an extractor was taught.   Raises RunError."""
    if path is None:
        return spec
    about = _about(path)
    try:
        changes = {name: about[name] for name in INPUT if name in about}
        return ClipSpec.from_json(spec.to_json() | changes)
    except ValueError as error:
        raise RunError(f"{path} does not say what pixels it needs: {error}") from error


def _about(path: Path) -> dict[str, Any]:
    with _opened(path) as file:
        metadata = file.metadata() or {}
    try:
        about: dict[str, Any] = json.loads(metadata.get(ABOUT, "{}"))
    except ValueError as error:
        raise RunError(f"{path} has metadata that are not JSON: {error}") from error
    return about


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, "pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} is not an extractor's file: {error}") from error
