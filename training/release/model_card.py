"""
The model card for people: README.md of a checkpoint, one that a federation could read.

What it was trained on, what it was measured to do, what it must not be used for, how to make it
again. All of it comes from the card.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any

from model_store.card import CLIPS_OF, Card

TRUST = {
    "coverage": "share of judged scores inside the interval",
    "width_share": "mean width of the interval, share of that of always the training mean",
    "own_flagged": "clips of its own kind flagged as unfamiliar",
    "foreign_flagged": "foreign videos flagged as unfamiliar, or refused",
    "pairs_ordered": "pairs alike but for one fault: the faulty one scored lower, mean over faults",
    "pairs_ordered_worst": "the same for the fault that is seen worst",
    "pairs_localised": "pairs whose contributions differ most where the fault is",
    "pairs_agreement": "Spearman of what the fault costs and what its stage's contribution lost",
    "pairs_agreement_by_kind_alone": "the same of a guess that knows the kind of fault alone",
    "pairs_gain_least": "points lost for a point of cost, the fault that is credited least",
    "pairs_gain_largest": "the same, the fault that is credited most",
    "stage_agreement": "Spearman of a stage's deductions and its contribution, mean over stages",
}
DECLARED = "the same clips, with their declared difficulties"
GIVEN = {
    "final": "a bare video of {action}",
    "execution": "a video of {action} whose difficulty is declared",
    "both": "a video of {action}, with its declared difficulty or without",
}
CAPTIONS = {
    "scores.png": "predicted against judged scores of the test clips",
    "fragments.png": "contributions by fragment, and how well each fragment alone ranks the clips",
}


def readme(card: Card, pictures: Collection[str] = ()) -> str:
    """The card for people; `pictures` are the files that lie beside it."""
    measured, tested = card.metrics.get("test"), measured_on(card)
    lines = [
        *front_matter(card),
        f"# {card.name}, version {card.version}",
        "",
        f"Scores {GIVEN[card.network.target].format(action=card.action)}, and says what each of"
        f" {card.spec.fragments} fragments contributed.",
        "",
        f"* Trained on **{CLIPS_OF[card.data.trained_on]}** clips: {card.data.description}.",
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
        lines.append(_figures_row("validation", card.metrics["validation"]))
    if "cross_validation" in card.metrics:
        folds = card.metrics["cross_validation"]
        what = f"cross-validation, {folds['clips']} clips in {folds['folds']} folds"
        lines.append(_figures_row(what, folds))
        if "with_difficulty" in folds:
            lines.append(_figures_row(DECLARED, folds["with_difficulty"]))
    if measured is not None:
        lines.append(_figures_row(f"test, {measured['clips']} {tested}", measured))
        if "difficulty_alone" in measured:
            alone = measured["difficulty_alone"]["spearman"]
            lines.append(f"| declared difficulty alone | {alone:.3f} | | |")
        if "with_difficulty" in measured:
            lines.append(_figures_row(DECLARED, measured["with_difficulty"]))
        if seen := [f"{n} {role}" for role, n in measured.get("seen", {}).items() if n]:
            lines.append(f"| of these test clips it had seen: {', '.join(seen)} | | | |")
        mean = measured["training_mean"]["mean_distance"]
        lines.append(f"| always the training mean | 0 | {mean:.2f} | 1.00 |")
        rows = [
            f"| {text} | {measured[key]:.3f} |" for key, text in TRUST.items() if key in measured
        ]
        if (agreed := measured.get("with_difficulty", {}).get("stage_agreement")) is not None:
            rows.append(f"| the same, with the declared difficulty | {agreed:.3f} |")
        if rows:
            lines += ["", f"| how far to trust it, on the {tested} | |", "|---|---|", *rows]
        for name, caption in CAPTIONS.items():
            lines += ["", f"![{caption}]({name})"] if name in pictures else []
    if "cross_validation" in card.metrics:
        folds = card.metrics["cross_validation"]
        lines += [
            "",
            f"Its intervals hold {folds['coverage']:.1%} of the judged scores in the"
            f" cross-validation, and are {folds['interval_width']:.2f} points wide.",
        ]
        if (with_difficulty := folds.get("with_difficulty")) is not None:
            lines.append(
                f"With the declared difficulty they hold {with_difficulty['coverage']:.1%}, and are"
                f" {with_difficulty['interval_width']:.2f} points wide."
            )
        if "stages" in folds:
            lines += ["", *_stages(folds["stages"])]
    if card.moved_by:
        lines += [
            "",
            "| warning | points by which nine of ten scores move at most, and intervals widen |",
            "|---|---|",
        ]
        lines += [f"| `{warning}` | {points:.1f} |" for warning, points in card.moved_by.items()]
    lines += ["", "## Use", "", *_use(card), "", "## Made by", "", "```"]
    return "\n".join([*lines, *card.training.commands, "```", ""])


def front_matter(card: Card) -> list[str]:
    """What model hubs and their tools read: YAML whose values are written as JSON.

    The weights of simulated clips alone are under the licence of the code; what others allow is in
    the text of the card.
    """
    simulated = card.data.trained_on == "simulated"
    values: dict[str, Any] = {
        "license": "apache-2.0" if simulated else "other",
        **({} if simulated else {"license_name": "of-the-training-data"}),
        "library_name": "fragment-scorer",
        "pipeline_tag": "video-classification",
        "tags": ["action-quality-assessment", "video", "c3d", card.action],
        "metrics": ["spearmanr"],
    }
    results = [
        {
            "task": {"type": "video-classification", "name": "action quality assessment"},
            "dataset": {"type": card.action, "name": clips, "split": split},
            "metrics": [{"type": "spearmanr", "value": round(card.metrics[split]["spearman"], 4)}],
        }
        for split, clips in (
            ("test", f"{measured_on(card)} of {card.action}"),
            ("cross_validation", card.data.description),
        )
        if split in card.metrics
    ]
    if results:
        values["model-index"] = [{"name": f"{card.name}@{card.version}", "results": results}]
    lines = (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    return ["---", *lines, "---", ""]


def measured_on(card: Card) -> str:
    return "simulated clips" if "simulated" in card.metrics.get("test", {}) else "clips"


def _figures_row(what: str, figures: dict[str, Any]) -> str:
    share = figures.get("distance_share")
    return (
        f"| {what} | {figures['spearman']:.3f} | {figures['mean_distance']:.2f} |"
        f" {'' if share is None else f'{share:.2f}'} |"
    )


def _stages(stages: dict[str, dict[str, float]]) -> Sequence[str]:
    """What the contributions of stages are worth, see `training.measure.stage_worth`."""
    claimed = [stage for stage, figures in stages.items() if figures["low"] > 0]
    others = [stage for stage in stages if stage not in claimed]
    return [
        "Nobody knows what a stage of these routines cost. What is known is how the contributions"
        " of clips that a fold had not seen go with the judges' score:",
        "",
        "| stage | deviation of its contribution, points | Spearman with the judged score |"
        " judged points for a point contributed, beside the other stages [95 %] |",
        "|---|---|---|---|",
        *(
            f"| {stage} | {each['deviation']:.2f} | {each['spearman']:.2f} |"
            f" {each['worth']:.2f} [{each['low']:.2f}, {each['high']:.2f}] |"
            for stage, each in stages.items()
        ),
        "",
        (
            f"So more from {_listed(claimed)} goes with more from the judges."
            if claimed
            else "So no stage's contribution surely goes with what the judges gave."
        )
        + (f" Of {_listed(others)} that is not sure." if claimed and others else "")
        + " That a fault in the stage is the cause cannot be claimed: no judge marks stages.",
    ]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _use(card: Card) -> Sequence[str]:
    if card.data.trained_on != "simulated":
        return [
            "A second opinion beside judges, on clips like those that it was trained on (above):",
            "the same action, filmed and broadcast as those were. How well it scores anything else",
            "(another event, venue, camera, apparatus or height, other athletes than theirs, women",
            "where it has seen men) is unknown. A clip that is not like them is flagged",
            "`unfamiliar_clip`; that no flag is raised does not prove a score right. It must not",
            "decide anything without a judge.",
        ]
    return [
        "For the demonstration, the tests and the development of this software. It has never",
        "seen a real athlete: it must not be used to judge one, to rank athletes, or to check a",
        "panel. Train on judged clips for that.",
        "",
        f"Within simulated {card.action} its score is a second opinion with the interval above.",
        "A clip of another kind is flagged `unfamiliar_clip` and its score means nothing. What it",
        "cannot see: anything smaller than a pixel of"
        f" {card.spec.crop[1]}×{card.spec.crop[0]}, anything before the last"
        f" {float(card.spec.frames / card.spec.fps):.1f} seconds.",
    ]
