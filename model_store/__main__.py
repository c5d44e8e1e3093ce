"""`python -m model_store list | show | verify | use | score`: the checkpoints, from the shell."""

import dataclasses
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from model_store.errors import CheckpointError, ClipError, EngineError, ModelStoreError
from model_store.store import Store

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="List, inspect and verify checkpoints, and score clips with them.\n\n"
    "Exit codes: 0 all well, 1 a clip or checkpoint is bad, 2 the command is.",
)
out, err = Console(), Console(stderr=True)

StoreOption = Annotated[
    Path | None,
    typer.Option("--store", envvar="SCORING_STORE", help="The store's folder; else the shipped."),
]
Reference = Annotated[str, typer.Argument(help="diving, or diving@1 for one version.")]


class EngineChoice(StrEnum):
    auto = "auto"
    torch = "torch"
    openvino = "openvino"
    cuda = "cuda"


def fail(error: Exception, code: int = 1) -> NoReturn:
    err.print(f"[red]error:[/] {error}", highlight=False)
    raise typer.Exit(code)


@app.command("list")
def list_checkpoints(store: StoreOption = None) -> None:
    """All checkpoints, a line each."""
    shelf = Store(store)
    table = Table("checkpoint", "action", "trained on", "created", "current", "sha256")
    bad = False
    for name in shelf.names():
        for version in shelf.versions(name):
            try:
                checkpoint = shelf.load(f"{name}@{version}")
                current = "yes" if shelf.current(name) == version else ""
            except CheckpointError as error:
                bad = True
                table.add_row(f"{name}@{version}", f"[red]{error}[/]", "", "", "", "")
                continue
            card = checkpoint.card
            table.add_row(
                f"{name}@{version}",
                card.action,
                card.data.trained_on,
                f"{card.created:%Y-%m-%d}",
                current,
                checkpoint.sha256[:12],
            )
    out.print(table)
    raise typer.Exit(1 if bad else 0)


@app.command()
def show(reference: Reference, store: StoreOption = None) -> None:
    """The card of a checkpoint, as JSON."""
    try:
        checkpoint = Store(store).load(reference)
    except CheckpointError as error:
        fail(error)
    out.print_json(checkpoint.card.model_dump_json())


@app.command()
def verify(
    reference: Annotated[str | None, typer.Argument(help="One; else all, every version.")] = None,
    store: StoreOption = None,
    engine: Annotated[EngineChoice, typer.Option(help="For the golden clip.")] = EngineChoice.auto,
) -> None:
    """Check hashes, keys, shapes and values, and score the golden clip."""
    from model_store.scorer import Scorer

    shelf = Store(store)
    references = (
        [reference]
        if reference
        else [f"{name}@{version}" for name in shelf.names() for version in shelf.versions(name)]
    )
    bad = False
    for each in references:
        try:
            scorer = Scorer(shelf.load(each), engine.value)
            error = scorer.check_golden()
        except (CheckpointError, EngineError) as problem:
            bad = True
            out.print(f"{each}: [red]{problem}[/]", highlight=False)
        else:
            out.print(f"{each}: ok, golden clip within {error:.4f} points on {scorer.engine.name}")
    if not references:
        fail(FileNotFoundError(f"no checkpoints in {shelf.root}"))
    raise typer.Exit(1 if bad else 0)


@app.command()
def use(
    reference: Annotated[str, typer.Argument(help="The version to use, such as diving@1.")],
    store: StoreOption = None,
) -> None:
    """Let the bare name mean this version from now on: an upgrade, or a roll-back."""
    shelf = Store(store)
    try:
        checkpoint = shelf.load(reference)
        shelf.make_current(checkpoint.name, checkpoint.version)
    except CheckpointError as error:
        fail(error)
    out.print(f"{checkpoint.name} now means version {checkpoint.version}")


