"""
Simulated recordings as the finder sees them: stored, decoded, and made small.

The same call completes an interrupted folder.

Shapes: N frames, G × G parts of a picture.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_store.files import replacing
from model_store.finding.features import GRID, Floats
from model_store.finding.recording import ALL_FRAMES
from model_store.finding.windows import FrameWindow
from model_store.spec import SPECS, ClipSpec
from model_store.video.container import Source, open_bytes
from model_store.video.frame_files import FrameFiles
from model_store.video.reader import ClipReader
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.media import ClipPart
from training.simulator.looks import Style
from training.simulator.uncut import KINDS, Kind, UncutRecording, simulate_recording
from training.simulator.video import write_video

AROUND_S = 4.0  # of other things before and after a routine that is learned from, at most
SIZE = 64  # pixels of the decoded pictures, as the shipped checkpoints have them
_SMALL = 32  # pixels of what is kept on disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    parts: Floats
    """(N, G, G, 3) levels, 0…1; see `model_store.finding.features.parts_of`."""
    routines: tuple[FrameWindow, ...]


def kind_and_style(action: str, index: int) -> tuple[Kind, Style]:
    """Of recording `index` of any seed: all kinds by turns, half of the dives as in broadcasts."""
    is_broadcast = action == "diving" and index // len(KINDS) % 2 == 1
    return KINDS[index % len(KINDS)], "broadcast" if is_broadcast else "plain"


def recorded(
    action: str, seed: int, index: int, *, around_s: float
) -> tuple[UncutRecording, Style, bytes]:
    """Recording `index` of a seed, how it was filmed, and its file."""
    kind, style = kind_and_style(action, index)
    recording = simulate_recording(action, seed, index, kind, style=style, around_s=around_s)
    return recording, style, stored(recording)


def stored(recording: UncutRecording) -> bytes:
    """As an H.264 file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.mp4"
        write_video(path, recording.frames, crf=recording.crf)
        return path.read_bytes()


def whole_spec(action: str, size: int = SIZE) -> ClipSpec:
    """For all frames of a recording, of that many pixels a side."""
    resize = (size * 9 // 8, size * 3 // 2)  # as the shipped checkpoints are cropped
    spec = SPECS[action].with_size(resize, (size, size))
    return dataclasses.replace(spec, frames=ALL_FRAMES)


def cut_clips(clips: Iterable[JudgedClip]) -> list[Path | FrameFiles]:
    """Files that show a routine and nothing else: not those of which a part was judged."""
    return [clip.source for clip in clips if not isinstance(clip.source, ClipPart)]


def frames_of(source: Source, action: str) -> NDArray[np.uint8]:
    """(N, SIZE, SIZE, 3) all frames of a recording."""
    with open_bytes(source) as file:
        return ClipReader(spec=whole_spec(action), sha256="not needed").read(file).frames


def make_recordings(
    action: str,
    seed: int,
    count: int,
    folder: Path,
    on_made: Callable[[int, int], None] = lambda done, of: None,
) -> list[Recording]:
    """The first recordings of a seed; those that the folder has are read from it."""
    folder.mkdir(parents=True, exist_ok=True)
    recordings = []
    for index in range(count):
        path = folder / f"{action}-{seed}-{index:04d}.npz"
        if not path.exists():
            recording, _, file = recorded(action, seed, index, around_s=AROUND_S)
            step = SIZE // _SMALL
            frames = frames_of(file, action).reshape(-1, _SMALL, step, _SMALL, step, 3)
            small = frames.mean(axis=(2, 4)).round().astype(np.uint8)
            _write(path, frames=small, routines=np.array(recording.routines_as_pairs()))
        recordings.append(_read(path))
        on_made(index + 1, count)
    return recordings


def _write(path: Path, **arrays: NDArray[Any]) -> None:
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _read(path: Path) -> Recording:
    with np.load(path) as stored:
        levels = stored["frames"].astype(np.float32) / 255
        step = levels.shape[1] // GRID
        parts = levels.reshape(len(levels), GRID, step, GRID, step, 3).mean(axis=(2, 4))
        routines = tuple(FrameWindow(int(a), int(b)) for a, b in stored["routines"])
    return Recording(parts=np.asarray(parts, np.float32), routines=routines)
