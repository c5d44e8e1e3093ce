"""
What a run's folder records about its data, machine and commands, for the checkpoint's card.

    summary.json    see `RunSummary`
    commands.txt    the command lines of the run, one each
"""

import dataclasses
import json
import os
import platform
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import numpy as np

from model_store.card import TrainedOn
from model_store.files import replace_file
from model_store.spec import ClipSpec
from training.data.clip_dataset import ClipDataset
from training.data.datasets.annotations import JudgedClip
from training.data.file_times import FileTimes
from training.data.split import Origin
from training.data.stages import has_stages, stages_of_frames
from training.errors import RunError
from training.learn.run_folder import RunFolder

SUMMARY, COMMANDS = "summary.json", "commands.txt"
SIMULATION = "simulation.json"  # the simulator's mark in a data set folder
PACKAGES = ("torch", "numpy", "av", "safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    trained_on: TrainedOn
    """Clips of its own, and those that trained its base."""
    description: str
    judged_mean: float
    judged_deviation: float
    """Of the own training clips' scores, points, whatever the network predicts."""
    splits: dict[str, int]
    clips: dict[str, Any]
    """Those that the weights have seen, as `model_store.card.ClipsCard` has them."""
    stage_of_fragment: list[str | None]
    golden: str
    """The clip to be shipped as the golden one: a rehearsed, a validation or a training clip."""
    machine: str
    versions: dict[str, str]


def summarise(
    dataset: ClipDataset,
    folders: tuple[str, ...],
    run: RunFolder,
    *,
    rehearse: tuple[str, ...] = (),
) -> RunSummary:
    sources = [_source(Path(folder)) for folder in (*folders, *rehearse)]
    scores = [dataset.clips[i].score for i in dataset.own]
    count = {"train": len(dataset.own), "validation": len(dataset.validation)}
    if rehearse:
        count["rehearsed"] = int(dataset.rehearsed.sum())
    # The golden clip is published: where clips of a simulator are rehearsed, one of those.
    first = [*np.flatnonzero(dataset.rehearsed), *dataset.validation, *dataset.training][0]
    return RunSummary(
        trained_on=trained_on(dataset.origin, [made for made, _ in sources]),
        description="; ".join(text for _, text in sources),
        judged_mean=float(np.mean(scores)),
        judged_deviation=float(np.std(scores)),
        splits=count,
        clips=dataset.seen.model_dump(),
        stage_of_fragment=stage_of_fragment(
            dataset.spec,
            [dataset.clips[i] for i in dataset.own],
            [dataset.cache.times(i) for i in dataset.own],
        ),
        golden=str(golden_clip(dataset.clips[first], run)),
        machine=machine(),
        versions=versions(),
    )


def trained_on(origin: Origin | None, simulated: Sequence[bool]) -> TrainedOn:
    """`simulated` is, for each data set of the run, whether a simulator made it."""
    kinds: set[TrainedOn] = {"simulated" if made else "real" for made in simulated}
    if origin is not None and origin.trained_on is not None:
        kinds.add(origin.trained_on)
    return kinds.pop() if len(kinds) == 1 else "both"


def golden_clip(clip: JudgedClip, run: RunFolder) -> Path:
    """The clip's file; of a clip in single frames one in the run's folder."""
    if clip.frames is None:
        return clip.path
    file = run.path / "golden.mov"
    replace_file(file, clip.frames.video())
    return file


def stage_of_fragment(
    spec: ClipSpec, clips: Sequence[JudgedClip], times: Sequence[FileTimes]
) -> list[str | None]:
    """For each fragment the stage that holds most of its frames over these clips."""
    frames: list[Counter[str]] = [Counter() for _ in range(spec.fragments)]
    for clip, timed in zip(clips, times, strict=True):
        if not has_stages(clip, spec):
            continue
        stages = stages_of_frames(spec, clip, timed)
        for k, counted in enumerate(frames):
            shown = stages[list(spec.fragment_frames(k))]
            counted.update(spec.stages[s] for s in shown[shown >= 0])
    return [counted.most_common(1)[0][0] if counted else None for counted in frames]


def machine() -> str:
    """The processor and, where there is one, the GPU."""
    import torch

    name = platform.processor() or platform.machine()
    if (cpus := Path("/proc/cpuinfo")).exists():
        names = [line for line in cpus.read_text().splitlines() if line.startswith("model name")]
        name = names[0].partition(":")[2].strip() if names else name
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{os.cpu_count()} cores {name}{gpu}"


def versions() -> dict[str, str]:
    """Libraries that made it."""
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "ffmpeg": av.ffmpeg_version_info,
    }


def write_summary(folder: RunFolder, summary: RunSummary) -> None:
    text = json.dumps(dataclasses.asdict(summary), indent=2) + "\n"
    replace_file(folder.path / SUMMARY, text.encode())


def read_summary(folder: RunFolder) -> RunSummary:
    """Raises RunError where the folder has none."""
    try:
        return RunSummary(**json.loads((folder.path / SUMMARY).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(
            f"{folder.path} has no readable {SUMMARY}, need the folder of a run"
        ) from error


def record_command(folder: RunFolder) -> None:
    """The command line of this process, once."""
    line = shlex.join(["python", "-m", "training", *sys.argv[1:]])
    path = folder.path / COMMANDS
    known = path.read_text().splitlines() if path.exists() else []
    if line not in known:
        replace_file(path, "".join(f"{each}\n" for each in (*known, line)).encode())


def commands_of(folder: Path) -> list[str]:
    path = folder / COMMANDS
    return path.read_text().splitlines() if path.exists() else []


def simulation_command(folder: Path) -> str | None:
    """The command that makes a simulated data set again; None for judged clips."""
    values = simulation_of(folder)
    if values is None:
        return None
    options = ("action", "clips", "seed", "first", "test_share")
    words = [f"--{name.replace('_', '-')} {values[name]}" for name in options if name in values]
    pairs = ["--pairs"] if values.get("pairs") else []
    return " ".join(["python -m training simulate", *words, *pairs, "--out", str(folder)])


def simulation_of(folder: Path) -> dict[str, Any] | None:
    path = folder / SIMULATION
    return json.loads(path.read_text()) if path.exists() else None


def _source(folder: Path) -> tuple[bool, str]:
    values = simulation_of(folder)
    if values is None:
        return False, f"judged clips in {folder.name}"
    clips = "ladders of four simulated clips" if values.get("pairs") else "simulated clips"
    return True, (
        f"{values.get('clips')} {clips} of {values.get('action')},"
        f" simulator {values.get('simulator')}, seed {values.get('seed')}"
    )
