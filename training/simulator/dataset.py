"""
A data set folder of simulated clips: annotations.csv, clips/NNNNN.mp4, tracks/NNNNN.npz.

The same call completes an interrupted folder: clips that are whole are kept, and annotations.csv,
which follows from the seed without rendering, appears last.
"""

import csv
import json
import os
from collections.abc import Iterator
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from model_store.files import remove_partial_files, replacing
from model_store.worker_pool import worker_pool
from training.simulator import OFFICIAL_TEST_SHARE
from training.simulator.actions import act_of
from training.simulator.clip import simulate_clip
from training.simulator.faults import LEAST, Fault
from training.simulator.looks import Style
from training.simulator.performance import Performance
from training.simulator.seeds import stream
from training.simulator.video import write_video

VERSION = 1  # of the simulator; another one draws other clips from the same seed
RUNGS = 3  # faulty clips of a ladder


@dataclass(frozen=True, slots=True)
class RenderJob:
    """One clip to be rendered: its number in the folder and what it overrides."""

    number: int
    action: str
    seed: int
    index: int
    faults: dict[str, float]
    pair: dict[str, str | int]
    """pair, fault, stage (of a programme: element), role; empty outside ladders."""
    style: Style

    @property
    def video(self) -> str:
        return f"clips/{self.number:05d}.mp4"

    @property
    def track(self) -> str:
        return f"tracks/{self.number:05d}.npz"


def write_dataset(
    action: str,
    clips: int,
    seed: int,
    out: Path,
    *,
    first: int = 0,
    pairs: bool = False,
    test_share: float = OFFICIAL_TEST_SHARE,
    style: Style = "plain",
    workers: int | None = None,
) -> Path:
    """Render clips first…first + clips − 1 of `seed` into a folder -> its annotations.csv.

    With `pairs` every clip becomes a ladder: rendered without one fault, and with it at three
    severities. All else is alike, so the clean clip and each faulty one are a pair. The last
    clips, a share of `test_share`, are the test split. Raises FileExistsError for a folder that
    holds something else.
    """
    if clips < 1:
        raise ValueError(f"{clips} clips, need at least 1")
    act_of(action, style)
    if not 0 <= test_share <= 1:
        raise ValueError(f"test share {test_share}, need 0…1")
    parameters: dict[str, Any] = {
        "simulator": VERSION,
        "action": action,
        "clips": clips,
        "seed": seed,
        "first": first,
        "pairs": pairs,
        "test_share": test_share,
    }
    if style != "plain":
        parameters["style"] = style
    _claim(out, parameters)
    jobs = list(_jobs(action, clips, seed, first, pairs, style))
    _render(jobs, out, workers)
    tests = round(clips * test_share)
    rows = [_row(job, "test" if job.index >= first + clips - tests else "train") for job in jobs]
    return _write_annotations(out, rows)


def _claim(out: Path, parameters: dict[str, Any]) -> None:
    """Make the folder, or make sure that it holds clips of the same parameters."""
    record = out / "simulation.json"
    if out.exists() and any(out.iterdir()):
        found = json.loads(record.read_text()) if record.is_file() else None
        if found != parameters:
            holds = "something else" if found is None else f"clips of {found}"
            raise FileExistsError(
                f"{out} holds {holds}; need an empty folder, or one of {parameters}"
            )
    for folder in (out / "clips", out / "tracks"):
        folder.mkdir(parents=True, exist_ok=True)
        remove_partial_files(folder)
    remove_partial_files(out)
    record.write_text(json.dumps(parameters, indent=2) + "\n")


def _jobs(
    action: str, clips: int, seed: int, first: int, pairs: bool, style: Style
) -> Iterator[RenderJob]:
    for i, index in enumerate(range(first, first + clips)):
        if not pairs:
            yield RenderJob(i, action, seed, index, {}, {}, style)
            continue
        wrong, clean, *faulty = draw_ladder(action, seed, index)
        about: dict[str, str | int] = {"pair": i, "fault": wrong.kind, "stage": wrong.stage}
        number = i * (1 + RUNGS)
        yield RenderJob(number, action, seed, index, clean, about | {"role": "clean"}, style)
        for rung, faults in enumerate(faulty, number + 1):
            yield RenderJob(rung, action, seed, index, faults, about | {"role": "faulty"}, style)


def draw_ladder(
    action: str, seed: int, index: int
) -> tuple[Fault, dict[str, float], *tuple[dict[str, float], ...]]:
    """A fault that the performance can show; the overrides without it, and with it.

    The severities rise: one in each third of what can be seen, LEAST…1.
    """
    rng = stream(seed, index, "pair")
    choices = act_of(action).draw(seed, index).faults
    wrong = choices[rng.integers(len(choices))]
    clean = dict.fromkeys((wrong.kind, *wrong.rivals), 0.0)
    rungs = LEAST + (1 - LEAST) * (np.arange(RUNGS) + rng.random(RUNGS)) / RUNGS
    return wrong, clean, *(clean | {wrong.kind: float(severity)} for severity in rungs)


def _render(jobs: list[RenderJob], out: Path, workers: int | None) -> None:
    missing = [
        job for job in jobs if not ((out / job.video).exists() and (out / job.track).exists())
    ]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        bar = progress.add_task("rendering", total=len(jobs), completed=len(jobs) - len(missing))
        count = min(workers or os.cpu_count() or 1, max(len(missing), 1))
        if count == 1:
            for job in missing:
                render(job, out)
                progress.advance(bar)
            return
        with worker_pool(count) as pool:
            futures = [pool.submit(render, job, out) for job in missing]
            try:
                for future in as_completed(futures):
                    future.result()
                    progress.advance(bar)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def render(job: RenderJob, out: Path) -> None:
    """Write one clip and its track; each file appears only when it is whole."""
    clip = simulate_clip(job.action, job.seed, job.index, faults=job.faults, style=job.style)
    fps = act_of(job.action, job.style).fps
    write_video(out / job.video, clip.frames, fps=fps, crf=clip.looks.crf)
    with replacing(out / job.track) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file, joints=clip.joints, state=clip.state, state_names=np.array(clip.state_names)
        )


def _row(job: RenderJob, split: str) -> dict[str, Any]:
    plan = act_of(job.action, job.style).draw(job.seed, job.index, faults=job.faults)
    return {"clip": job.video, "split": split} | describe(plan) | job.pair


def describe(plan: Performance) -> dict[str, Any]:
    """A performance as columns of annotations.csv."""
    return {
        "score": f"{plan.score:.3f}",
        "difficulty": plan.difficulty,
        "execution": f"{plan.execution:.3f}",
        "marks": " ".join(f"{mark:.1f}" for mark in plan.marks),
        "seed": plan.seed,
        "index": plan.index,
    } | plan.columns()


def _write_annotations(out: Path, rows: list[dict[str, Any]]) -> Path:
    target = out / "annotations.csv"
    with replacing(target) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return target
