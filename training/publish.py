"""
From a run's folder to a checkpoint in the store: the best weights, and a card that tells all.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from model_store.card import Card, DataCard, TrainingCard
from model_store.checkpoint import Checkpoint
from model_store.confidence import Confidence
from model_store.network import FragmentNetwork
from model_store.store import Store
from training.errors import RunError
from training.run_folder import RunFolder
from training.runspec import RunSpec
from training.summary import RunSummary, commands_of, recall, simulation_command

SIMULATED_LICENCE = (
    "made by this project's simulator; no footage of anyone; same licence as the code"
)


TRUST = {
    "coverage": "share of judged scores inside the interval",
    "width_share": "mean width of the interval, share of that of always the training mean",
    "own_flagged": "clips of its own kind flagged as unfamiliar",
    "foreign_flagged": "foreign videos flagged as unfamiliar, or refused",
    "pairs_ordered": "pairs alike but for one fault: the faulty one scored lower, mean over faults",
    "pairs_ordered_worst": "the same for the fault that is seen worst",
    "pairs_localised": "pairs whose contributions differ most where the fault is",
    "pairs_agreement": "Spearman of what the fault costs and what its stage's contribution lost",
    "stage_agreement": "Spearman of a stage's deductions and its contribution, mean over stages",
}


def publish(
    folder: RunFolder,
    store: Store,
    name: str,
    *,
    metrics: dict[str, Any] | None = None,
    golden: Path | None = None,
    licence: str | None = None,
    half: bool = True,
) -> Checkpoint:
    """Publish the best weights of a run as the next version of `name`.

    `metrics` is what `evaluate` measured; `golden` the clip to ship, else a validation clip.
    Raises RunError for a run that has no weights yet.
    """
    run = RunSpec.from_json(folder.options())
    summary = recall(folder)
    weights, best = folder.load_best()
    network = FragmentNetwork(run.network, run.clip)
    network.load_state_dict(weights)
    clip = golden or Path(summary.golden)
    try:
        golden_clip = clip.read_bytes()
    except OSError as error:
        raise RunError(f"golden clip {clip} cannot be read: {error.strerror}") from error
    card = new_card(folder, run, summary, best, name, store.next_version(name), metrics, licence)
    return store.publish(
        card, network.eval(), golden_clip=golden_clip, readme=readme(card), half=half
    )


def republish(
    store: Store, checkpoint: Checkpoint, *, confidence: Confidence | None, **changes: Any
) -> Checkpoint:
    """The same network as the store's next version of that name, with changes on its card."""
    card = checkpoint.card.model_copy(
        update={"version": store.next_version(checkpoint.name), **changes}
    )
    return store.publish(
        card,
        checkpoint.network,
        golden_clip=checkpoint.golden_clip.read_bytes(),
        readme=readme(card),
        confidence=confidence,
        half=is_half(checkpoint.network),
    )


def promote(store: Store, checkpoint: Checkpoint, metrics: dict[str, Any] | None) -> Checkpoint:
    """Copy a checkpoint of another store into this one, with what has been measured since."""
    figures = checkpoint.card.metrics | ({"test": metrics} if metrics else {})
    return republish(store, checkpoint, confidence=checkpoint.confidence, metrics=figures)


def is_half(network: FragmentNetwork) -> bool:
    """Whether storing matrices and convolutions as float16 loses nothing."""
    return all(torch.equal(p, p.half().float()) for p in network.parameters() if p.ndim >= 2)


def new_card(
    folder: RunFolder,
    run: RunSpec,
    summary: RunSummary,
    best: dict[str, Any],
    name: str,
    version: int,
    metrics: dict[str, Any] | None,
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
        metrics={"validation": best} | ({"test": metrics} if metrics else {}),
        calibration=None,
        versions=summary.versions,
    )


def commands(folder: RunFolder, run: RunSpec) -> list[str]:
    """All that led to this run: simulation, pre-training, training."""
    simulated = [simulation_command(Path(data)) for data in run.data]
    before = [] if run.extractor is None else commands_of(Path(run.extractor).parent)
    return [*(each for each in simulated if each), *before, *commands_of(folder.path)]


def hours(folder: RunFolder, run: RunSpec) -> float:
    """Spent on steps of pre-training and training."""
    runs = [folder] if run.extractor is None else [RunFolder(Path(run.extractor).parent), folder]
    states = [each.load_state() for each in runs]
    return sum(float(state["seconds"]) for state in states if state is not None) / 3600


def readme(card: Card) -> str:
    """The card for people."""
    measured = card.metrics.get("test")
    lines = [
        f"# {card.name}, version {card.version}",
        "",
        f"Scores a bare video of {card.action}, and says what each of {card.spec.fragments}"
        " fragments contributed.",
        "",
        f"* Trained on **{card.data.trained_on}** clips: {card.data.description}.",
        f"* Licence of the data: {card.data.licence}.",
        f"* Clips: {', '.join(f'{count} {split}' for split, count in card.splits.items())}."
        f" Judged scores: mean {card.data.judged_mean:.2f}, deviation"
        f" {card.data.judged_deviation:.2f} points.",
        f"* {card.training.hours:.2f} hours of training on {card.training.machine}.",
        "",
        "## Figures",
        "",
        "| | Spearman | mean distance, points | share of always the mean |",
        "|---|---|---|---|",
    ]
    if "validation" in card.metrics:
        lines.append(_figures_row("validation (chose the weights)", card.metrics["validation"]))
    if measured is not None:
        lines.append(_figures_row(f"test, {measured['clips']} clips", measured))
        if "difficulty_alone" in measured:
            alone = measured["difficulty_alone"]["spearman"]
            lines.append(f"| declared difficulty alone | {alone:.3f} | | |")
        mean = measured["training_mean"]["mean_distance"]
        lines.append(f"| always the training mean | 0 | {mean:.2f} | 1.00 |")
        rows = [
            f"| {text} | {measured[key]:.3f} |" for key, text in TRUST.items() if key in measured
        ]
        if rows:
            lines += ["", "| how far to trust it, on the test clips | |", "|---|---|", *rows]
    lines += ["", "## Use", "", *_use(card), "", "## Made by", "", "```"]
    return "\n".join([*lines, *card.training.commands, "```", ""])


def _figures_row(what: str, figures: dict[str, Any]) -> str:
    share = figures.get("distance_share")
    return (
        f"| {what} | {figures['spearman']:.3f} | {figures['mean_distance']:.2f} |"
        f" {'' if share is None else f'{share:.2f}'} |"
    )


def _use(card: Card) -> Sequence[str]:
    if card.data.trained_on == "judged":
        return ["A second opinion beside judges, on clips like those that it was trained on."]
    return [
        "For the demonstration, the tests and the development of this software. It has never",
        "seen a real athlete: it must not be used to judge one. Train on judged clips for that.",
    ]
