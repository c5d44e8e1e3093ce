"""
Decoded clips in the memory of a GPU, where they are also cut and given their looks.

The rule: the random choices are those of the CPU, and so is what they do to the pixels, but for
rounding: a window is scaled in float32 here and in fixed point there, one level apart at most. On
a CPU nothing of this is used.

Shapes: N clips, B of them in a batch, T frames kept of each, n frames of a clip that are looked
at, K fragments, L frames a fragment, H W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from model_store.spec import ClipSpec
from training.data.augment import Look
from training.data.cache import ClipCache
from training.to_device import to_device

Indices = NDArray[np.int64]

PADDING = -1  # in the place of a frame's number: a blank frame
SHARE = 0.5  # of the GPU's free memory that clips may take


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidentClips:
    frames: Tensor
    """(N·T, H, W, 3) uint8, zeros beyond a clip's length."""
    brightest: NDArray[np.uint8]
    """(N, T, 3): the largest value of each channel in each frame."""
    lengths: Indices
    """(N,) frames that are kept, at most T."""

    @classmethod
    def where_they_fit(cls, cache: ClipCache, kind: str) -> "ResidentClips | None":
        """On a GPU with room for all of them; None on a CPU."""
        if kind != "cuda" or cache.frames.nbytes > SHARE * torch.cuda.mem_get_info()[0]:
            return None
        return cls.copied(cache, kind)

    @classmethod
    def copied(cls, cache: ClipCache, kind: str) -> "ResidentClips":
        count, length, *picture = cache.frames.shape
        frames = torch.empty((count, length, *picture), dtype=torch.uint8, device=kind)
        brightest = torch.empty((count, length, 3), dtype=torch.uint8, device=kind)
        for n in range(count):
            frames[n] = torch.from_numpy(np.array(cache.frames[n])).to(kind)
            brightest[n] = frames[n].amax(dim=(1, 2))
        return cls(
            frames=frames.flatten(0, 1),
            brightest=brightest.cpu().numpy(),
            lengths=np.minimum(cache.lengths, length),
        )

    def fragments(
        self, spec: ClipSpec, clips: Indices, starts: Indices, looks: Sequence[Look | None]
    ) -> tuple[Tensor, Tensor]:
        """(B,) each -> (B, K, L, H, W, 3) uint8 on the device, and (B, K) bool on the CPU.

        `starts` are the frames of the prepared clips at which the fragments begin. The second is
        False for fragments that are blank by themselves.
        """
        kept = self.lengths[clips]
        first = np.array([max(0, spec.offset(int(length))) for length in kept])
        place = np.arange(spec.fragments * spec.fragment_length)
        at = place + (starts - first)[:, None]  # (B, K·L) frames of the decoded clips
        at[(at < 0) | (at >= kept[:, None])] = PADDING
        for row, look in enumerate(looks):
            if look is not None and look.shown is not None:
                there = at[row] != PADDING
                at[row, there] = look.frames_shown(int(kept[row]))[at[row, there]]
        parts = (len(clips), spec.fragments, spec.fragment_length)
        pixels = self.look_at(clips, at, looks)
        return pixels.unflatten(1, parts[1:]), torch.from_numpy(
            self._visible(clips, at, looks).reshape(parts).any(axis=2)
        )

    def look_at(self, clips: Indices, at: Indices, looks: Sequence[Look | None]) -> Tensor:
        """(B,), (B, n), (B,) -> (B, n, H, W, 3) uint8 on the device.

        `at` are frames of the decoded clips, or PADDING; a look's own choice of frames is the
        caller's part.
        """
        device, is_padding = self.frames.device, at == PADDING
        rows = clips[:, None] * self.brightest.shape[1] + np.where(is_padding, 0, at)
        pixels = self.frames[to_device(torch.from_numpy(rows), device)]
        if any(look is not None for look in looks):
            pixels = seen_with(pixels, looks)
        if is_padding.any():
            mask = to_device(torch.from_numpy(is_padding), device)
            pixels = pixels.masked_fill_(mask[:, :, None, None, None], 0)
        return pixels

    def _visible(
        self, clips: Indices, at: Indices, looks: Sequence[Look | None]
    ) -> NDArray[np.bool_]:
        """(B, n): frames that are not black, judged by the brightest pixel, also beyond a window.

        Pixels would have to be fetched from the GPU for it, and the GPU waited for.
        """
        levels = self.brightest[clips[:, None], at].astype(np.float32)  # (B, n, 3)
        for row, look in enumerate(looks):
            if look is not None:
                levels[row] = np.rint(np.array(look.gain) * levels[row] + look.offset)
        visible: NDArray[np.bool_] = (levels > 0).any(axis=2) & (at != PADDING)
        return visible


def seen_with(frames: Tensor, looks: Sequence[Look | None]) -> Tensor:
    """(B, n, H, W, 3) uint8 -> the same, as each clip's look shows its frames.

    What `Look.apply` does to one clip on the CPU, but for the choice of frames.
    """
    count, (height, width) = frames.shape[1], frames.shape[2:4]
    planes = frames.permute(0, 1, 4, 2, 3).flatten(1, 2).float()  # (B, n·3, H, W)
    grid = np.stack([_sampled(look, height, width) for look in looks])
    places = to_device(torch.from_numpy(grid), frames.device)  # (B, H, W, 2)
    scaled = F.grid_sample(planes, places, padding_mode="border", align_corners=True)
    seen = scaled.round().unflatten(1, (count, 3))  # (B, n, 3, H, W)
    colour = np.array(
        [(look.gain, look.offset) if look else ((1.0,) * 3, (0.0,) * 3) for look in looks],
        np.float32,
    )  # (B, 2, 3)
    there = to_device(torch.from_numpy(colour), frames.device)
    gain, offset = there[:, :, None, :, None, None].unbind(1)
    levels: Tensor = seen.mul_(gain).add_(offset).round_().clamp_(0, 255).to(torch.uint8)
    return levels.permute(0, 1, 3, 4, 2)  # (B, n, H, W, 3)


def _sampled(look: Look | None, height: int, width: int) -> NDArray[np.float32]:
    """(H, W, 2): where in the picture each pixel is taken from, x and y from −1 to 1."""
    top, left, rows, columns = look.window if look else (0, 0, height, width)
    y, x = _positions(top, rows, height), _positions(left, columns, width)
    if look is not None and look.flip:
        x = x[::-1]
    return np.stack(np.broadcast_arrays(x[None, :], y[:, None]), axis=-1)


def _positions(first: int, size: int, whole: int) -> NDArray[np.float32]:
    """(whole,): of each pixel after `size` pixels from `first` on are scaled to all of `whole`."""
    inside = (np.arange(whole) + 0.5) * size / whole - 0.5
    pixel = first + np.clip(inside, 0, size - 1)
    return (2 * pixel / max(1, whole - 1) - 1).astype(np.float32)
