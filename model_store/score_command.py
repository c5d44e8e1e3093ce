"""
`python -m model_store score CLIP…`: for people a table with bars, for programs JSON.

The rule: what a user wrote, a path or a name, is printed as it is. Rich would take `[final]` for a
style and `:dash:` for a picture, so such text is a `Text` and never a plain `str`.
"""

import dataclasses
import json
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    InvalidPanel,
    ModelStoreError,
    NotAVideo,
)
from model_store.judging.difficulty import check_difficulty, check_positive
from model_store.number import number
from model_store.store import Store

if TYPE_CHECKING:
    from model_store.scorer import Scorer

MOST_PIPED = 1 << 30  # bytes that are taken from a pipe
BAR = 12  # columns on each side of zero
BAD_CLIP, BAD_COMMAND, NEEDS_REVIEW = 1, 2, 3

out, err = Console(), Console(stderr=True)
Answer = dict[str, Any]

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
    field = f"{error.field}: " if isinstance(error, InvalidPanel) else ""
    err.print(Text.assemble(("error:", "red"), f" {field}{error}"), soft_wrap=True)
    raise typer.Exit(code)


def declared(text: str) -> float:
    """A difficulty, checked before anything is loaded; what it may be is the action's to say."""
    try:
        value = number(text)
        check_positive(value)
    except ValueError as error:
        fail(InvalidDifficulty(f"difficulty: {error}"), BAD_COMMAND)
    except InvalidDifficulty as error:
        fail(error, BAD_COMMAND)
    return value


def score(
    clips: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, metavar="CLIP…")],
    action: Annotated[str, typer.Option(help="Name of the checkpoint.")] = "diving",
    checkpoint: Annotated[str | None, typer.Option(help="NAME@VERSION; wins over action.")] = None,
    difficulty: Annotated[
        float | None,
        typer.Option(parser=declared, metavar="NUMBER", help="As declared, if known."),
    ] = None,
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
    from model_store.scorer import Scorer

    try:
        chosen = Store(store).load(checkpoint or action)
        if difficulty is not None:
            check_difficulty(chosen.spec.action, difficulty)
        elif chosen.card.network.target == "execution":
            raise InvalidDifficulty(f"{chosen.name} predicts the execution, it needs --difficulty")
        scorer = Scorer(chosen, engine.value)
    except ModelStoreError as error:
        fail(error, BAD_COMMAND)
    answers = []
    for answer in answered(scorer, clips, difficulty):
        answers.append(answer)
        if as_json:
            print(json.dumps(answer), flush=True)
        elif "error" in answer:
            err.print(Text.assemble(answer["clip"], ": ", (answer["error"], "red")), soft_wrap=True)
        elif len(clips) == 1:
            print_answer(answer)
    if len(clips) > 1 and not as_json:
        print_answers(answers)
    if any("error" in answer for answer in answers):
        raise typer.Exit(BAD_CLIP)
    if strict and any(answer["needs_review"] for answer in answers):
        raise typer.Exit(NEEDS_REVIEW)


def answered(scorer: "Scorer", clips: Sequence[Path], difficulty: float | None) -> Iterator[Answer]:
    """An answer or an error for each clip, with a progress bar if they are many."""
    for clip in track(clips, console=err, disable=len(clips) < 2, description="scoring"):
        try:
            yield score_file(scorer, clip, difficulty)
        except OSError as error:
            yield {"clip": str(clip), "error": f"cannot be read: {error.strerror}"}
        except (ClipError, EngineError) as error:
            yield {"clip": str(clip), "error": str(error)}


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