@app.command()
def score(
    clips: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, metavar="CLIP…")],
    action: Annotated[str, typer.Option(help="Name of the checkpoint.")] = "diving",
    checkpoint: Annotated[str | None, typer.Option(help="NAME@VERSION; wins over action.")] = None,
    difficulty: Annotated[float | None, typer.Option(help="As declared, if known.")] = None,
    engine: EngineChoice = EngineChoice.auto,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    store: StoreOption = None,
) -> None:
    """Score clips, and show what each fragment contributed."""
    from model_store.scorer import Scorer, check_difficulty

    try:
        if difficulty is not None:
            check_difficulty(difficulty)
        scorer = Scorer(Store(store).load(checkpoint or action), engine.value)
    except ModelStoreError as error:
        fail(error, 2)
    bad = False
    for clip in track(clips, console=err, disable=len(clips) < 2, description="scoring"):
        try:
            answer = score_file(scorer, clip, difficulty)
        except ClipError as error:
            bad = True
            if as_json:
                print(json.dumps({"clip": str(clip), "error": str(error)}))
            else:
                err.print(f"{clip}: [red]{error}[/]", highlight=False)
            continue
        if as_json:
            print(json.dumps(answer))
        else:
            print_answer(answer)
    raise typer.Exit(1 if bad else 0)


def score_file(scorer: Any, path: Path, difficulty: float | None) -> dict[str, Any]:
    from model_store.clip import prepare_clip, read_clip
    from model_store.confidence import review_reasons

    spec, card = scorer.spec, scorer.checkpoint.card
    clip = prepare_clip(read_clip(path, spec), spec)
    [answer] = scorer.score([clip.frames])
    answer = answer.with_difficulty(difficulty, spec.difficulty_rule, card.network.target)
    return {
        "clip": str(path),
        "score": answer.score,
        "difficulty": answer.difficulty,
        "execution": answer.execution,
        "interval": answer.trust and dataclasses.asdict(answer.trust.interval),
        "baseline": answer.baseline,
        "fragments": [
            {
                "index": i,
                "stage": card.stage_of_fragment[i],
                "blank": answer.blank[i],
                "contribution": answer.contribution[i],
                "alone": answer.alone[i],
                "without": answer.without[i],
            }
            for i in range(spec.fragments)
        ],
        "review_reasons": [
            str(reason)
            for reason in review_reasons(answer.trust, blank=answer.blank, warnings=clip.warnings)
        ],
        "warnings": [str(warning) for warning in clip.warnings],
        "checkpoint": f"{card.name}@{card.version}",
        "trained_on": card.data.trained_on,
        "sha256": clip.info.sha256,
    }


def print_answer(answer: dict[str, Any]) -> None:
    table = Table("fragment", "stage", "points", "", title=f"{answer['clip']}")
    largest = max(abs(fragment["contribution"]) for fragment in answer["fragments"]) or 1.0
    for fragment in answer["fragments"]:
        points = fragment["contribution"]
        bar = "█" * round(12 * abs(points) / largest)
        table.add_row(
            str(fragment["index"]),
            "blank" if fragment["blank"] else fragment["stage"] or "",
            f"{points:+.2f}",
            f"[green]{bar}[/]" if points >= 0 else f"[red]{bar}[/]",
        )
    out.print(table)
    out.print(
        f"score [bold]{answer['score']:.2f}[/] = baseline {answer['baseline']:.2f} + the points"
        f" above   ({answer['checkpoint']}, trained on {answer['trained_on']} clips)"
    )
    if (interval := answer["interval"]) is not None:
        share = f"{interval['coverage']:.0%}"
        out.print(
            f"{share} of such clips are judged {interval['low']:.2f} to {interval['high']:.2f}"
        )
    if answer["review_reasons"]:
        out.print(f"[yellow]needs review:[/] {', '.join(answer['review_reasons'])}")
    for warning in answer["warnings"]:
        out.print(f"[yellow]warning:[/] {warning}")


if __name__ == "__main__":
    app()
