"""
extractor.safetensors: one C3D extractor, and the pixels that it was taught on.

The rule: colour order and mean belong to the weights. They travel with them, and the run that
starts from such a file takes them into its clip's spec. A file without them (an older one) leaves
the spec as it is.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from model_store.spec import ClipSpec
from training.errors import RunError
from training.run_folder import replace_file

EXTRACTOR = "extractor.safetensors"
ABOUT = "about"  # one entry of metadata: several come in any order, and files would differ
INPUT = ("colour_order", "mean")  # fields of the spec


def write_extractor(
    path: Path, weights: Mapping[str, Tensor], spec: ClipSpec, **about: str
) -> None:
    """`about` is kept beside the spec's colour order and mean, for people."""
    values = spec.to_json()
    metadata = {ABOUT: json.dumps(about | {name: values[name] for name in INPUT})}
    content = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, save(content, metadata))


def read_extractor(path: Path) -> dict[str, Tensor]:
    """Raises RunError."""
    return _read(path)[0]


def spec_for(path: Path | None, spec: ClipSpec) -> ClipSpec:
    """The spec with colour order and mean as an extractor was taught.   Raises RunError."""
    if path is None:
        return spec
    metadata = _read(path)[1]
    try:
        told = json.loads(metadata.get(ABOUT, "{}"))
        changes = {name: told[name] for name in INPUT if name in told}
        return ClipSpec.from_json(spec.to_json() | changes)
    except ValueError as error:
        raise RunError(f"{path} does not say what pixels it needs: {error}") from error


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, "pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return weights, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} is not an extractor's file: {error}") from error
