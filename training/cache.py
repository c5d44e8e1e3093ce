"""
Decoded clips, kept: every clip is decoded once, into one memory-mapped uint8 array.

The array holds what `decode` gives, frames from the left, so that augmentation can still come
between `decode` and `prepare`; of a longer clip its last T frames, which is all that `prepare`
keeps. The key is made of the spec's decoding fields and the clips' bytes. Clips already decoded
survive a kill; the array gets its name when it is whole.

Shapes: N clips, T frames at most, H W pixels.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from model_store.clip import FrameFiles, decode
from model_store.errors import ClipError
from model_store.spec import ClipSpec
from training.datasets.hashes import source_hash
from training.errors import DataError
from training.worker_pool import worker_pool

Frames = NDArray[np.uint8]
ClipSource = Path | FrameFiles

FRAMES, LENGTHS, DONE = "frames.npy", "lengths.npy", "done.npy"
DECODING_FIELDS = ("frames", "fragment_length", "fps", "resize", "crop", "scaler", "colour_order")


@dataclass(frozen=True, slots=True)
class ClipCache:
    """N decoded clips."""

    frames: Frames
    """(N, T, H, W, 3), memory-mapped, read only; zeros beyond a clip's length."""
    lengths: NDArray[np.int64]
    """(N,) frames a clip, at most T."""

    def __len__(self) -> int:
        return len(self.lengths)

    def decoded(self, index: int) -> Frames:
        """(T', H, W, 3): what `decode` gave, its last T frames if it was longer."""
        frames: Frames = self.frames[index, : self.lengths[index]]
        return frames


def open_cache(
    sources: Sequence[ClipSource],
    spec: ClipSpec,
    folder: Path,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ClipCache:
    """Decode what is missing below `folder`, then map it.

    `progress` hears (clips decoded, clips). Raises DataError, naming the clip, where one cannot
    be used.
    """
    place = folder / cache_key(sources, spec)
    if not (place / FRAMES).exists():
        _build(sources, spec, place, workers or os.cpu_count() or 1, progress)
    return ClipCache(
        np.load(place / FRAMES, mmap_mode="r"), np.load(place / LENGTHS).astype(np.int64)
    )


def cache_key(sources: Sequence[ClipSource], spec: ClipSpec) -> str:
    """Changes with the clips' bytes, their order, and all that decoding depends on."""
    values = spec.to_json()
    digest = hashlib.sha256(json.dumps({k: values[k] for k in DECODING_FIELDS}).encode())
    for source in sources:
        digest.update(bytes.fromhex(source_hash(source)))
    return digest.hexdigest()[:16]


def _build(
    sources: Sequence[ClipSource],
    spec: ClipSpec,
    place: Path,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    place.mkdir(parents=True, exist_ok=True)
    partial = place / f"partial-{FRAMES}"
    shape = (len(sources), spec.frames, *spec.crop, 3)
    lengths = _map(place / LENGTHS, (len(sources),), np.int64)
    done = _map(place / DONE, (len(sources),), np.bool_)
    _map(partial, shape, np.uint8)
    missing = np.flatnonzero(np.logical_not(done)).tolist()
    if progress is not None:
        progress(len(sources) - len(missing), len(sources))
    for count, (index, length) in enumerate(_decoded(sources, missing, spec, partial, workers), 1):
        lengths[index] = length
        done[index] = True  # after the worker has written the pixels
        if progress is not None:
            progress(len(sources) - len(missing) + count, len(sources))
    lengths.flush()
    partial.rename(place / FRAMES)


def _map(
    path: Path, shape: tuple[int, ...], kind: type[np.generic]
) -> np.memmap[tuple[int, ...], np.dtype[np.generic]]:
    """The array at path, made and filled with zeros where it is missing."""
    if path.exists():
        return open_memmap(path, mode="r+")
    new = path.with_name(f".{path.name}-{os.getpid()}")
    open_memmap(new, mode="w+", dtype=kind, shape=shape).flush()
    new.rename(path)
    return open_memmap(path, mode="r+")


def _decoded(
    sources: Sequence[ClipSource], indices: list[int], spec: ClipSpec, partial: Path, workers: int
) -> Iterator[tuple[int, int]]:
    jobs = [(index, sources[index], spec, partial) for index in indices]
    if workers == 1 or len(jobs) < 2 * workers:
        yield from map(_decode_one, jobs)
        return
    with worker_pool(workers) as pool:
        try:
            yield from pool.map(_decode_one, jobs, chunksize=4)
        except DataError:
            pool.shutdown(cancel_futures=True)
            raise


def _decode_one(job: tuple[int, ClipSource, ClipSpec, Path]) -> tuple[int, int]:
    index, source, spec, partial = job
    try:
        frames = decode(source, spec)[-spec.frames :]
    except ClipError as error:
        raise DataError(f"{source}: {error}") from error
    array = open_memmap(partial, mode="r+")
    array[index, : len(frames)] = frames
    return index, len(frames)
