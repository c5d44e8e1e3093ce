"""
`python -m model_store score`: for people a table with bars, for programs JSON or a CSV file.

What a user wrote is printed as it is: see the rule in `terminal`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import track
from rich.table import Table
from rich.text import Text

from model_store.errors import InvalidDifficulty, InvalidFile, ModelStoreError
from model_store.judging.difficulty import check_difficulty, check_positive
from model_store.judging.dive_difficulty import DeclaredDive, declared
from model_store.number import number
from model_store.terminal import (
    BAD_COMMAND,
    BAD_INPUT,
    NEEDS_REVIEW,
    STANDARD_OUTPUT,
    ActionOption,
    AnnotationsOption,
    CheckpointOption,
    ClipsArgument,
    EngineChoice,
    StoreOption,
    check_either,
    check_target,
    err,
    fail,
    files_read,
    out,
    store_in,
    write_text,
)

if TYPE_CHECKING:
    from model_store.assessment import Assessment
    from model_store.checkpoint import Checkpoint
    from model_store.scorer import Scorer
    from model_store.tables.clip_table import ClipRequest

BAR = 12  # columns on each side of zero
FEWEST_JUDGED = 3  # clips whose order is compared with the judges'


def difficulty_option(text: str) -> float:
    """A difficulty, checked before anything is loaded; the action may allow less."""
    try:
        value = number(text)
        check_positive(value)
    except ValueError as error:
        fail(InvalidDifficulty(f"difficulty: {error}"), BAD_COMMAND)
    except InvalidDifficulty as error:
        fail(error, BAD_COMMAND)
    return value


def height_option(text: str) -> float:
    try:
        return number(text)
    except ValueError as error:
        fail(ValueError(f"height: {error}"), BAD_COMMAND)


def score(
    clips: ClipsArgument = None,
    annotations: AnnotationsOption = None,
    action: ActionOption = "diving",
    checkpoint: CheckpointOption = None,
    difficulty: Annotated[
        float | None,
        typer.Option(parser=difficulty_option, metavar="NUMBER", help="As declared, if known."),
    ] = None,
    dive: Annotated[
        str | None,
        typer.Option(metavar="107B", help="Number of the dive, instead of the difficulty."),
    ] = None,
    height: Annotated[
        float | None,
        typer.Option(
            parser=height_option, metavar="METRES", help="1, 3, 5, 7.5 or 10; with --dive."
        ),
    ] = None,
    find: Annotated[
        bool, typer.Option("--find", help="Look for the routine in a longer recording.")
    ] = False,
    engine: EngineChoice = EngineChoice.auto,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write a row a clip there; - for the screen."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if a person should look at a clip.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Score clips: one with what each fragment contributed, several a line each.

    A whole meet can be a table, --annotations FILE.csv, as a spreadsheet
    saves it. Its column clip has the clips' paths below its own folder. May
    be left out: difficulty, or dive and height; start_s and end_s; score, or
    marks ("8.5 8 8"), with which the answers are compared.

    Exit codes: 0 all scored, 1 a clip or the table cannot be, 2 the command
    is wrong, 3 with --strict.
    """
    check_either(clips, annotations)
    if annotations is not None and (difficulty, dive, height) != (None, None, None):
        fail(ValueError("the difficulties are columns of the table"), BAD_COMMAND)
    if as_json and csv_file == STANDARD_OUTPUT:
        fail(ValueError("only one of --json and --csv can go to the screen"), BAD_COMMAND)
    from model_store.finding.finder import finder_of
    from model_store.scorer import Scorer

    try:
        chosen = store_in(store).load(checkpoint or action)
        if annotations is not None:
            requests = requests_of_table(annotations, chosen)
        else:
            difficulty, named = declared(chosen.spec.action, difficulty, dive, height)
            requests = requests_of(clips or [], chosen, difficulty, named)
        if find:
            finder_of(chosen.spec.action)
        if csv_file is not None:
            check_target(csv_file, files_read(annotations, requests))
        scorer = Scorer(chosen, engine.value)
    except InvalidFile as error:
        fail(error)
    except ModelStoreError as error:
        fail(error, BAD_COMMAND)
    results = []
    for request, result in scored(scorer, requests, find=find):
        results.append((request, result))
        if as_json:
            shown = {"clip": request.name} | json_of(result, request.dive) | judged_of(request)
            print(json.dumps(shown), flush=True)
        elif isinstance(result, str):
            err.print(Text.assemble(request.name, ": ", (result, "red")), soft_wrap=True)
    if csv_file is not None:
        write_csv(csv_file, results)
    elif not as_json:
        print_results(results)
    print_agreement(results, aside=as_json or csv_file == STANDARD_OUTPUT)
    if any(isinstance(result, str) for _, result in results):
        raise typer.Exit(BAD_INPUT)
    if strict and any(not isinstance(each, str) and each.needs_review for _, each in results):
        raise typer.Exit(NEEDS_REVIEW)


