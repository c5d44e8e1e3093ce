"""
Decoding and scaling to the spec: against the decoder alone, and against other libraries.

Bit rates are fixed, as uploads have them: 1080p 8, 720p 5, 320×240 0.4 Mbit/s.
"""

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model_store.clip import read_clip
from model_store.spec import SKATING, ClipSpec
from model_store.store import Store
from tests.bench.bench import Bench
from tests.bench.footage import Footage
from tests.bench.peers.decoders import PEERS, Decode, decode_only, described
from tests.bench.results import Row, at_most, timed, why_absent

HD: dict[str, Any] = {"height": 720, "width": 1280, "bit_rate": 5_000_000}
FULL_HD: dict[str, Any] = {"height": 1080, "width": 1920, "bit_rate": 8_000_000}
SMALL: dict[str, Any] = {"height": 240, "width": 320, "bit_rate": 400_000}

SMALL_CLIP = "H.264 320×240"
CLIPS = {
    SMALL_CLIP: Footage(name="h264-240", **SMALL),
    "H.264 1280×720": Footage(name="h264-720", **HD),
    "H.264 1920×1080": Footage(name="h264-1080", **FULL_HD),
    "HEVC 1280×720": Footage(
        name="hevc-720", codec="libx265", options={"x265-params": "log-level=1"}, **HD
    ),
    "MJPEG AVI 1280×720": Footage(
        name="mjpeg-720",
        codec="mjpeg",
        container="avi",
        pix_fmt="yuvj420p",
        options={"qmin": "4", "qmax": "4"},
        **HD | {"bit_rate": None},
    ),
}
SPARSE = {
    "60 fps, every second frame": Footage(name="h264-720-60", frames=302, fps=60, **HD),
    "4500 frames, the last 151": Footage(name="h264-240-long", frames=4500, **SMALL),
    "4500 frames, every fifth": Footage(name="h264-240-skating", frames=4500, fps=24, **SMALL),
}
BOUNDS = {"decord": 1.0, "OpenCV": 0.7, "torchcodec": 1.0, "PyAV + torch": 1.0}
OPTIONAL = ("torchcodec",)
SKATING_FPS = 24


def run(bench: Bench) -> None:
    torch.set_num_threads(1)  # as many as every decoder here has
    spec = Store().load("diving").spec
    bench.results.peers |= {f"decode, {name}": described(name) for name in PEERS}
    for case, footage in CLIPS.items():
        bench.results.rows += _whole(bench, case, footage, spec)
    for case, footage in SPARSE.items():
        bench.results.rows.append(_sparse(bench, case, footage, spec))


def _whole(bench: Bench, case: str, footage: Footage, spec: ClipSpec) -> list[Row]:
    bench.progress(f"{case}: making the clip")
    file, path = footage.read(bench.folder), footage.path(bench.folder)
    contenders: dict[str, Callable[[], object]] = {
        "ours": partial(read_clip, file, spec),
        "decode only": partial(decode_only, file),
    }
    absent = {}
    for name, (_, decode, _) in PEERS.items():
        reason = why_not(decode, file, path, spec.resize, footage.frames)
        if reason is None:
            contenders[name] = partial(decode, file, path, spec.resize)
        else:
            absent[name] = reason
    timings = bench.compare(case, contenders, budget_s=15)
    ours = timings["ours"]
    floor = at_most(1.6 if case == SMALL_CLIP else 1.2)
    rows = [timed("decode", case, "decode only", ours, timings["decode only"], floor)]
    for name, bound in BOUNDS.items():
        optional, target = name in OPTIONAL, at_most(bound)
        if name in absent:
            row = Row(
                stage="decode", case=case, peer=name, unit="ms", ours=1e3 * ours.median,
                target=target, absent=absent[name], optional=optional,
            )  # fmt: skip
        else:
            row = timed("decode", case, name, ours, timings[name], target)
        rows.append(row)
    return rows


def why_not(
    decode: Decode, file: bytes, path: Path, size: tuple[int, int], frames: int
) -> str | None:
    """Why a peer cannot be measured with a clip; None if it gives the frames it should."""
    try:
        shape = decode(file, path, size).shape
    except (ImportError, OSError, RuntimeError) as error:
        return why_absent(error)
    wanted = (frames, *size, 3)
    return None if shape == wanted else f"gives {shape} for {wanted}"


def _sparse(bench: Bench, case: str, footage: Footage, spec: ClipSpec) -> Row:
    """Against a decoder that decodes all frames and does nothing with them.

    Half the pictures of these files are references, with six sevenths of the bits: they have to be
    decoded. Of every fifth frame a fifth is scaled, too, which takes what the others spare.
    """
    if footage.fps == SKATING_FPS:
        spec = SKATING.with_size(spec.resize, spec.crop)
    bench.progress(f"{case}: making the clip")
    file = footage.read(bench.folder)
    wanted = all_frames(file, spec, footage)[-spec.frames :]
    if not np.array_equal(read_clip(file, spec).frames, wanted):
        raise AssertionError(f"{case}: not the pixels that decoding everything gives")
    timings = bench.compare(
        case,
        {
            "ours": partial(read_clip, file, spec),
            "decode all": partial(decode_only, file),
        },
        budget_s=12,
        fewest=3,
    )
    ours, everything = timings["ours"], timings["decode all"]
    bound = at_most(1.0 if footage.fps == SKATING_FPS else 0.75)
    return timed("decode", case, "decoding all", ours, everything, bound)


def all_frames(file: bytes, spec: ClipSpec, footage: Footage) -> Any:
    """Every frame decoded and scaled, then those at the spec's rate: nothing is spared."""
    every = dataclasses.replace(spec, frames=footage.frames, fps=Fraction(footage.fps))
    frames = read_clip(file, every).frames
    step = footage.fps / spec.fps
    return frames[[int(step * k) for k in range(int(footage.frames / step))]]
