"""
The network's forward pass in training, on the device at hand.

The rule: a fragment that is not shown has the features of black frames, normalised with the running
statistics, exactly as in the service; and black frames never enter a batch's statistics.

Shapes: B clips, K fragments, D feature channels, T' H' W' extent of a fragment's features.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from model_store.network import C3DExtractor, FragmentNetwork
from training.choices import Precision
from training.learn.tied import is_tied
from training.to_device import to_device


@dataclass(frozen=True, slots=True)
class Device:
    """Where training runs and in which precision the extractors compute."""

    kind: str
    """cpu or cuda"""
    dtype: torch.dtype

    @classmethod
    def best(cls, precision: Precision = "auto") -> "Device":
        """The GPU where there is one; auto is bfloat16 where it is quick."""
        kind = "cuda" if torch.cuda.is_available() else "cpu"
        if precision == "auto":
            half = kind == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
        else:
            half = precision == "bfloat16"
        return cls(kind, torch.bfloat16 if half else torch.float32)

    @property
    def precision(self) -> Precision:
        return "float32" if self.dtype == torch.float32 else "bfloat16"

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.kind, self.dtype)

    def put(self, values: Tensor) -> Tensor:
        """There, without waiting for it."""
        return to_device(values, self.kind)


def fragment_features(
    extractor: C3DExtractor, fragments: Tensor, mean: Tensor, device: Device, frozen: bool
) -> Tensor:
    """(B, L, H, W, 3) uint8 -> (B, D, T', H', W') float32.

    `frozen` normalises with the running statistics and leaves them alone; otherwise batch
    statistics are used and the running ones follow.
    """
    x = centred(fragments, mean)
    with device.autocast():
        features: Tensor = folded(extractor, x) if frozen else extractor.train()(x)
    return features.float()


def centred(fragments: Tensor, mean: Tensor) -> Tensor:
    """(B, L, H, W, 3) uint8 -> (B, 3, L, H, W) minus the mean, channels last in memory."""
    x = fragments.permute(0, 4, 1, 2, 3).to(mean.dtype) - mean
    return x.contiguous(memory_format=torch.channels_last_3d)


def folded(extractor: C3DExtractor, x: Tensor) -> Tensor:
    """The extractor with frozen normalisation, folded into the convolutions.

    Gradients reach the parameters of both: a third less time and memory than one after the other.
    """
    for name, _, pool in extractor.LAYERS:
        conv, norm = extractor.get_submodule(name), extractor.get_submodule(f"{name}_norm")
        assert isinstance(conv, nn.Conv3d)
        weight, bias = conv.weight, conv.bias
        if isinstance(norm, nn.BatchNorm3d):
            assert bias is not None
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            weight = weight * scale.view(-1, 1, 1, 1, 1)
            bias = norm.bias + (bias - norm.running_mean) * scale
        x = F.conv3d(x, weight, bias, padding=1)
        if pool is not None:
            x = F.max_pool3d(x, pool[0], pool[0], pool[1])
        x = F.relu(x)
    return x


def features_by_fragment(
    network: FragmentNetwork,
    fragments: Tensor,
    shown: Tensor,
    device: Device,
    *,
    frozen: bool,
    checkpointing: bool = False,
) -> Tensor:
    """(B, K, L, H, W, 3) uint8 and (B, K) bool -> (B, used K, D, T', H', W').

    `shown` is on the CPU: a GPU would be waited for to learn how many rows it picks.

    With `checkpointing` an extractor keeps no activations; the backward pass computes them again.
    An extractor that all fragments share gets them as one batch, which is faster, and normalises
    them together; but fragment by fragment where that is the same and takes less memory.
    """
    compute = partial(fragment_features, mean=network.mean, device=device, frozen=frozen)
    if checkpointing:
        compute = partial(checkpoint, compute, use_reentrant=False, preserve_rng_state=False)
    if is_tied(network) and not checkpointing and (torch.is_grad_enabled() or not frozen):
        used = list(network.used)
        parts = [(fragments[:, used].flatten(0, 1), shown[:, used].flatten())]  # (B·K, …), (B·K,)
    else:
        parts = [(fragments[:, k], shown[:, k]) for k in network.used]  # (B, …), (B,)
    results: list[Tensor] = []
    for i, (pixels, visible) in enumerate(parts):
        extractor, rows = _extractor(network, i), visible.nonzero().squeeze(1)
        if len(rows) == len(visible):
            results.append(compute(extractor, pixels))
            continue
        blank = _blank(network, i, device)
        features = blank.expand(len(visible), *blank.shape[1:])
        if len(rows):
            rows = device.put(rows)
            seen = compute(extractor, pixels[rows])
            features = features.index_copy(0, rows, seen.to(features.dtype))
        results.append(features)
    if len(parts) < len(network.used):
        return results[0].reshape(len(shown), len(network.used), *results[0].shape[1:])
    return torch.stack(results, dim=1)


def join(features: Tensor) -> Tensor:
    """(B, K, D, T', H', W') -> (B, D, K·T', H', W'), what the head takes."""
    return features.transpose(1, 2).flatten(2, 3)


def blank_features(network: FragmentNetwork, device: Device) -> Tensor:
    """(used K, D, T', H', W'): what each extractor makes of black frames."""
    return torch.stack([_blank(network, i, device)[0] for i in range(len(network.used))])


def _blank(network: FragmentNetwork, index: int, device: Device) -> Tensor:
    spec = network.clip_spec
    # Twice the same: for one small picture torch leaves oneDNN aside, and its own way is slow.
    shape = (2, spec.fragment_length, *spec.crop, 3)
    black = torch.zeros(shape, dtype=torch.uint8, device=network.mean.device)
    extractor = _extractor(network, index)
    return fragment_features(extractor, black, network.mean, device, frozen=True)[:1]


def _extractor(network: FragmentNetwork, index: int) -> C3DExtractor:
    extractor = network.extractors[index]
    assert isinstance(extractor, C3DExtractor)
    return extractor


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; the mode before comes back."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(training)
