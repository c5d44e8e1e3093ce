"""
From a run's folder to a checkpoint in the store: the weights it kept, and the card.
"""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from model_store.card import Card, ClipsCard, DataCard, TrainingCard
from model_store.checkpoint import Checkpoint
from model_store.clip import ClipWarning
from model_store.confidence import Confidence
from model_store.errors import CheckpointExists
from model_store.network import FragmentNetwork
from model_store.store import Store
from training.errors import RunError
from training.learn.run_folder import CROSS_VALIDATION, RunFolder
from training.learn.run_spec import RunSpec
from training.learn.summary import RunSummary, commands_of, read_summary, simulation_command
from training.release.card_pictures import card_pictures
from training.release.model_card import readme

SIMULATED_LICENCE = "made by this project's simulator; no footage of anyone"


def publish_run(
    folder: RunFolder,
    store: Store,
    name: str,
    *,
    metrics: dict[str, Any] | None = None,
    moved_by: Mapping[ClipWarning, float] | None = None,
    golden: Path | None = None,
    licence: str | None = None,
    about: str | None = None,
    half: bool = True,
) -> Checkpoint:
    """Publish the weights that a run kept as the next version of `name`.

    A cross-validation brings intervals with it. `metrics` is what `evaluate` measured, and
    `moved_by` what `score_shifts` makes of `evaluate --storage`; `golden` is the clip to ship, else
    one of the run's; `about` describes its clips.
    Raises RunError for a run that has no weights yet, or whose folds have not ended.
    """
    run = RunSpec.from_json(folder.options())
    cross_validation, confidence = folder.load_cross_validation() or (None, None)
    if run.uses_all and cross_validation is None:
        raise RunError(
            f"{folder.path} has no {CROSS_VALIDATION}, its folds have not ended: give the same"
            " `train` command again"
        )
    summary = read_summary(folder)
    if about is not None:
        summary = dataclasses.replace(summary, description=about)
    weights, figures = folder.load_weights()
    # What made these weights, whatever else was tried.
    if figures["phase"] != "all":
        run = dataclasses.replace(run, epochs=0)
    if figures["phase"] == "readout":
        run = dataclasses.replace(run, head_epochs=0)
    measured = {"validation": figures if "spearman" in figures else None}
    measured |= {"cross_validation": cross_validation, "test": metrics and on_card(metrics)}
    measured = {split: values for split, values in measured.items() if values is not None}
    network = FragmentNetwork(run.network, run.clip)
    network.load_state_dict(weights)
    clip = golden or Path(summary.golden)
    try:
        golden_clip = clip.read_bytes()
    except OSError as error:
        raise RunError(f"golden clip {clip} cannot be read: {error.strerror}") from error
    card = new_card(folder, run, summary, measured, name, store.next_version(name), licence)
    card = card.model_copy(update={"moved_by": dict(moved_by or {})})
    return publish_as_next(
        store,
        card,
        network.eval(),
        golden_clip=golden_clip,
        pictures=card_pictures(metrics or {}),
        confidence=confidence,
        half=half,
    )


def republish(
    store: Store,
    checkpoint: Checkpoint,
    *,
    confidence: Confidence | None = None,
    pictures: dict[str, bytes] | None = None,
    **changes: Any,
) -> Checkpoint:
    """The same network as the store's next version of that name, with changes on its card.

    Calibration and pictures stay what they are if they are not given.
    """
    return publish_as_next(
        store,
        checkpoint.card.model_copy(update=changes),
        checkpoint.network,
        golden_clip=checkpoint.golden_clip.read_bytes(),
        pictures=checkpoint.pictures if pictures is None else pictures,
        confidence=confidence or checkpoint.confidence,
        half=is_half(checkpoint.network),
    )


