"""A task that a tiny network learns in seconds: the brighter the clip, the higher its score."""

import contextlib
import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model_store.card import ClipsCard
from model_store.network import FragmentNetwork
from model_store.network_spec import COMPACT
from model_store.spec import VAULT
from tests.clips import Frames, write_clip
from training.data.batches import full
from training.data.clip_dataset import ClipDataset, open_dataset
from training.data.datasets.annotations import ANNOTATIONS
from training.data.file_times import FileTimes
from training.display import Bar
from training.learn.extractor_file import write_extractor
from training.learn.forward import centred
from training.learn.run_folder import RunFolder, State
from training.learn.run_spec import RunSpec
from training.learn.trainer import Trainer
from training.learn.validation import Figures

SPEC = dataclasses.replace(VAULT, frames=36, fragments=2, resize=(32, 32), crop=(32, 32))
SMALL = SPEC.with_size((16, 16), (16, 16))  # for runs: 60 % of the time of `SPEC`
TINY = dataclasses.replace(
    COMPACT, width=1 / 32, head_channels=(8, 8), head_hidden=(32, 32), dropout=0.0
)

# A file for --action, which is over when the clips are.
SHORT_ACTION = """
frames = 36
fragments = 2
fragment_length = 16
fps = 30
stages = []
difficulty_rule = "add"
score_range = [0, 100]
"""


class Quiet(Bar):
    """Shows nothing."""

    def __init__(self) -> None:
        pass

    def update(self, *_arguments: object, **_options: object) -> None:
        pass

    def log(self, line: str) -> None:
        pass


def bright_run(data: Path | str, **changes: Any) -> RunSpec:
    """Six epochs of all weights, without the ranking loss: enough to learn the task."""
    usual: dict[str, Any] = {
        "data": (str(data),), "clip": SMALL, "network": TINY, "epochs": 6, "batch": 8,
        "extractor_rate": 1e-2, "rate": 3e-2, "schedule": "cosine", "alpha": 0.0, "beta": 0.0,
        "blanking": 0.0, "validation": 0.2, "precision": "float32",
    }  # fmt: skip
    return RunSpec(**usual | changes)


def dataset_of(run: RunSpec) -> ClipDataset:
    return open_dataset(
        run.data,
        run.clip,
        target=run.network.target,
        validation=run.validation,
        folds=run.folds,
        fold=run.fold,
    )


def train(run: RunSpec, path: Path, **options: Any) -> tuple[RunFolder, Figures]:
    """Make a run in a folder that is new."""
    folder = RunFolder(path)
    folder.open(run.to_json())
    return folder, Trainer(run, dataset_of(run), folder, **options).train(Quiet())


def batches_of(run: RunSpec) -> int:
    """Steps of an epoch of the whole network."""
    return full(len(dataset_of(run).training), run.batch)


def log_of(folder: Path) -> list[dict[str, str]]:
    """Of a run, a row a step."""
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def train_with_stops(run: RunSpec, path: Path) -> tuple[RunFolder, Figures]:
    """The same, killed whenever a third state has just been saved, and begun again."""
    stops = 0

    class Stopped(Exception):
        pass

    class Stopping(RunFolder):
        def save_state(self, state: State) -> None:
            nonlocal stops
            super().save_state(state)
            stops += 1
            if stops % 3 == 0:
                raise Stopped

    folder = Stopping(path)
    folder.open(run.to_json())
    while True:
        with contextlib.suppress(Stopped):
            figures = Trainer(run, dataset_of(run), folder, save_every=0.0).train(Quiet())
            assert stops > 5
            return folder, figures


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Of a data set's annotations."""
    with (folder / ANNOTATIONS).open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(folder: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Make or replace a data set's annotations."""
    with (folder / ANNOTATIONS).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def beside_a_readout(run: RunSpec, folder: Path) -> RunSpec:
    """The run, from random extractors to whose features a line is fitted first."""
    network = dataclasses.replace(TINY, readout=True)
    torch.manual_seed(0)
    new = FragmentNetwork(network, run.clip)
    see_brightness(new)
    weights = new.extractors[0].state_dict()
    path = folder / "random.safetensors"
    write_extractor(path, weights, run.clip, clips=ClipsCard.of())
    return dataclasses.replace(run, network=network, extractor=str(path), readout=True)


def see_brightness(network: FragmentNetwork) -> None:
    """Make the running statistics of the first extractor those of bright clips."""
    spec, random = network.clip_spec, np.random.default_rng(0)
    clips = [bright_clip(level, random, spec.fragment_length) for level in np.linspace(0, 1, 16)]
    height, width = spec.crop
    fragments = torch.from_numpy(np.stack(clips)[:, :, :height, :width])
    for module in network.extractors[0].modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.momentum = None  # the statistics are those of this batch alone
    with torch.no_grad():
        network.extractors[0].train()(centred(fragments, network.mean))


def at_spec_rate(frames: int) -> FileTimes:
    """Of a file whose frames are those of the clip."""
    every = np.arange(frames)
    return FileTimes(seconds=every / 30, first=every, length=frames)


def bright_clip(brightness: float, random: np.random.Generator, frames: int) -> Frames:
    """Noise around a brightness of 0…1, which is what the score depends on."""
    level = 40 + 170 * brightness
    noise = random.normal(0, 15, (frames, 32, 32, 3))
    return np.clip(level + noise, 1, 255).astype(np.uint8)


def write_bright_dataset(folder: Path, clips: int, *, frames: int = 36, seed: int = 3) -> Path:
    """A data set folder: the brighter, the better."""
    random = np.random.default_rng(seed)
    (folder / "clips").mkdir(parents=True)
    with (folder / "annotations.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("clip", "split", "score", "difficulty", "stage_starts"))
        for number in range(clips):
            brightness = float(random.random())
            name = f"clips/{number:03d}.mp4"
            length = frames - number % 3
            write_clip(
                folder / name,
                bright_clip(brightness, random, length),
                options={"preset": "ultrafast", "qp": "10"},
            )
            split = "test" if number % 6 == 5 else "train"
            writer.writerow((name, split, round(10 + 5 * brightness, 3), 4.0, "0 8 16 24 30"))
    return folder


def darker_is_better(folder: Path, clips: int) -> Path:
    """Clips as bright as the others, scored the other way round: another kind."""
    write_bright_dataset(folder, clips, frames=35, seed=11)
    rows = rows_of(folder)
    write_rows(folder, [row | {"score": str(25 - float(row["score"]))} for row in rows])
    return folder


def darker_in_red(folder: Path, clips: int) -> Path:
    """The same, and of another colour: a kind that pictures tell."""
    darker_is_better(folder, clips)
    for number, row in enumerate(rows_of(folder)):
        brightness = (15 - float(row["score"])) / 5
        pictures = bright_clip(brightness, np.random.default_rng(number), 35)
        pictures[..., 0] = 250
        write_clip(folder / row["clip"], pictures, options={"preset": "ultrafast", "qp": "10"})
    return folder
