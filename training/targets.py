"""
What a fragment shows, as numbers: targets for pre-training and for auxiliary heads.

A simulator knows them for every frame (`tracks/`), and stages and deductions come from the
annotations. What is not known is NaN and teaches nothing.

Shapes: N clips, T' decoded frames, L frames a fragment, S state channels, J targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_store.spec import ClipSpec
from training.augment import Look
from training.datasets.annotations import JudgedClip
from training.errors import DataError

Floats = NDArray[np.float32]

HIPS = (11, 12)  # of COCO-17
JOINT_FRAMES = 4  # of a fragment whose joints are targets, evenly spread
STAGE_SHARE = 0.5  # of a stage, or of a fragment, that must be in the other for its deduction
MIRRORED_STATE = ("tilt_sin", "tilt_speed")  # change their sign with left and right


@dataclass(frozen=True, slots=True)
class Tracks:
    """What is known of one clip, frame by frame."""

    state: Floats
    """(T', S)"""
    joints: Floats
    """(T', 17, 2) relative to the middle of the hips, in picture heights and widths."""


@dataclass(frozen=True, slots=True)
class FragmentTargets:
    """Targets of any L frames of N clips, in four groups: state, joints, stages, deductions."""

    spec: ClipSpec
    clips: Sequence[JudgedClip]
    tracks: Sequence[Tracks | None]
    lengths: NDArray[np.int64]
    """(N,) frames of the file at the spec's rate, before trimming to T."""
    state_names: tuple[str, ...]
    mirrored: Floats
    """(S,) 1, or −1 for channels that change sign with left and right."""

    @classmethod
    def read(
        cls, spec: ClipSpec, clips: Sequence[JudgedClip], lengths: NDArray[np.int64]
    ) -> "FragmentTargets":
        """Raises DataError when the clips have neither tracks nor stages."""
        names: tuple[str, ...] = ()
        tracks: list[Tracks | None] = []
        for clip in clips:
            read = _read_tracks(clip)
            tracks.append(None if read is None else read[0])
            if read is not None and names not in ((), read[1]):
                raise DataError(f"{clip.tracks}: channels {read[1]}, others have {names}")
            names = names if read is None else read[1]
        if not names and not any(clip.stage_starts for clip in clips):
            raise DataError("the clips have neither tracks/NAME.npz nor stage_starts to learn from")
        lengths = np.array(
            [
                length if track is None else max(int(length), len(track.state))
                for length, track in zip(lengths, tracks, strict=True)
            ]
        )
        signs = [-1.0 if name in MIRRORED_STATE else 1.0 for name in names]
        return cls(spec, clips, tracks, lengths, names, np.array(signs, np.float32))

    @property
    def groups(self) -> dict[str, slice]:
        """Where each group of targets lies."""
        sizes = {
            "state": 2 * len(self.state_names),
            "joints": JOINT_FRAMES * 17 * 2 if self.state_names else 0,
            "stages": len(self.spec.stages),
            "deductions": len(self.spec.stages),
        }
        slices, begin = {}, 0
        for name, size in sizes.items():
            if size:
                slices[name] = slice(begin, begin + size)
            begin += size
        return slices

    @property
    def size(self) -> int:
        """J"""
        return int(max(group.stop for group in self.groups.values()))

    def first_frame(self, clip: int, prepared: int) -> int:
        """Frame of the prepared clip -> frame of the file; negative within padding at the start."""
        extra = int(self.lengths[clip]) - self.spec.frames
        return int(prepared + extra) if extra > 0 or self.spec.pad == "start" else prepared

    def at(self, clip: int, first: int, look: Look | None = None) -> Floats:
        """(J,) for the L frames from `first` on, counted in the file's frames; NaN if not known."""
        length = self.spec.fragment_length
        frames = np.arange(first, first + length)
        inside = frames[(frames >= 0) & (frames < self.lengths[clip])]
        result = np.full(self.size, np.nan, np.float32)
        groups = self.groups
        tracks = self.tracks[clip]
        if tracks is not None and len(inside):
            flipped = look is not None and look.flip
            state = tracks.state[inside] * (self.mirrored if flipped else 1.0)
            result[groups["state"]] = np.concatenate(_mean_and_max(state))
            chosen = first + np.arange(JOINT_FRAMES) * (length - 1) // (JOINT_FRAMES - 1)
            joints = np.full((JOINT_FRAMES, 17, 2), np.nan, np.float32)
            known = (chosen >= 0) & (chosen < len(tracks.joints))
            joints[known] = tracks.joints[chosen[known]]
            result[groups["joints"]] = (look.mirror(joints) if look else joints).ravel()
        starts = self.clips[clip].stage_starts
        if starts is not None and len(inside) and len(starts) == len(self.spec.stages):
            stage = np.searchsorted(starts, inside, side="right") - 1
            count = np.bincount(stage[stage >= 0], minlength=len(starts))
            result[groups["stages"]] = count / length
            spans = np.diff([*starts, max(int(self.lengths[clip]), starts[-1] + 1)])
            overlap = np.maximum(count / np.maximum(spans, 1), count / length)
            deductions = self.clips[clip].deductions
            points = [deductions.get(name, np.nan) for name in self.spec.stages]
            result[groups["deductions"]] = np.where(overlap >= STAGE_SHARE, points, np.nan)
        return result


def _read_tracks(clip: JudgedClip) -> tuple[Tracks, tuple[str, ...]] | None:
    path = clip.tracks
    if path is None:
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            joints = file["joints"].astype(np.float32)
            state = file["state"].astype(np.float32)
            names = tuple(map(str, file["state_names"]))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: need arrays joints, state and state_names") from error
    if joints.shape[1:] != (17, 2) or state.shape != (len(joints), len(names)):
        raise DataError(f"{path}: joints {joints.shape}, state {state.shape}, {len(names)} names")
    return Tracks(state, joints - joints[:, HIPS].mean(axis=1, keepdims=True)), names


def _mean_and_max(values: Floats) -> tuple[Floats, Floats]:
    """(L, S) -> (S,), (S,) over the frames where a channel is known; NaN where it never is."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    some = count > 0
    mean = np.where(some, np.where(known, values, 0).sum(axis=0) / np.maximum(count, 1), np.nan)
    most = np.where(some, np.where(known, values, -np.inf).max(axis=0), np.nan)
    return mean.astype(np.float32), most.astype(np.float32)