def publish_as_next(
    store: Store,
    card: Card,
    network: FragmentNetwork,
    *,
    golden_clip: bytes,
    pictures: Mapping[str, bytes],
    confidence: Confidence | None,
    half: bool,
) -> Checkpoint:
    """Publish as the next version of the card's name, whatever version the card has.

    Where another process publishes one at the same moment, it is the version after that.
    """
    while True:
        card = card.model_copy(update={"version": store.next_version(card.name)})
        try:
            return store.publish(
                card,
                network,
                golden_clip=golden_clip,
                readme=readme(card, pictures),
                pictures=pictures,
                confidence=confidence,
                half=half,
            )
        except CheckpointExists:
            if store.next_version(card.name) == card.version:
                raise  # what is in the way is no version


def promote(
    store: Store,
    checkpoint: Checkpoint,
    metrics: dict[str, Any] | None = None,
    moved_by: Mapping[ClipWarning, float] | None = None,
) -> Checkpoint:
    """Copy a checkpoint of another store into this one, with what has been measured since."""
    changes: dict[str, Any] = {}
    if metrics is not None:
        figures = checkpoint.card.metrics | {"test": on_card(metrics)}
        changes |= {"pictures": card_pictures(metrics), "metrics": figures}
    if moved_by is not None:
        changes["moved_by"] = dict(moved_by)
    return republish(store, checkpoint, **changes)


def on_card(metrics: dict[str, Any]) -> dict[str, Any]:
    """What `evaluate` measured, without single scores and the name it had where it was measured."""
    left_out = ("scores", "checkpoint", "sha256", "moved_by")
    return {name: value for name, value in metrics.items() if name not in left_out}


def score_shifts(measured: Mapping[str, Any]) -> dict[ClipWarning, float]:
    """From what `evaluate --storage` measured, for the intervals of clips with these warnings.

    Raises RunError where that was not measured.
    """
    try:
        return {ClipWarning(name): float(by) for name, by in measured["moved_by"].items()}
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise RunError("no figures of `evaluate --storage`: moved_by is missing") from error


def is_half(network: FragmentNetwork) -> bool:
    """Whether storing matrices and convolutions as float16 loses nothing."""
    return all(torch.equal(p, p.half().float()) for p in network.parameters() if p.ndim >= 2)


def new_card(
    folder: RunFolder,
    run: RunSpec,
    summary: RunSummary,
    metrics: dict[str, Any],
    name: str,
    version: int,
    licence: str | None,
) -> Card:
    if licence is None:
        licence = SIMULATED_LICENCE if summary.trained_on == "simulated" else "not stated"
    return Card(
        name=name,
        version=version,
        created=datetime.now(UTC).replace(microsecond=0),
        spec=run.clip,
        network=run.network,
        stage_of_fragment=summary.stage_of_fragment,
        data=DataCard(
            trained_on=summary.trained_on,
            description=summary.description,
            licence=licence,
            judged_mean=summary.judged_mean,
            judged_deviation=summary.judged_deviation,
        ),
        training=TrainingCard(
            commands=commands(folder, run),
            seed=run.seed,
            hours=float(f"{hours(folder, run):.3g}"),
            machine=summary.machine,
            options=run.to_json(),
        ),
        splits=summary.splits,
        clips=ClipsCard.model_validate(summary.clips),
        metrics=metrics,
        moved_by={},
        calibration=None,
        versions=summary.versions,
    )


def commands(folder: RunFolder, run: RunSpec) -> list[str]:
    """All that led to this run: simulation, pre-training, training."""
    simulated = [simulation_command(Path(data)) for data in (*run.data, *run.rehearse)]
    before = [] if run.extractor is None else commands_of(Path(run.extractor).parent)
    return [*(each for each in simulated if each), *before, *commands_of(folder.path)]


def hours(folder: RunFolder, run: RunSpec) -> float:
    """Spent on steps of pre-training and training, those of the folds included."""
    runs = [folder] if run.extractor is None else [RunFolder(Path(run.extractor).parent), folder]
    runs += [RunFolder(folder.path / f"fold-{k}") for k in range(run.folds or 0) if run.uses_all]
    states = [each.load_state() for each in runs]
    return sum(float(state["seconds"]) for state in states if state is not None) / 3600