def requests_of(
    clips: Sequence[Path], chosen: "Checkpoint", difficulty: float | None, dive: DeclaredDive | None
) -> list["ClipRequest"]:
    """Clips of one difficulty.   Raises InvalidDifficulty and InvalidPanel."""
    from model_store.tables.clip_table import ClipRequest

    if difficulty is not None:
        check_difficulty(chosen.spec.action, difficulty)
    elif chosen.card.network.target == "execution":
        raise InvalidDifficulty(f"{chosen.name} predicts the execution, it needs --difficulty")
    return [
        ClipRequest(name=str(path), path=path, difficulty=difficulty, dive=dive) for path in clips
    ]


def requests_of_table(path: Path, chosen: "Checkpoint") -> list["ClipRequest"]:
    """Raises InvalidFile."""
    from model_store.tables.clip_table import read_clip_table

    needs_difficulty = chosen.card.network.target == "execution"
    return read_clip_table(path, chosen.spec.action, needs_difficulty=needs_difficulty)


def scored(
    scorer: "Scorer", requests: Sequence["ClipRequest"], *, find: bool
) -> Iterator[tuple["ClipRequest", "Assessment | str"]]:
    """Each clip with its assessment or what is wrong with it; a progress bar if they are many."""
    from model_store.batch_scoring import score_clips

    for request, result in track(
        score_clips(scorer, requests, find=find),
        total=len(requests),
        console=err,
        disable=len(requests) < 2,
        description="scoring",
    ):
        yield request, result if isinstance(result, str) else result.assess(request.difficulty)


def write_csv(target: Path, results: Sequence[tuple["ClipRequest", "Assessment | str"]]) -> None:
    from model_store.score_table import csv_of

    try:
        write_text(target, csv_of(results))
    except OSError as error:
        fail(error)
    if target != STANDARD_OUTPUT:
        failed = sum(isinstance(result, str) for _, result in results)
        text = f"{target}: {len(results)} clips" + (f", {failed} not scored" if failed else "")
        out.print(Text(text), soft_wrap=True)


def print_results(results: Sequence[tuple["ClipRequest", "Assessment | str"]]) -> None:
    if len(results) > 1:
        print_line_each(results)
        return
    [(request, result)] = results
    if not isinstance(result, str):
        print_assessment(request.path, result, request.dive)


def print_agreement(
    results: Sequence[tuple["ClipRequest", "Assessment | str"]], *, aside: bool
) -> None:
    """How well the scores agree with the judges', on standard error where programs read the rest.

    Spearman's rank correlation, and the mean distance in points.
    """
    pairs = [
        (result.score, request.judged)
        for request, result in results
        if request.judged is not None and not isinstance(result, str)
    ]
    if len(pairs) < FEWEST_JUDGED:
        return
    import numpy as np

    from model_store.judging.meet import rank_correlation

    predicted, judged = np.array(pairs).T
    correlation = rank_correlation(predicted, judged)
    ranked = "is not defined" if correlation is None else f"{correlation:.4f}"
    distance = np.abs(predicted - judged).mean()
    text = f"{len(pairs)} judged clips: Spearman {ranked}, mean distance {distance:.4f} points"
    (err if aside else out).print(text, highlight=False)


