"""
The extractor's forward and backward pass as training wants it on a CPU.

Same parameters and same function as `C3DExtractor`; a test holds both against each other in
double precision. What differs is memory traffic, which is where a CPU spends its time at these
sizes: channels stay last from the uint8 frames on, batch statistics come from two matrix
products, normalisation is applied after the pool, where a quarter or an eighth of the values is
left (max and an increasing function commute; the sign of its factor goes into the convolution),
and frozen normalisation is folded into the convolution.

CPU time of one training step, compact, bfloat16 with AMX, for a fragment of 64×64: 10.3 ms by the
plain module, 9.0 ms here, 6.0 ms frozen; without `memory.py` the plain module takes 18 ms.

Shapes: B fragments, L frames, H W pixels, C channels. "Rows" are tensors (B, L, H, W, C).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_store.network import C3DExtractor

STATISTICS_CHUNK = 4096  # positions a matrix product; each is rounded to the working precision

Pool = tuple[Any, Any] | None


def extract(
    extractor: C3DExtractor,
    fragments: Tensor,
    mean: Tensor,
    *,
    frozen: bool,
    dtype: torch.dtype = torch.bfloat16,
) -> Tensor:
    """(B, L, H, W, 3) uint8 -> (B, D, L', H', W') in `dtype`.

    `frozen` normalises with the running statistics and leaves them alone; otherwise batch
    statistics are used and the running ones follow, as `nn.BatchNorm3d` does in training.
    """
    x = centred(fragments, mean, dtype)
    for name, _, pool in extractor.LAYERS:
        conv, norm = extractor.get_submodule(name), extractor.get_submodule(f"{name}_norm")
        assert isinstance(conv, nn.Conv3d)
        if not isinstance(norm, nn.BatchNorm3d):
            x = F.relu(max_pool(convolve(x, conv.weight, conv.bias), pool))
        elif frozen:
            x = F.relu(max_pool(convolve(x, *folded(conv, norm)), pool))
        else:
            x = batch_normalised(x, conv, norm, pool)
    return x.permute(0, 4, 1, 2, 3)


def centred(fragments: Tensor, mean: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, L, H, W, 3) uint8 -> the same minus the mean, in `dtype`."""
    lines = fragments.to(dtype).flatten(3)  # (B, L, H, W·3)
    return (lines - per_line(mean.flatten(), fragments.shape[3], dtype)).view(fragments.shape)


def per_line(channels: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """(C,) -> (W·C,): elementwise work on whole lines is vectorised."""
    return channels.to(dtype).expand(width, -1).reshape(-1)


def convolve(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """3×3×3, same size, on rows."""
    x = rows.permute(0, 4, 1, 2, 3)  # (B, C, L, H, W), channels last in memory
    weight = weight.to(rows.dtype).contiguous(memory_format=torch.channels_last_3d)
    bias = None if bias is None else bias.to(rows.dtype)
    y = F.conv3d(x, weight, bias, padding=1).permute(0, 2, 3, 4, 1)
    return y.contiguous()


def folded(conv: nn.Conv3d, norm: nn.BatchNorm3d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution and its normalisation in one; gradients reach both."""
    assert conv.bias is not None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    weight = conv.weight * scale.view(-1, 1, 1, 1, 1)
    return weight, norm.bias + (conv.bias - norm.running_mean) * scale


def batch_normalised(rows: Tensor, conv: nn.Conv3d, norm: nn.BatchNorm3d, pool: Pool) -> Tensor:
    """Convolution, batch normalisation, pool and ReLU; updates the running statistics."""
    assert conv.bias is not None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.momentum is not None
    sign = (norm.weight.detach() >= 0).to(norm.weight.dtype) * 2 - 1
    # The convolution's bias moves the mean and nothing else: its gradient is exactly 0.
    x = convolve(rows, conv.weight * sign.view(-1, 1, 1, 1, 1), None)
    mean, variance = statistics(x.detach())
    count = x.numel() // x.shape[-1]
    with torch.no_grad():
        norm.running_mean.lerp_(mean * sign + conv.bias, norm.momentum)
        norm.running_var.lerp_(variance * (count / max(1, count - 1)), norm.momentum)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked += 1
    deviation = torch.sqrt(variance + norm.eps)
    gain = norm.weight * sign
    result: Tensor = _NormPool.apply(  # type: ignore[no-untyped-call]
        x, gain, norm.bias, mean, deviation, pool
    )
    return F.relu(result)


def statistics(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance of every channel: (…, C) -> (C,), (C,)."""
    channels = rows.shape[-1]
    lines = rows.reshape(-1, rows.shape[-2] * channels)
    sums = (lines.new_ones(1, len(lines)) @ lines).to(exact(rows)).view(-1, channels).sum(0)
    flat = rows.reshape(-1, channels)
    size = STATISTICS_CHUNK if len(flat) % STATISTICS_CHUNK == 0 else len(flat)
    chunks = flat.view(-1, size, channels)
    squares = torch.bmm(chunks.transpose(1, 2), chunks).to(exact(rows)).sum(0).diagonal()
    mean = sums / len(flat)
    return mean, (squares / len(flat) - mean * mean).clamp_min(0)


def exact(x: Tensor) -> torch.dtype:
    """The precision to sum in."""
    return torch.promote_types(x.dtype, torch.float32)


def max_pool(rows: Tensor, pool: Pool) -> Tensor:
    """Max pooling with stride = kernel, on rows; None pools nothing."""
    if pool is None:
        return rows
    if (axes := halved_axes(rows, pool)) is not None:
        result: Tensor = _HalvingMax.apply(rows, axes)  # type: ignore[no-untyped-call]
        return result
    kernel, padding = pool
    x = rows.permute(0, 4, 1, 2, 3)
    return F.max_pool3d(x, kernel, kernel, padding).permute(0, 2, 3, 4, 1).contiguous()


def halved_axes(rows: Tensor, pool: tuple[Any, Any]) -> tuple[int, ...] | None:
    """The axes of rows that a pool of 2s and 1s halves; None if it is not so simple."""
    kernel, padding = pool
    if padding != 0:
        return None
    axes = tuple(axis for axis, size in zip((1, 2, 3), kernel, strict=True) if size == 2)
    return axes if all(rows.shape[axis] % 2 == 0 for axis in axes) else None


def pairs(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Views of the even and of the odd positions along an axis."""
    split = torch.unflatten(x, axis, (-1, 2))
    return split.select(axis + 1, 0), split.select(axis + 1, 1)


def halving_max(x: Tensor, axes: tuple[int, ...]) -> list[Tensor]:
    """x and its maxima after each axis in turn; the last one is the pooled tensor."""
    levels = [x]
    for axis in axes:
        levels.append(torch.maximum(*pairs(levels[-1], axis)))
    return levels


def spread_back(gradient: Tensor, levels: list[Tensor], axes: tuple[int, ...]) -> Tensor:
    """The gradient of the pooled tensor, moved to where the maxima came from."""
    for level, axis in zip(levels[-2::-1], axes[::-1], strict=True):
        even, odd = pairs(level, axis)
        spread = torch.empty_like(level)
        to_even, to_odd = pairs(spread, axis)
        torch.ge(even, odd, out=to_odd)  # 1 or 0 in the working precision
        torch.mul(gradient, to_odd, out=to_even)
        torch.sub(gradient, to_even, out=to_odd)
        gradient = spread
    return gradient


class _HalvingMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        levels = halving_max(x, axes)
        ctx.axes = axes
        ctx.save_for_backward(*levels[:-1])
        return levels[-1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return spread_back(gradient, [*ctx.saved_tensors, gradient], ctx.axes), None


class _NormPool(torch.autograd.Function):
    """pool((x − mean(x)) / deviation(x) · gain + shift), gain not negative, on rows.

    With x̂ the normalised x and g the gradient at the pool's output, N positions a channel:
    dx = gain / deviation · (scatter(g) − Σg / N − x̂ · Σ(g·x̂) / N).
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gain: Tensor,
        shift: Tensor,
        mean: Tensor,
        deviation: Tensor,
        pool: Pool,
    ) -> Tensor:
        axes = () if pool is None else halved_axes(x, pool)
        where: Tensor | None = None
        if axes is not None:
            levels = halving_max(x, axes)
        else:
            assert pool is not None
            kernel, padding = pool
            pooled, where = F.max_pool3d(
                x.permute(0, 4, 1, 2, 3), kernel, kernel, padding, return_indices=True
            )
            levels = [x, pooled.permute(0, 2, 3, 4, 1).contiguous()]
        ctx.axes, ctx.pool = axes, pool
        ctx.save_for_backward(gain, mean, deviation, where, *levels)
        z = levels[-1]
        scale = gain / deviation
        lines = torch.addcmul(
            per_line(shift - mean * scale, z.shape[3], z.dtype),
            z.flatten(3),
            per_line(scale, z.shape[3], z.dtype),
        )
        return lines.view(z.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        gain, mean, deviation, where, *levels = ctx.saved_tensors
        x, z = levels[0], levels[-1]
        gradient = gradient.contiguous()
        total = channel_sum(gradient)
        total_normalised = (channel_sum(gradient * z) - mean * total) / deviation
        count = x.numel() // x.shape[-1]
        scale = gain / deviation
        slope = -scale * total_normalised / (count * deviation)
        offset = -scale * total / count - slope * mean
        scaled = (gradient.flatten(3) * per_line(scale, z.shape[3], z.dtype)).view(z.shape)
        if ctx.axes is not None:
            dx = spread_back(scaled, levels, ctx.axes)
        else:
            kernel, padding = ctx.pool
            padding = [0, 0, 0] if padding == 0 else list(padding)
            dx = torch.ops.aten.max_pool3d_with_indices_backward(
                scaled.permute(0, 4, 1, 2, 3),
                x.permute(0, 4, 1, 2, 3),
                list(kernel),
                list(kernel),
                padding,
                [1, 1, 1],
                False,
                where,
            )
            dx = dx.permute(0, 2, 3, 4, 1).contiguous()
        if dx is gradient or dx is scaled:
            dx = dx.clone()
        lines = dx.view(*x.shape[:3], -1)
        lines.addcmul_(x.flatten(3), per_line(slope, x.shape[3], x.dtype)).add_(
            per_line(offset, x.shape[3], x.dtype)
        )
        return dx, total_normalised, total, None, None, None


def channel_sum(rows: Tensor) -> Tensor:
    """(…, C) -> (C,)."""
    lines = rows.reshape(-1, rows.shape[-2] * rows.shape[-1])  # (B·L·H, W·C)
    return lines.sum(0, dtype=exact(rows)).view(-1, rows.shape[-1]).sum(0)
