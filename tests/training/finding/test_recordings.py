"""Recordings as they are learned from, kept in a folder."""

from pathlib import Path

import numpy as np
import pytest

from model_store.finding.features import GRID, parts_of
from training.finding import recordings
from training.finding.recordings import frames_of, make_recordings, recorded


def test_a_folder_is_completed_and_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "AROUND_S", 0.5)
    [first] = make_recordings("vault", 11, 1, tmp_path)
    [file] = tmp_path.iterdir()
    written = file.read_bytes()
    done: list[tuple[int, int]] = []
    again = make_recordings("vault", 11, 2, tmp_path, lambda *counts: done.append(counts))
    assert file.read_bytes() == written
    assert done == [(1, 2), (2, 2)]
    np.testing.assert_array_equal(again[0].parts, first.parts)

    recording, style, content = recorded("vault", 11, 0, around_s=0.5)
    assert style == "plain"
    assert first.routines == tuple(recording.routines_as_pairs())
    parts = parts_of(frames_of(content, "vault"))
    assert parts.shape == (len(recording.frames), GRID, GRID, 3)
    np.testing.assert_allclose(first.parts, parts, atol=0.6 / 255)
