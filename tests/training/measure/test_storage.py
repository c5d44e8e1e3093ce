"""Clips stored anew, and how far their scores move."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from model_store.clip import ClipWarning, read_clip
from model_store.scorer import Scorer
from model_store.spec import SPECS
from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.clips import clip_bytes, clip_of, moving_square
from tests.training.command_line import succeed
from training.data.datasets.annotations import JudgedClip
from training.errors import DataError
from training.measure.evaluate import score_clips
from training.measure.storage import storage_figures
from training.measure.stored_copies import STORAGE_VARIANTS, recording_of
from training.simulator.video import SAME_BYTES

SPEC = SPECS["diving"].with_size((48, 64), (48, 64))
CLIP = clip_bytes(frames=40, height=96, width=128)
RATES = {
    "24 fps": 24,
    "25 fps": 25,
    "50 fps": 50,
    "60 fps": 60,
    "variable rate": 22.5,
    "a time twice": 29.25,
}
WARNED = {
    "24 fps": ClipWarning.LOW_FRAME_RATE,
    "25 fps": ClipWarning.LOW_FRAME_RATE,
    "variable rate": ClipWarning.LOW_FRAME_RATE,
    "pillars": ClipWarning.BARS,
    "letterbox": ClipWarning.BARS,
    "HLG, white at 100 cd/m²": ClipWarning.HDR,
    "a time twice": ClipWarning.TIMES_REPAIRED,
    "interlaced": ClipWarning.INTERLACED,
}


@pytest.mark.parametrize("name", STORAGE_VARIANTS)
def test_a_copy_shows_the_same(name: str) -> None:
    original = read_clip(CLIP, SPEC)
    copy = read_clip(STORAGE_VARIANTS[name].store(recording_of(CLIP)), SPEC)
    assert copy.warnings == ((WARNED[name],) if name in WARNED else ())
    assert copy.info.fps == pytest.approx(RATES.get(name, 30), rel=0.02)
    assert abs(len(copy.frames) - len(original.frames)) <= 1
    first = np.abs(copy.frames[0].astype(int) - original.frames[0]).mean()
    assert first < 12


def test_files_that_cannot_be_stored_anew() -> None:
    for data in (b"no video", clip_of(moving_square(1, 32, 32))):
        with pytest.raises(DataError):
            recording_of(data)


def test_the_same_part_of_a_copy_is_scored(tmp_path: Path) -> None:
    """The clip is bright in its part and dark elsewhere: another part would score otherwise."""
    store = Store(tmp_path / "store")
    publish_tiny(store, "diving", used=(0,), calibrated=True)
    scorer = Scorer(store.load("diving"), "torch")
    frames = moving_square(120, 32, 32).copy()
    frames[:40] //= 8
    frames[80:] //= 8
    path = tmp_path / "long.mp4"
    path.write_bytes(clip_of(frames, options={"x264-params": SAME_BYTES}))
    clip = JudgedClip(path=path, split="test", score=50, columns={}, start_s=1.4, end_s=2.6)
    whole = dataclasses.replace(clip, start_s=None, end_s=None)
    moved, other = (storage_figures(scorer, [each])["storage"] for each in (clip, whole))
    [part, all_of_it] = score_clips(scorer, [clip, whole]).predicted
    assert abs(part - all_of_it) > 5 * max(row["mean_change"] for row in moved[:2])
    assert moved != other


def test_evaluate_reports_how_far_scores_move(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    publish_tiny(store, "diving", used=(0,), calibrated=True)
    rows = ["clip,split,score"]
    for number in range(2):
        data = clip_bytes(frames=40, height=32, width=32, seed=number)
        (tmp_path / f"{number}.mp4").write_bytes(data)
        rows.append(f"{number}.mp4,test,{50 + number}")
    (tmp_path / "annotations.csv").write_text("\n".join(rows))
    out = tmp_path / "figures.json"
    output = succeed(
        "evaluate", "--checkpoint", "diving", "--data", tmp_path, "--store", store.root,
        "--engine", "torch", "--storage", "--json", out,
    )  # fmt: skip
    figures = json.loads(out.read_text())
    rows_of = {row["stored"]: row for row in figures["storage"]}
    assert list(rows_of) == list(STORAGE_VARIANTS)
    assert rows_of["letterbox"]["clips"] == rows_of["letterbox"]["new_warning"] == 2
    for row in rows_of.values():
        assert row["mean_change"] <= abs(row["worst_change"])
    worst = max(abs(rows_of[name]["worst_change"]) for name in ("letterbox", "pillars"))
    assert figures["moved_by"].keys() == {
        "times_repaired",
        "low_frame_rate",
        "interlaced",
        "bars",
    }
    assert figures["moved_by"]["bars"] == pytest.approx(worst)  # of so few the worst
    assert "letterbox" in output
