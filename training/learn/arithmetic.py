"""
Compares the working precision with float32 before a run trusts it.

Half precision can be silently wrong: with torch 2.13 on CPUs that have AVX512-BF16 and no AMX, the
weight gradients of small 3×3×3 convolutions are off by 100 % or infinite. So every layer is
computed both ways, forward and backward, on the shapes and batch sizes of the run.

The rule: a precision that does not agree with float32 is not used, and a warning names the layer
that was wrong.

Shapes: B fragments a batch.
"""

import dataclasses
import functools
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model_store.spec import ClipSpec
from training.choices import Precision
from training.display import warn
from training.learn.forward import Device, centred, evaluating

TOLERANCE = 0.03  # share of the norm; one layer in bfloat16 rounds by 0.003
TRIALS = 2  # memory that was never written may hold the right value by chance


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution, and what enters it in float32."""

    name: str
    module: nn.Module
    inputs: Tensor


@dataclass(frozen=True, slots=True)
class Disagreement:
    what: str
    difference: float
    """Norm of the difference from float32, as a share of float32's norm."""


def trusted_device(
    precision: Precision,
    extractor: nn.Module,
    clip: ClipSpec,
    batches: Collection[int],
    forward_only_batches: Collection[int] = (),
) -> Device:
    """Where to train with batches of so many fragments: in float32 where `precision` is wrong.

    Batches of the sizes `forward_only_batches` need no gradients. Moves the extractor there. Warns
    when it falls back.
    """
    device = Device.best(precision)
    extractor.to(device.kind)
    if device.dtype == torch.float32:
        return device
    off = disagreement(device, extractor, clip, batches, forward_only_batches)
    if off is None:
        return device
    name = str(device.dtype).removeprefix("torch.")
    warn(
        f"{name} is wrong on this machine: the {off.what} differs from float32 by"
        f" {off.difference:.3g} of its size, rounding explains {TOLERANCE}. Computing in float32"
    )
    return dataclasses.replace(device, dtype=torch.float32)


def disagreement(
    device: Device,
    extractor: nn.Module,
    clip: ClipSpec,
    batches: Collection[int],
    forward_only_batches: Collection[int] = (),
) -> Disagreement | None:
    """The largest one beyond the tolerance, over all layers, batches and parts of batches."""
    exact = dataclasses.replace(device, dtype=torch.float32)
    found = []
    # Fewer where fragments are blanked.
    learnt = {1, 2, *batches, *(max(1, size // 2) for size in batches)} if batches else set()
    for size in sorted({1, 2, *learnt, *forward_only_batches}):
        for layer in layers(extractor, clip, size, device):
            shape = "×".join(map(str, layer.inputs.shape))
            expected = results(layer, exact, backward=size in learnt)
            for _ in range(TRIALS):
                for what, value in results(layer, device, backward=size in learnt).items():
                    off = relative_difference(value, expected[what])
                    found.append(Disagreement(f"{what} of {layer.name} on {shape}", off))
    worst = max(found, key=lambda one: one.difference)
    return worst if worst.difference > TOLERANCE else None


def layers(extractor: nn.Module, clip: ClipSpec, batch: int, device: Device) -> list[Layer]:
    """The convolutions, each with what random pixels have become where it stands.

    One extractor stands for all, which have the same shapes. The head computes in float32 always.
    """
    met: list[Layer] = []

    def note(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        met.append(Layer(name, module, inputs[0]))

    hooks = [
        module.register_forward_pre_hook(functools.partial(note, name))
        for name, module in extractor.named_modules()
        if isinstance(module, nn.Conv3d)
    ]
    random = torch.Generator().manual_seed(batch)
    shape = (batch, clip.fragment_length, *clip.crop, 3)
    pixels = torch.randint(256, shape, dtype=torch.uint8, generator=random).to(device.kind)
    mean = torch.tensor(clip.mean, device=device.kind).view(3, 1, 1, 1)
    try:
        with evaluating(extractor):
            extractor(centred(pixels, mean))
    finally:
        for hook in hooks:
            hook.remove()
    return met


def results(layer: Layer, device: Device, *, backward: bool) -> dict[str, Tensor]:
    """What the layer computes on the device, forward and, from a random gradient, backward."""
    if not backward:
        with torch.no_grad(), device.autocast():
            return {"output": layer.module(layer.inputs)}
    inputs = layer.inputs.detach().clone().requires_grad_()
    leaves = {"input": inputs, **dict(layer.module.named_parameters())}
    with torch.enable_grad(), device.autocast():
        output: Tensor = layer.module(inputs)
        random = torch.Generator(output.device).manual_seed(0)
        pull = torch.randn(output.shape, generator=random, device=output.device).to(output)
        gradients = torch.autograd.grad(output, list(leaves.values()), pull)
    named = {f"gradient of the {name}": g for name, g in zip(leaves, gradients, strict=True)}
    return {"output": output.detach(), **named}


def relative_difference(value: Tensor, expected: Tensor) -> float:
    """‖value − expected‖ / ‖expected‖; infinite where `value` is not finite."""
    difference = (value.float() - expected.float()).norm() / expected.float().norm().clamp_min(
        1e-12
    )
    return float(torch.nan_to_num(difference, nan=torch.inf, posinf=torch.inf))
