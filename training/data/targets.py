"""
Targets for pre-training and for auxiliary heads: what a fragment shows, as numbers.

A simulator knows them for every frame (`tracks/`); the others come from the annotations. What is
not known is NaN and is left out of the loss. The routine is known in the stage that shows how
difficult it is, its family until the end of that stage, a fault in the stage it belongs to.

Frames are those of the decoded clip, at the spec's rate, of a longer one its last T.

Shapes: N clips, T' decoded frames, L frames a fragment, S state channels, J targets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_store.spec import ClipSpec
from training.data.augment import Look
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.points import points
from training.data.file_times import FileTimes, Indices
from training.data.stages import DIFFICULTY_SHOWN_IN, has_stages, stages_of_clip
from training.errors import DataError
from training.simulator.faults import FAULTS

Floats = NDArray[np.float32]

SAMPLED = 2000  # fragments from which means and deviations are measured
HIPS = (11, 12)  # of COCO-17
JOINT_FRAMES = 4  # of a fragment whose joints are targets, evenly spread
STAGE_SHARE = 0.5  # of a stage, or of a fragment, that must be in the other for its deduction
ROUTINE = ("difficulty", "somersaults", "twists")  # columns
POSITIONS = ("tuck", "pike", "straight", "free")
MIRRORED_STATE = ("tilt_sin", "tilt_speed")  # change their sign with left and right


@dataclass(frozen=True, slots=True)
class Tracks:
    """What is known of one clip, frame by frame."""

    state: Floats
    """(T', S)"""
    joints: Floats
    """(T', 17, 2) relative to the middle of the hips, in picture heights and widths."""

    def last(self, frames: int) -> "Tracks":
        return Tracks(self.state[-frames:], self.joints[-frames:])


@dataclass(frozen=True, slots=True)
class FragmentTargets:
    """Targets of any L frames of N clips.

    In seven groups: state, joints, stages, deductions, routine, family, faults.
    """

    spec: ClipSpec
    clips: Sequence[JudgedClip]
    tracks: Sequence[Tracks | None]
    stages: Sequence[Indices]
    """(T',) for each clip: the stage of every frame, −1 where it is not known."""
    spans: Indices
    """(N, stages) frames of each stage, also those before the last T."""
    routines: Floats
    """(N, R) numbers of ROUTINE, and which of POSITIONS it is; NaN where they are not known, and
    (N, 0) where none is; so are families and faults."""
    families: Floats
    """(N, F) which dive group or family of vaults it is, 1 for that one."""
    faults: Floats
    """(N, Q) severity of each kind of fault, 0…1."""
    fault_stages: Indices
    """(Q,) the stage that shows it."""
    state_names: tuple[str, ...]
    mirrored: Floats
    """(S,) 1, or −1 for channels that change sign with left and right."""

    @classmethod
    def read(
        cls, spec: ClipSpec, clips: Sequence[JudgedClip], times: Sequence[FileTimes]
    ) -> "FragmentTargets":
        """Raises DataError when the clips have neither tracks nor stages, or a broken row."""
        names: tuple[str, ...] = ()
        tracks: list[Tracks | None] = []
        stages: list[Indices] = []
        for clip, timed in zip(clips, times, strict=True):
            read = _read_tracks(clip, timed)
            tracks.append(None if read is None else read[0].last(spec.frames))
            if read is not None and names not in ((), read[1]):
                raise DataError(f"{clip.tracks}: channels {read[1]}, others have {names}")
            names = names if read is None else read[1]
            known = has_stages(clip, spec)
            stages.append(stages_of_clip(clip, timed) if known else np.full(timed.length, -1))
        if not names and not any(clip.stage_starts for clip in clips):
            raise DataError("the clips have neither tracks/NAME.npz nor stage_starts to learn from")
        spans = np.stack([_count(each, len(spec.stages)) for each in stages])
        kept = [each[-spec.frames :] for each in stages]
        simulated = [clip if _is_simulated(spec, clip) else None for clip in clips]
        families = sorted({clip.columns["family"] for clip in simulated if clip is not None})
        faults = FAULTS.get(spec.action, ())
        signs = [-1.0 if name in MIRRORED_STATE else 1.0 for name in names]
        return cls(
            spec=spec,
            clips=clips,
            tracks=tracks,
            stages=kept,
            spans=spans,
            routines=_table(simulated, _routine),
            families=_table(
                simulated, lambda clip: [clip.columns["family"] == each for each in families]
            ),
            faults=_table(
                simulated, lambda clip: [_number(clip, f"fault_{each.kind}") for each in faults]
            ),
            fault_stages=np.array([spec.stages.index(fault.stage) for fault in faults], np.int64),
            state_names=names,
            mirrored=np.array(signs, np.float32),
        )

    @property
    def groups(self) -> dict[str, slice]:
        """Where each group of targets lies."""
        sizes = {
            "state": 2 * len(self.state_names),
            "joints": JOINT_FRAMES * 17 * 2 if self.state_names else 0,
            "stages": len(self.spec.stages),
            "deductions": len(self.spec.stages),
            "routine": self.routines.shape[1],
            "family": self.families.shape[1],
            "faults": self.faults.shape[1],
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

    def length(self, clip: int) -> int:
        """T'"""
        return len(self.stages[clip])

    def first_frame(self, clip: int, prepared: int) -> int:
        """Frame of the prepared clip -> of the decoded one; negative in padding at the start."""
        return prepared - self.spec.offset(self.length(clip))

    def at(self, clip: int, first: int, look: Look | None = None) -> Floats:
        """(J,) for the L frames of the decoded clip from `first` on; NaN if not known."""
        length = self.spec.fragment_length
        frames = np.arange(first, first + length)
        inside = frames[(frames >= 0) & (frames < self.length(clip))]
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
        if self.spans[clip].any() and len(inside):
            count = _count(self.stages[clip][inside], len(self.spec.stages))
            result[groups["stages"]] = count / length
            overlap = np.maximum(count / np.maximum(self.spans[clip], 1), count / length)
            deductions = self.clips[clip].deductions
            deducted = [deductions.get(name, np.nan) for name in self.spec.stages]
            shown = overlap >= STAGE_SHARE
            result[groups["deductions"]] = np.where(shown, deducted, np.nan)
            if "routine" in groups:
                shown_in = self.spec.stages.index(DIFFICULTY_SHOWN_IN[self.spec.action])
                if shown[shown_in]:
                    result[groups["routine"]] = self.routines[clip]
                if count[: shown_in + 1].sum() >= STAGE_SHARE * length:
                    result[groups["family"]] = self.families[clip]
            if "faults" in groups:
                result[groups["faults"]] = np.where(
                    shown[self.fault_stages], self.faults[clip], np.nan
                )
        return result


class TargetScale(nn.Module):
    """Brings targets to mean 0 and deviation 1; means and deviations are (J,) each."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    @classmethod
    def measure(cls, targets: FragmentTargets, clips: Indices, seed: int) -> "TargetScale":
        """From random fragments of these clips."""
        random = np.random.default_rng([seed, SAMPLED])
        rows = []
        for clip in random.choice(clips, SAMPLED):
            room = max(1, targets.length(int(clip)) - targets.spec.fragment_length + 1)
            rows.append(targets.at(int(clip), int(random.integers(room))))
        values = np.stack(rows).astype(np.float64)  # (n, J)
        known = ~np.isnan(values)
        count = np.maximum(known.sum(axis=0), 1)
        filled = np.where(known, values, 0)
        mean = filled.sum(axis=0) / count
        deviation = np.sqrt((np.where(known, values - mean, 0) ** 2).sum(axis=0) / count)
        deviation[deviation < 1e-6] = 1.0
        return cls(torch.from_numpy(mean).float(), torch.from_numpy(deviation).float())

    def forward(self, targets: Tensor) -> Tensor:
        scaled: Tensor = (targets - self.mean) / self.deviation
        return scaled


def _read_tracks(clip: JudgedClip, times: FileTimes) -> tuple[Tracks, tuple[str, ...]] | None:
    """Of every frame at the spec's rate, and the names of the channels."""
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
    if len(state) != len(times.seconds):
        raise DataError(f"{path}: {len(state)} frames, {clip.path.name} has {len(times.seconds)}")
    joints -= joints[:, HIPS].mean(axis=1, keepdims=True)
    return Tracks(state[times.shown], joints[times.shown]), names


def _is_simulated(spec: ClipSpec, clip: JudgedClip) -> bool:
    """Whether its row has what the simulator writes."""
    severities = (f"fault_{fault.kind}" for fault in FAULTS.get(spec.action, ()))
    needed = ("true_score", "family", "position", *ROUTINE, *severities)
    return spec.action in DIFFICULTY_SHOWN_IN and all(map(clip.columns.get, needed))


def _table(
    clips: Sequence[JudgedClip | None], values: Callable[[JudgedClip], Sequence[float]]
) -> Floats:
    """(N, values of a clip); NaN where there is none, (N, 0) where there is none at all."""
    known = [() if clip is None else values(clip) for clip in clips]
    width = max(map(len, known))
    return np.array([each or [np.nan] * width for each in known], np.float32)


def _number(clip: JudgedClip, column: str) -> float:
    """Raises DataError."""
    return points(clip.columns[column], column, clip.path.name)


def _routine(clip: JudgedClip) -> list[float]:
    numbers = [_number(clip, name) for name in ROUTINE]
    return numbers + [float(clip.columns["position"] == each) for each in POSITIONS]


def _count(stages: Indices, count: int) -> Indices:
    """(…,) -> (stages,) frames of each stage."""
    return np.bincount(stages[stages >= 0], minlength=count)


def _mean_and_max(values: Floats) -> tuple[Floats, Floats]:
    """(L, S) -> (S,), (S,) over the frames where a channel is known; NaN where it never is."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    some = count > 0
    mean = np.where(some, np.where(known, values, 0).sum(axis=0) / np.maximum(count, 1), np.nan)
    most = np.where(some, np.where(known, values, -np.inf).max(axis=0), np.nan)
    return mean.astype(np.float32), most.astype(np.float32)
