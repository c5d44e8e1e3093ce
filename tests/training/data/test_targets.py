"""What a fragment shows, worked out by hand from tracks that are simple enough to."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_store.spec import DIVING, ClipSpec, Pad
from tests.training.bright import at_spec_rate
from training.data.augment import Look
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.stage_starts import StageStarts
from training.data.file_times import FileTimes
from training.data.targets import FragmentTargets, TargetScale
from training.errors import DataError
from training.simulator.faults import FAULTS

STARTS = StageStarts((0, 10, 20, 60, 70))
FLIPPED = Look(flip=True, window=(0, 0, 8, 8), gain=(1, 1, 1), offset=(0, 0, 0))


def clip_at(folder: Path, name: str = "00000", frames: int = 100, **changes: Any) -> JudgedClip:
    """Channel `knee_flexion` counts frames, `tilt_sin` is 0.5, unknown before frame 8."""
    (folder / "clips").mkdir(exist_ok=True)
    (folder / "tracks").mkdir(exist_ok=True)
    state = np.stack([np.arange(frames), np.full(frames, 0.5)], axis=1).astype(np.float32)
    state[:8, 1] = np.nan
    joints = np.zeros((frames, 17, 2), np.float32)
    joints[:, :, 0] = 0.25
    joints[:, 9, 0] = 0.75  # the left wrist
    joints[5] = np.nan
    names = np.array(["knee_flexion", "tilt_sin"])
    np.savez(folder / "tracks" / f"{name}.npz", state=state, joints=joints, state_names=names)
    values: dict[str, Any] = {
        "path": folder / "clips" / f"{name}.mp4",
        "split": "train",
        "score": 70.0,
        "difficulty": None,
        "execution": None,
        "stage_starts": STARTS,
        "deductions": {"take-off": 3.0, "flight": 7.0, "entry": 2.0},
        "columns": {},
    }
    return JudgedClip(**values | changes)


def targets_of(clip: JudgedClip, length: int, spec: ClipSpec = DIVING) -> FragmentTargets:
    return FragmentTargets.read(spec, [clip], [at_spec_rate(length)])


def test_state_is_mean_and_maximum_of_what_is_known(tmp_path: Path) -> None:
    targets = targets_of(clip_at(tmp_path), 100)
    state = targets.groups["state"]
    np.testing.assert_allclose(targets.at(0, 20)[state], [27.5, 0.5, 35, 0.5])
    np.testing.assert_allclose(targets.at(0, 0)[state], [7.5, 0.5, 15, 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        beyond = targets.at(0, 95)[state]
        np.testing.assert_allclose(beyond, [97, 0.5, 99, 0.5])
        assert np.isnan(targets.at(0, 100)).all()
        assert np.isnan(targets.at(0, -16)).all()


def test_joints_are_relative_to_the_hips_and_mirror(tmp_path: Path) -> None:
    targets = targets_of(clip_at(tmp_path), 100)
    group = targets.groups["joints"]
    joints = targets.at(0, 0)[group].reshape(4, 17, 2)
    assert np.isnan(joints[1]).all()  # frame 5
    np.testing.assert_allclose(joints[0, 9], [0.5, 0])
    np.testing.assert_allclose(joints[[0, 2, 3], 10], 0)
    mirrored = targets.at(0, 0, FLIPPED)
    np.testing.assert_allclose(mirrored[group].reshape(4, 17, 2)[0, 10], [-0.5, 0])
    np.testing.assert_allclose(mirrored[targets.groups["state"]][[1, 3]], [-0.5, -0.5])


def test_stages_and_deductions_follow_the_overlap(tmp_path: Path) -> None:
    targets = targets_of(clip_at(tmp_path), 100)
    at_takeoff = targets.at(0, 8)  # frames 8…23: 2 of start, 10 of take-off, 4 of flight
    np.testing.assert_allclose(
        at_takeoff[targets.groups["stages"]], np.array([2, 10, 4, 0, 0]) / 16
    )
    deductions = at_takeoff[targets.groups["deductions"]]
    assert deductions[1] == 3.0  # all of the take-off
    assert np.isnan(deductions[[0, 2, 3, 4]]).all()
    in_flight = targets.at(0, 30)[targets.groups["deductions"]]
    assert in_flight[2] == 7.0  # all of the fragment, though not half of the flight
    assert np.isnan(in_flight[[0, 1, 3, 4]]).all()


@pytest.mark.parametrize(("pad", "frame"), [("end", 20), ("start", 71)])
def test_frames_are_found_behind_the_padding(tmp_path: Path, pad: Pad, frame: int) -> None:
    spec = dataclasses.replace(DIVING, pad=pad)
    targets = targets_of(clip_at(tmp_path), 100, spec)
    assert targets.first_frame(0, frame) == 20


def test_frames_are_found_in_a_clip_that_was_trimmed(tmp_path: Path) -> None:
    targets = targets_of(clip_at(tmp_path, frames=180), 180)
    assert targets.first_frame(0, 0) == 0
    state = targets.at(0, 0)
    np.testing.assert_allclose(state[targets.groups["state"]][[0, 2]], [36.5, 44])  # 29…44
    np.testing.assert_allclose(state[targets.groups["stages"]], [0, 0, 1, 0, 0])
    later = targets.at(0, 30)[targets.groups["stages"]]  # 59…74
    np.testing.assert_allclose(later, np.array([0, 0, 1, 10, 5]) / 16)
    assert np.isnan(targets.at(0, 151)).all()


def test_of_a_stage_that_is_partly_trimmed_off_what_is_left_is_not_all(tmp_path: Path) -> None:
    starts = StageStarts((0, 20, 45, 60, 70))  # of the take-off's 25 frames the last 16 are kept
    clip = clip_at(tmp_path, frames=180, stage_starts=starts)
    deductions = targets_of(clip, 180).at(0, 11)  # 40…55: 5 frames of it
    assert np.isnan(deductions[targets_of(clip, 180).groups["deductions"]][1])


def test_tracks_follow_the_files_frame_rate(tmp_path: Path) -> None:
    clip = clip_at(tmp_path, frames=120)  # 60 a second: every second one is shown
    every = np.arange(120)
    times = FileTimes(seconds=every / 60, first=(every + 1) // 2, length=60)
    targets = FragmentTargets.read(DIVING, [clip], [times])
    state = targets.at(0, 20)[targets.groups["state"]]
    np.testing.assert_allclose(state, [55, 0.5, 70, 0.5])  # frames 40, 42…70 of the file
    with pytest.raises(DataError, match=r"120 frames, 00000\.mp4 has 100"):
        targets_of(clip, 100)


def test_clips_without_tracks_have_stages(tmp_path: Path) -> None:
    clip = clip_at(tmp_path)
    (tmp_path / "tracks" / "00000.npz").unlink()
    targets = targets_of(clip, 100)
    assert set(targets.groups) == {"stages", "deductions"}
    assert targets.size == 10
    with pytest.raises(DataError, match="neither tracks"):
        targets_of(dataclasses.replace(clip, stage_starts=None), 100)


def test_tracks_that_are_broken_or_differ_are_named(tmp_path: Path) -> None:
    first, second = clip_at(tmp_path, "00000"), clip_at(tmp_path, "00001")
    path = tmp_path / "tracks" / "00001.npz"
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {"state_names": np.array(["knee_flexion", "other"])})
    with pytest.raises(DataError, match="channels"):
        FragmentTargets.read(DIVING, [first, second], [at_spec_rate(100)] * 2)
    np.savez(path, **arrays | {"joints": arrays["joints"][:50]})
    with pytest.raises(DataError, match="state"):
        FragmentTargets.read(DIVING, [first, second], [at_spec_rate(100)] * 2)
    path.write_bytes(b"not an archive")
    with pytest.raises(DataError, match="need arrays"):
        FragmentTargets.read(DIVING, [first, second], [at_spec_rate(100)] * 2)


def test_targets_are_brought_to_one_scale() -> None:
    scale = TargetScale(torch.tensor([10.0]), torch.tensor([2.0]))
    assert scale(torch.tensor([[14.0], [torch.nan]])).flatten()[0] == 2
    assert scale(torch.tensor([[torch.nan]])).isnan().all()


def simulated(folder: Path, name: str = "00000", **columns: str) -> JudgedClip:
    """A clip with the columns that the simulator writes."""
    routine = {"difficulty": "3.2", "somersaults": "2.5", "twists": "1.5", "position": "free"}
    none = {f"fault_{fault.kind}": "0" for fault in FAULTS["diving"]}
    known = {"true_score": "60", "family": "twisting"} | routine | none | columns
    return clip_at(folder, name, difficulty=3.2, columns=known)


def test_the_routine_is_known_where_it_is_shown(tmp_path: Path) -> None:
    clips = [simulated(tmp_path), clip_at(tmp_path, "00001")]
    targets = FragmentTargets.read(DIVING, clips, [at_spec_rate(100)] * 2)
    routine = targets.groups["routine"]
    np.testing.assert_allclose(targets.at(0, 30)[routine], [3.2, 2.5, 1.5, 0, 0, 0, 1], rtol=1e-6)
    assert np.isnan(targets.at(0, 8)[routine]).all()  # at the take-off
    for group in ("routine", "family", "faults"):
        assert np.isnan(targets.at(1, 30)[targets.groups[group]]).all()  # without the columns


def test_the_family_is_known_until_the_end_of_the_flight(tmp_path: Path) -> None:
    clips = [
        simulated(tmp_path, f"{number}", family=family)
        for number, family in enumerate(("inward", "back", "inward"))
    ]
    targets = FragmentTargets.read(DIVING, clips, [at_spec_rate(100)] * 3)
    family = targets.groups["family"]  # of back and inward
    for first in (0, 8, 30, 52):  # from frame 52 on 8 of the 16 are of the flight
        np.testing.assert_array_equal(targets.at(0, first)[family], [0, 1])
        np.testing.assert_array_equal(targets.at(1, first)[family], [1, 0])
    assert np.isnan(targets.at(0, 53)[family]).all()


def test_faults_are_known_in_their_stages(tmp_path: Path) -> None:
    columns = {"fault_bent_knees": "0.6", "fault_parted_legs": "0.2", "fault_splash": "0.9"}
    targets = targets_of(simulated(tmp_path, **columns), 100)
    group = targets.groups["faults"]
    kinds = [fault.kind for fault in FAULTS["diving"]]

    def known(first: int) -> dict[str, float]:
        values = zip(kinds, targets.at(0, first)[group], strict=True)
        return {kind: round(float(value), 3) for kind, value in values if not np.isnan(value)}

    assert known(30) == {"bent_knees": 0.6, "parted_legs": 0.2, "loose_position": 0}
    assert known(80) == {"splash": 0.9}
    assert known(0) == {"unsteady_start": 0, "weak_takeoff": 0}


@pytest.mark.parametrize("column", ["true_score", "family", "somersaults", "fault_splash"])
def test_a_row_that_lacks_what_the_simulator_writes_has_no_routine(
    tmp_path: Path, column: str
) -> None:
    clip = simulated(tmp_path)
    without = {name: value for name, value in clip.columns.items() if name != column}
    for columns in (without, without | {column: ""}):  # as of real clips in the same table
        groups = targets_of(dataclasses.replace(clip, columns=columns), 100).groups
        assert set(groups) == {"state", "joints", "stages", "deductions"}


@pytest.mark.parametrize("column", ["twists", "fault_splash"])
def test_a_cell_that_is_no_number_is_named(tmp_path: Path, column: str) -> None:
    with pytest.raises(DataError, match=rf"00000\.mp4: {column} is 'many'"):
        targets_of(simulated(tmp_path, **{column: "many"}), 100)