def score_file(scorer: "Scorer", path: Path, difficulty: float | None) -> Answer:
    from model_store.clip import fragment_span, prepare_clip, read_clip
    from model_store.confidence import review_reasons

    spec, card = scorer.spec, scorer.checkpoint.card
    with seekable(path) as source:
        clip = prepare_clip(read_clip(source, spec), spec)
    [answer] = scorer.score([clip.frames])
    answer = answer.with_difficulty(difficulty, spec.difficulty_rule)
    answer = answer.widened(card.doubt(clip.warnings))
    reasons = review_reasons(answer.trust, blank=answer.blank, warnings=clip.warnings)
    fragments = []
    for i in range(spec.fragments):
        span = fragment_span(clip, spec, i, views=card.network.views)
        start_s, end_s = (None, None) if answer.blank[i] else span
        fragments.append(
            {
                "index": i,
                "stage": card.stage_of_fragment[i],
                "start_s": start_s,
                "end_s": end_s,
                "blank": answer.blank[i],
                "contribution": answer.contribution[i],
                "alone": answer.alone[i],
                "without": answer.without[i],
            }
        )
    return {
        "clip": str(path),
        "score": answer.score,
        "difficulty": answer.difficulty,
        "execution": answer.execution,
        "scored_by": answer.scored_by,
        "interval": answer.trust and dataclasses.asdict(answer.trust.interval),
        "baseline": answer.baseline,
        "fragments": fragments,
        "needs_review": bool(reasons),
        "review_reasons": [str(reason) for reason in reasons],
        "warnings": [str(warning) for warning in clip.warnings],
        "checkpoint": f"{card.name}@{card.version}",
        "trained_on": card.data.trained_on,
        "sha256": clip.info.sha256,
    }


def print_answer(answer: Answer) -> None:
    """One clip: its fragments, then what it comes to."""
    table = Table(
        "fragment", "stage", "seconds", "points", "cost | added", title=Text(answer["clip"])
    )
    largest = max(abs(fragment["contribution"]) for fragment in answer["fragments"]) or 1.0
    for fragment in answer["fragments"]:
        shown = not fragment["blank"]
        table.add_row(
            str(fragment["index"]),
            Text(fragment["stage"] or ""),
            f"{fragment['start_s']:.1f}–{fragment['end_s']:.1f}" if shown else "blank",
            f"{fragment['contribution']:+.2f}" if shown else "",
            bar(fragment["contribution"] / largest),
        )
    out.print(table)
    out.print(
        f"score [bold]{answer['score']:.2f}[/] = baseline {answer['baseline']:.2f} + the points"
        f" above   (by {answer['scored_by']}; {answer['checkpoint']}, trained on"
        f" {CLIPS_OF[answer['trained_on']]} clips)"
    )
    if answer["execution"] is not None:
        out.print(f"execution {answer['execution']:.2f}, difficulty {answer['difficulty']:g}")
    if (interval := answer["interval"]) is not None:
        share = f"{interval['coverage']:.0%}"
        out.print(
            f"{share} of such clips are judged {interval['low']:.2f} to {interval['high']:.2f}"
        )
    if answer["review_reasons"]:
        out.print(f"[yellow]needs review:[/] {', '.join(answer['review_reasons'])}")
    for warning in answer["warnings"]:
        out.print(f"[yellow]warning:[/] {warning}")


def print_answers(answers: Sequence[Answer]) -> None:
    """Several clips: a line each, in the order given."""
    table = Table("clip", "score", "interval", "needs review")
    for answer in answers:
        if "error" in answer:
            table.add_row(Text(answer["clip"]), "–", "", "[red]cannot be scored[/]")
            continue
        interval = answer["interval"]
        table.add_row(
            Text(answer["clip"]),
            f"{answer['score']:.2f}",
            f"{interval['low']:.1f}–{interval['high']:.1f}" if interval else "",
            ", ".join(answer["review_reasons"]),
        )
    out.print(table)


def bar(share: float) -> Text:
    """−1…1 as a bar to the left or to the right of zero."""
    length = round(BAR * abs(share))
    if share < 0:
        return Text(" " * (BAR - length) + "█" * length + "│", style="red")
    return Text(" " * BAR + "│" + "█" * length, style="green")
