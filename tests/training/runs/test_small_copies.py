"""Small copies show the same pictures at the same times."""

import csv
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from model_store.clip import load_clip
from model_store.spec import VAULT
from tests.clips import moving_square, write_clip
from training.runs.small_copies import SIDE, copy_clip, copy_folder


def times(path: Path) -> list[float]:
    with av.open(path) as video:
        return [float(frame.time) for frame in video.decode(video=0) if frame.time is not None]


def test_a_folder_is_copied_small(six_vaults: Path, tmp_path: Path) -> None:
    spec = VAULT.with_size((128, 171), (112, 112))
    names = copy_folder(six_vaults, tmp_path / "small")
    for name in names:
        ours, theirs = six_vaults / name, tmp_path / "small" / name
        assert theirs.stat().st_size < 0.75 * ours.stat().st_size  # noise is most of both
        with av.open(theirs) as video:
            stream = video.streams.video[0]
            assert min(stream.width, stream.height) == SIDE
        np.testing.assert_allclose(times(theirs), times(ours), atol=1e-3)
        off = load_clip(theirs, spec).astype(int) - load_clip(ours, spec)
        assert np.abs(off).mean() < 6
    with (tmp_path / "small" / "annotations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["clip"] for row in rows] == names
    assert all(row["score"] for row in rows)
    kept = (tmp_path / "small" / names[0]).stat().st_mtime_ns
    copy_folder(six_vaults, tmp_path / "small")
    assert (tmp_path / "small" / names[0]).stat().st_mtime_ns == kept


def test_uneven_times_stay_as_they_are(tmp_path: Path) -> None:
    source, target = tmp_path / "clip.mp4", tmp_path / "copy.mp4"
    pts = np.cumsum(np.random.default_rng(0).integers(1, 5, 40)).tolist()
    write_clip(source, moving_square(40, 90, 120), fps=25, time_base=Fraction(1, 90), pts=pts)
    copy_clip(source, target)
    np.testing.assert_allclose(times(target), times(source), atol=1e-3)
    assert len({*np.diff(times(target)).round(3)}) > 2


def test_oblong_pixels_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    with av.open(source, "w") as file:
        stream: Any = file.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 80, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for pixels in moving_square(20, 80, 96):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode(None))
    with pytest.raises(ValueError, match="pixels are 4/3"):
        copy_clip(source, tmp_path / "copy.mp4")
