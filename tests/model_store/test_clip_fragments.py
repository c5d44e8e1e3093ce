import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from model_store.clip import blank_fragments, cut, prepare
from model_store.errors import InvalidTrim, UnusableClip
from model_store.spec import SPECS, ClipSpec
from tests.clips import numbered, numbers


@pytest.mark.parametrize("pad", ["end", "start"])
@pytest.mark.parametrize("count", [0, 1, 150, 151, 152, 400])
def test_prepare(count: int, pad: Any, small: ClipSpec) -> None:
    spec = dataclasses.replace(small, pad=pad)
    shown = list(range(count))[-151:]
    blank = [-1] * (151 - len(shown))
    expected = blank + shown if pad == "start" else shown + blank
    assert numbers(prepare(numbered(count), spec)) == expected


@pytest.mark.parametrize(
    "frames",
    [np.zeros((151, 32, 31, 3), np.uint8), np.zeros((151, 32, 32, 3), np.float32),
     np.zeros((32, 32, 3), np.uint8)],
)  # fmt: skip
def test_prepare_refuses_other_shapes(frames: Any, small: ClipSpec) -> None:
    with pytest.raises(UnusableClip, match="need"):
        prepare(frames, small)


@pytest.mark.parametrize("action", SPECS)
@pytest.mark.parametrize("of", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_fragments_are_cut_by_index_and_share_memory(action: str, of: Callable[..., Any]) -> None:
    spec = SPECS[action].with_size((8, 8), (8, 8))
    batch = np.stack([numbered(spec.frames, 8, 8), numbered(spec.frames, 8, 8, first=1000)])
    clips = of(batch)
    for start in {None, 0, spec.slack}:
        fragments = cut(clips, spec, start)
        assert tuple(fragments.shape) == (2, spec.fragments, spec.fragment_length, 8, 8, 3)
        assert np.shares_memory(np.asarray(fragments), np.asarray(clips))
        begin = spec.start if start is None else start
        for clip, first in enumerate((0, 1000)):
            for k in range(spec.fragments):
                expected = [
                    first + begin + k * spec.fragment_length + i
                    for i in range(spec.fragment_length)
                ]
                assert numbers(np.asarray(fragments[clip, k])) == expected


def test_fragments_of_the_spec_start_where_the_spec_says(small: ClipSpec) -> None:
    spec = dataclasses.replace(small, start=7)
    [fragments] = cut(numbered(151)[None], spec)
    for index in range(spec.fragments):
        assert numbers(fragments[index]) == list(spec.fragment_frames(index))


def test_cut_refuses_what_does_not_fit(small: ClipSpec) -> None:
    with pytest.raises(UnusableClip, match="150 frames, need 151"):
        cut(np.zeros((1, 150, 32, 32, 3), np.uint8), small)
    for start in (-1, 8):
        with pytest.raises(InvalidTrim, match="need 0…7"):
            cut(np.zeros((1, 151, 32, 32, 3), np.uint8), small, start)


@pytest.mark.parametrize("of", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_blank_fragments(of: Callable[..., Any], small: ClipSpec) -> None:
    clips = np.zeros((2, 151, 32, 32, 3), np.uint8)
    clips[0, 0, 0, 0, 0] = 1  # the first pixel of fragment 0
    clips[0, 47, 31, 31, 2] = 128  # the last pixel of fragment 2
    clips[1, 144:] = 255  # behind the last fragment
    blank = blank_fragments(of(clips), small)
    assert np.asarray(blank).dtype == bool
    assert np.asarray(blank).tolist() == [
        [False, True, False] + [True] * 6,
        [True] * 9,
    ]
    assert not np.asarray(blank_fragments(of(clips), small, start=7))[1, 8]
