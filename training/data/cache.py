"""
Decoded clips, kept: every clip is decoded once, into one memory-mapped uint8 array.

The array holds what `decode` gives, frames from the left, so that augmentation can still come
between `decode` and `prepare`; of a longer clip its last T frames, which is all that `prepare`
keeps. Beside it is when each file shows its frames. The key is made of the clips' bytes, of all
fields of the spec that decoding depends on, and of what decodes. Clips already decoded survive a
kill; the array gets its name when it is whole.

Shapes: N clips, T frames at most, P frames of a file at most, H W pixels.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from model_store.clip import ClipLimits
from model_store.errors import ClipError
from model_store.files import replacing
from model_store.spec import ClipSpec
from model_store.worker_pool import worker_pool
from training.data.datasets.hashes import source_hash
from training.data.datasets.media import ClipPart, ClipSource
from training.data.file_times import FileTimes, read_timed
from training.errors import DataError

Frames = NDArray[np.uint8]

VERSION = 2  # of what is kept here, and of what `model_store` makes of the same file
FRAMES, LENGTHS, SECONDS, FIRST = "frames.npy", "lengths.npy", "seconds.npy", "first.npy"
DONE = "done.npy"
MOST = ClipLimits().max_frames  # P
AFTER_DECODING = (
    "action", "fragments", "score_range", "difficulty_rule", "stages", "mean", "pad", "start"
)  # fmt: skip
"""Fields of the spec that change nothing in the decoded frames; all others do."""


@dataclass(frozen=True, slots=True)
class ClipCache:
    """N decoded clips."""

    frames: Frames
    """(N, T, H, W, 3), memory-mapped, read only; zeros beyond a clip's length."""
    lengths: NDArray[np.int64]
    """(N,) frames a clip at the spec's rate, also those that are not kept."""
    seconds: NDArray[np.float64]
    """(N, P), memory-mapped, see `FileTimes`; NaN beyond the file's frames."""
    first: NDArray[np.int32]
    """(N, P), memory-mapped, see `FileTimes`."""

    def __len__(self) -> int:
        return len(self.lengths)

    def decoded(self, index: int) -> Frames:
        """(T', H, W, 3): what `decode` gave, its last T frames if it was longer."""
        frames: Frames = self.frames[index, : self.lengths[index]]
        return frames

    def times(self, index: int) -> FileTimes:
        seconds = self.seconds[index]
        count = np.count_nonzero(~np.isnan(seconds))
        return FileTimes(
            seconds=np.array(seconds[:count]),
            first=self.first[index, :count].astype(np.int64),
            length=int(self.lengths[index]),
        )


def open_cache(
    sources: Sequence[ClipSource],
    spec: ClipSpec,
    folder: Path,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ClipCache:
    """Decode what is missing below `folder`, then map it.

    `progress` is called with (clips decoded, clips). Raises DataError, naming the clip,
    where one cannot be used.
    """
    place = folder / cache_key(sources, spec)
    if not (place / FRAMES).exists():
        _build(sources, spec, place, workers or os.cpu_count() or 1, progress)
    return ClipCache(
        frames=np.load(place / FRAMES, mmap_mode="r"),
        lengths=np.load(place / LENGTHS),
        seconds=np.load(place / SECONDS, mmap_mode="r"),
        first=np.load(place / FIRST, mmap_mode="r"),
    )


def cache_key(sources: Sequence[ClipSource], spec: ClipSpec) -> str:
    """Changes with the clips' bytes, their order, and all that decoding depends on."""
    values = {k: v for k, v in spec.to_json().items() if k not in AFTER_DECODING}
    values |= {"cache": VERSION, "av": av.__version__, "ffmpeg": av.ffmpeg_version_info}
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for source in sources:
        digest.update(bytes.fromhex(source_hash(source)))
        if isinstance(source, ClipPart):
            digest.update(repr((source.start_s, source.end_s)).encode())
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
    seconds = _map(place / SECONDS, (len(sources), MOST), np.float64)
    first = _map(place / FIRST, (len(sources), MOST), np.int32)
    done = _map(place / DONE, (len(sources),), np.bool_)
    _map(partial, shape, np.uint8)
    missing = np.flatnonzero(np.logical_not(done)).tolist()
    if progress is not None:
        progress(len(sources) - len(missing), len(sources))
    for count, (index, times) in enumerate(_decoded(sources, missing, spec, partial, workers), 1):
        frames = len(times.seconds)
        lengths[index] = times.length
        seconds[index, :frames], seconds[index, frames:] = times.seconds, np.nan
        first[index, :frames] = times.first
        done[index] = True  # after the worker has written the pixels
        if progress is not None:
            progress(len(sources) - len(missing) + count, len(sources))
    for array in (lengths, seconds, first):
        array.flush()
    partial.rename(place / FRAMES)


def _map(
    path: Path, shape: tuple[int, ...], kind: type[np.generic]
) -> np.memmap[tuple[int, ...], np.dtype[np.generic]]:
    """The array at path, made and filled with zeros where it is missing."""
    if path.exists():
        return open_memmap(path, mode="r+")
    with replacing(path) as partial:
        open_memmap(partial, mode="w+", dtype=kind, shape=shape).flush()
    return open_memmap(path, mode="r+")


def _decoded(
    sources: Sequence[ClipSource], indices: list[int], spec: ClipSpec, partial: Path, workers: int
) -> Iterator[tuple[int, FileTimes]]:
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


def _decode_one(job: tuple[int, ClipSource, ClipSpec, Path]) -> tuple[int, FileTimes]:
    index, source, spec, partial = job
    try:
        decoded, times = read_timed(source, spec)
    except ClipError as error:
        raise DataError(f"{source}: {error}") from error
    frames = decoded.frames[-spec.frames :]
    array = open_memmap(partial, mode="r+")
    array[index, : len(frames)] = frames
    return index, times