def judged_of(request: "ClipRequest") -> dict[str, float]:
    return {} if request.judged is None else {"judged_score": request.judged}


def json_of(result: "Assessment | str", named: DeclaredDive | None = None) -> dict[str, Any]:
    """What `--json` prints of one clip, behind its name; `named` is the dive, if it was named."""
    if isinstance(result, str):
        return {"error": result}
    fields = result.to_json()
    return {
        "score": result.score,
        "difficulty": result.difficulty,
        "dive": None if named is None else asdict(named),
        "execution": result.execution,
        "scored_by": result.scored_by,
        "interval": fields["interval"],
        "baseline": result.baseline,
        "fragments": fields["fragments"],
        "needs_review": result.needs_review,
        "review_reasons": result.review_reasons,
        "warnings": result.warnings,
        "found_s": result.found_s,
        "second_choice_s": result.second_choice_s,
        "checkpoint": result.checkpoint.reference,
        "trained_on": result.checkpoint.trained_on,
        "sha256": result.clip.sha256,
    }


def print_assessment(path: Path, result: "Assessment", named: DeclaredDive | None) -> None:
    """One clip: its fragments, then what they add up to."""
    from model_store.card import CLIPS_OF

    table = Table("fragment", "stage", "seconds", "points", "cost | added", title=Text(str(path)))
    largest = max(abs(fragment.contribution) for fragment in result.fragments) or 1.0
    for fragment in result.fragments:
        shown = not fragment.blank
        table.add_row(
            str(fragment.index),
            Text(fragment.stage or ""),
            f"{fragment.start_s:.1f}–{fragment.end_s:.1f}" if shown else "blank",
            f"{fragment.contribution:+.2f}" if shown else "",
            bar(fragment.contribution / largest),
        )
    out.print(table)
    out.print(
        f"score [bold]{result.score:.2f}[/] = baseline {result.baseline:.2f} + the points"
        f" above   (by {result.scored_by}; {result.checkpoint.reference}, trained on"
        f" {CLIPS_OF[result.checkpoint.trained_on]} clips)"
    )
    if named is not None:
        out.print(f"{named.number} from {named.height_m:g} m: {named.name}")
    if result.execution is not None:
        out.print(f"execution {result.execution:.2f}, difficulty {result.difficulty:g}")
    if (interval := result.interval) is not None:
        share = f"{interval.coverage:.0%}"
        out.print(f"{share} of such clips are judged {interval.low:.2f} to {interval.high:.2f}")
    if result.found_s is not None:
        second = result.second_choice_s
        other = f"; second choice {second[0]:.1f}–{second[1]:.1f} s" if second else ""
        out.print(f"found at {result.found_s[0]:.1f}–{result.found_s[1]:.1f} s{other}")
    if result.needs_review:
        out.print(f"[yellow]needs review:[/] {', '.join(result.review_reasons)}")
    for warning in result.warnings:
        out.print(f"[yellow]warning:[/] {warning}")


def print_line_each(results: Sequence[tuple["ClipRequest", "Assessment | str"]]) -> None:
    """Several clips: a line each, in the order given."""
    table = Table("clip", "score", "interval", "needs review")
    for request, result in results:
        if isinstance(result, str):
            table.add_row(Text(request.name), "–", "", "[red]cannot be scored[/]")
            continue
        interval = result.interval
        table.add_row(
            Text(request.name),
            f"{result.score:.2f}",
            f"{interval.low:.1f}–{interval.high:.1f}" if interval else "",
            ", ".join(result.review_reasons),
        )
    out.print(table)


def bar(share: float) -> Text:
    """−1…1 as a bar to the left or to the right of zero."""
    length = round(BAR * abs(share))
    if share < 0:
        return Text(" " * (BAR - length) + "█" * length + "│", style="red")
    return Text(" " * BAR + "│" + "█" * length, style="green")
