"""
Recordings put together of cut clips: one to three in a row, and between them stills that shake a
little, as if the camera had waited.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from model_store.clip import Source
from model_store.found_routine import Span
from training.measure.stored_copies import Recording, StorageVariant, recording_of
from training.simulator.looks import FPS

MOST_WAITING = 150  # frames before a clip, and after it
_SHAKES = 2  # pixels each way


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRecording:
    kind: str
    file: bytes
    routines: tuple[Span, ...]


def strung(clips: Sequence[Source], seed: int, count: int) -> Iterator[KnownRecording]:
    """`count` recordings of clips drawn from those given.   Raises DataError."""
    for index in range(count):
        rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
        pictures: list[NDArray[np.uint8]] = []
        routines: list[Span] = []
        chosen = rng.choice(len(clips), size=int(rng.integers(1, 4)), replace=False)
        size = None
        for number in chosen:
            clip = [np.asarray(each) for each in recording_of(clips[number]).at(FPS).pictures]
            size = size or clip[0].shape
            if clip[0].shape != size:
                continue
            pictures += _waiting(clip[0], rng)
            routines.append((len(pictures) / FPS, (len(pictures) + len(clip)) / FPS))
            pictures += clip
            pictures += _waiting(clip[-1], rng)
        times = [Fraction(n, FPS) for n in range(len(pictures))]
        file = StorageVariant(options={"crf": "23", "preset": "veryfast"}).store(
            Recording(pictures, times)
        )
        yield KnownRecording(kind="cut clips in a row", file=file, routines=tuple(routines))


def _waiting(picture: NDArray[np.uint8], rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    path = np.cumsum(rng.normal(0, 0.3, (int(rng.integers(0, MOST_WAITING)), 2)), axis=0)
    moved = np.clip(np.rint(path), -_SHAKES, _SHAKES).astype(int)
    return [np.roll(picture, shift, axis=(0, 1)) for shift in moved]
