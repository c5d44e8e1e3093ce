"""
A checkpoint as an ONNX file, for programs that run ONNX and have neither this package nor PyTorch.

    clips      (B, T, H, W, 3) uint8, prepared as `model_store.clip` does it
 -> score      (B,) points; of an execution, where the checkpoint predicts nothing else
    execution  (B,) points of execution; where it predicts both
    features   (B, K · D) the mean of each fragment's features over time and pixels

The batch may have any size. The views of the network are inside: mirrored and shifted looks at the
clip, of which score and features are the mean. Contributions and intervals are not. The file's
metadata names the checkpoint and holds the clip spec.
"""

import json
import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from model_store.checkpoint import Checkpoint
from model_store.clip import cut
from model_store.errors import TransferError
from model_store.files import replacing
from model_store.network import FragmentNetwork


class ScoreAndFeatures(nn.Module):
    """(B, T, H, W, 3) uint8 -> each output's scores (B,), and pooled features (B, K · D)."""

    def __init__(self, network: FragmentNetwork) -> None:
        super().__init__()
        self.network = network.folded()
        self.views = network.clip_spec.views(network.network_spec.views)

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        scores, features = [], []
        for view in self.views:
            seen = clips.flip(3) if view.mirrored else clips
            found = self.network.features(cut(seen, self.network.clip_spec, view.start))
            scores.append(self.network.head(found))
            # (B, D, K · T', H', W') -> (B, K · D)
            of_fragments = found.unflatten(2, (len(self.network.used), -1))
            features.append(of_fragments.mean((3, 4, 5)).transpose(1, 2).flatten(1))
        score = torch.stack(scores).mean(0)
        return *score.unbind(1), torch.stack(features).mean(0)


def write_onnx(checkpoint: Checkpoint, path: Path) -> None:
    """Raises TransferError without the extra [onnx]; CheckpointIncompatible, OSError."""
    try:
        import onnx
        import onnxscript  # noqa: F401  # the exporter needs it
    except ImportError as error:
        raise TransferError(
            f"{error.name} is missing, which the extra brings: pip install 'fragment-scorer[onnx]'"
        ) from error
    module = ScoreAndFeatures(checkpoint.network).eval()
    spec = checkpoint.spec
    example = torch.zeros(2, spec.frames, *spec.crop, 3, dtype=torch.uint8)
    outputs = checkpoint.card.network.outputs
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # operators of torchvision are missing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations within PyTorch
        program = torch.onnx.export(
            module,
            (example,),
            input_names=["clips"],
            output_names=["score", *(["execution"] if len(outputs) > 1 else []), "features"],
            dynamic_shapes={"clips": {0: torch.export.Dim("B")}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # it is None where a file is asked for
    model = program.model_proto
    onnx.helper.set_model_props(
        model,
        {
            "checkpoint": checkpoint.reference,
            "sha256": checkpoint.sha256,
            "outputs": json.dumps(outputs),
            "clip_spec": json.dumps(spec.to_json()),
        },
    )
    with replacing(path) as partial:
        onnx.save(model, partial)
