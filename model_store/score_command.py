"""
`python -m model_store score CLIP…`: for people a table with bars, for programs JSON.

The rule: what a user wrote, a path or a name, is printed as it is. Rich would take `[final]` for a
style and `:dash:` for a picture, so such text is a `Text` and never a plain `str`.
"""

import json
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NoReturn

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from model_store.card import CLIPS_OF
from model_store.errors import (
    ClipError,
    ClipTooLarge,
    EngineError,
    InvalidDifficulty,
    InvalidField,
    ModelStoreError,
    NotAVideo,
)
from model_store.judging.difficulty import check_difficulty, check_positive
from model_store.judging.dive_difficulty import DeclaredDive, declared
from model_store.number import number
from model_store.store import Store

if TYPE_CHECKING:
    from model_store.assessment import Assessment
    from model_store.scorer import Scorer

MOST_PIPED = 1 << 30  # bytes that are taken from a pipe
BAR = 12  # columns on each side of zero
BAD_CLIP, BAD_COMMAND, NEEDS_REVIEW = 1, 2, 3

out, err = Console(), Console(stderr=True)

StoreOption = Annotated[
    Path | None,
    typer.Option("--store", envvar="SCORING_STORE", help="The store's folder; else the shipped."),
]


class EngineChoice(StrEnum):
    auto = "auto"
    torch = "torch"
    openvino = "openvino"
    cuda = "cuda"


def fail(error: Exception, code: int = 1) -> NoReturn:
    field = f"{error.field}: " if isinstance(error, InvalidField) else ""
    err.print(Text.assemble(("error:", "red"), f" {field}{error}"), soft_wrap=True)
    raise typer.Exit(code)


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
    clips: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, metavar="CLIP…")],
    action: Annotated[str, typer.Option(help="Name of the checkpoint.")] = "diving",
    checkpoint: Annotated[str | None, typer.Option(help="NAME@VERSION; wins over action.")] = None,
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
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if a person should look at a clip.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Score clips: one with what each fragment contributed, several a line each.

    Exit codes: 0 all scored, 1 a clip cannot be, 2 the command is wrong, 3 with --strict.
    """
    from model_store.finding.finder import finder_of
    from model_store.scorer import Scorer

    try:
        chosen = Store(store).load(checkpoint or action)
        difficulty, named = declared(chosen.spec.action, difficulty, dive, height)
        if difficulty is not None:
            check_difficulty(chosen.spec.action, difficulty)
        elif chosen.card.network.target == "execution":
            raise InvalidDifficulty(f"{chosen.name} predicts the execution, it needs --difficulty")
        if find:
            finder_of(chosen.spec.action)
        scorer = Scorer(chosen, engine.value)
    except ModelStoreError as error:
        fail(error, BAD_COMMAND)
    results = []
    for path, result in scored(scorer, clips, difficulty, find=find):
        results.append(result)
        if as_json:
            print(json.dumps({"clip": str(path)} | json_of(result, named)), flush=True)
        elif isinstance(result, str):
            err.print(Text.assemble(str(path), ": ", (result, "red")), soft_wrap=True)
        elif len(clips) == 1:
            print_assessment(path, result, named)
    if len(clips) > 1 and not as_json:
        print_line_each(clips, results)
    if any(isinstance(result, str) for result in results):
        raise typer.Exit(BAD_CLIP)
    if strict and any(not isinstance(each, str) and each.needs_review for each in results):
        raise typer.Exit(NEEDS_REVIEW)


def scored(
    scorer: "Scorer", clips: Sequence[Path], difficulty: float | None, *, find: bool
) -> Iterator[tuple[Path, "Assessment | str"]]:
    """Each clip with its assessment or what is wrong with it; a progress bar if they are many."""
    for path in track(clips, console=err, disable=len(clips) < 2, description="scoring"):
        try:
            yield path, score_file(scorer, path, difficulty, find=find)
        except OSError as error:
            yield path, f"cannot be read: {error.strerror}"
        except (ClipError, EngineError) as error:
            yield path, str(error)


@contextmanager
def seekable(path: Path) -> Iterator[BinaryIO]:
    """A file, or all that comes out of a pipe.   Raises OSError, ClipTooLarge, NotAVideo."""
    with path.open("rb", buffering=0) as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISREG(mode):
            yield file
            return
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            raise NotAVideo("neither a file nor a pipe")
        with tempfile.TemporaryFile() as copy:
            while chunk := file.read(1 << 20):
                copy.write(chunk)
                if copy.tell() > MOST_PIPED:
                    raise ClipTooLarge(f"more than {MOST_PIPED} bytes came out of the pipe")
            yield copy


def score_file(
    scorer: "Scorer", path: Path, difficulty: float | None, *, find: bool = False
) -> "Assessment":
    from model_store.assessment import assess
    from model_store.clip import prepare_clip, read_clip

    checkpoint = scorer.checkpoint
    with seekable(path) as source:
        clip = prepare_clip(read_clip(source, scorer.spec, find=find), scorer.spec)
    [answer] = scorer.score([clip.frames])
    return assess(
        answer, clip, card=checkpoint.card, sha256=checkpoint.sha256, difficulty=difficulty
    )


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


def print_line_each(paths: Sequence[Path], results: Sequence["Assessment | str"]) -> None:
    """Several clips: a line each, in the order given."""
    table = Table("clip", "score", "interval", "needs review")
    for path, result in zip(paths, results, strict=True):
        if isinstance(result, str):
            table.add_row(Text(str(path)), "–", "", "[red]cannot be scored[/]")
            continue
        interval = result.interval
        table.add_row(
            Text(str(path)),
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
