"""
`python -m model_store panel MEET.csv`: the judges over a whole meet, for people and for programs.

What a user wrote is printed as it is: see the rule in `terminal`.
"""

import csv
import dataclasses
import io
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from model_store.errors import InvalidPanel
from model_store.terminal import BAD_COMMAND, STANDARD_OUTPUT, check_target, fail, out, write_text

if TYPE_CHECKING:
    from model_store.judging.meet import Meet

MOST_LISTED = 20  # marks out of line on the terminal; --json has all


class PanelAction(StrEnum):
    diving = "diving"
    vault = "vault"


def panel(
    meet: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, metavar="MEET.csv", help="A dive a row; see above."
        ),
    ],
    action: Annotated[PanelAction, typer.Option(help="Whose rules count.")] = PanelAction.diving,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write all figures there; - for the screen."),
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write a line a judge there; - likewise."),
    ] = None,
) -> None:
    """Report each judge's bias, spread and marks out of line over a whole meet.

    The table is a CSV file, a dive a row. Its columns: diver (may be left
    out), dive and height (107B and 3) or difficulty, deductions (vault), and
    j1, j2, … j11 for the marks, every judge always in the same column. An
    empty mark is a judge who did not judge that dive.

    Exit codes: 0 all well, 1 the table is wrong (the problems are listed with
    their lines and columns), 2 the command is.
    """
    if json_file == csv_file == STANDARD_OUTPUT:
        fail(ValueError("only one of --json and --csv can go to the screen"), BAD_COMMAND)
    for target in (json_file, csv_file):
        if target is not None:
            check_target(target, [meet])
    from model_store.judging.meet_table import InvalidTable, judge_table

    try:
        judged = judge_table(action.value, meet.read_bytes())
    except (OSError, InvalidTable, InvalidPanel) as error:
        fail(error)
    if STANDARD_OUTPUT not in (json_file, csv_file):
        print_meet(judged)
    try:
        if json_file is not None:
            write_text(json_file, json.dumps(json_of(judged), indent=1) + "\n")
        if csv_file is not None:
            write_text(csv_file, csv_of(judged))
    except OSError as error:
        fail(error)


def json_of(meet: "Meet") -> dict[str, Any]:
    """What `--json` writes: the judges, and every dive with its panel."""
    from model_store.judging.meet import COVERAGE

    dives = []
    for dive in meet.dives:
        fields = dataclasses.asdict(dive.panel)
        fields.pop("action")
        named = None if dive.dive is None else dataclasses.asdict(dive.dive)
        dives.append({"diver": dive.diver, "dive": named} | fields)
    return {
        "action": meet.action,
        "coverage": COVERAGE,
        "judges": [dataclasses.asdict(each) for each in meet.judges],
        "dives": dives,
    }


def csv_of(meet: "Meet") -> str:
    """A line a judge; an interval has two columns, `_low` and `_high`."""
    rows = []
    for each in meet.judges:
        row: dict[str, Any] = {}
        for name, value in dataclasses.asdict(each).items():
            if name.endswith("_interval") or name == "spread_of_real":
                row[f"{name.removesuffix('_interval')}_low"] = value and value[0]
                row[f"{name.removesuffix('_interval')}_high"] = value and value[1]
            else:
                row[name] = value
        rows.append(row)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["judge"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def print_meet(meet: "Meet") -> None:
    from model_store.judging.meet import COVERAGE

    table = Table("judge", "bias", f"{COVERAGE:.0%} interval", "as real", "spread", "out of line")
    table.add_column("order")
    for each in meet.judges:
        interval, out_of_line = each.bias_interval, each.out_of_line_share
        table.add_row(
            str(each.judge),
            _shown(each.bias, "+.2f"),
            f"{interval[0]:+.2f} to {interval[1]:+.2f}" if interval else "",
            _shown(each.bias_real_share, ".0%"),
            _shown(each.spread, ".2f"),
            "" if out_of_line is None else f"{each.out_of_line} ({out_of_line:.1%})",
            _shown(each.agreement, ".2f"),
        )
    out.print(table)
    failed = sum(not any(mark.mark for mark in dive.panel.marks) for dive in meet.dives)
    out.print(
        f"dives: {len(meet.dives)}, failed: {failed}. bias: how far above (+) or below"
        " the others a judge is on average, in marks; as real: of real judges, those whose bias"
        " would look as large over as many dives; spread: how much that varies; out of line: marks"
        " as far out as fewer than one real mark in a hundred; order: rank correlation with the"
        " others, at most 1",
        style="dim",
    )
    real = next((each.spread_of_real for each in meet.judges if each.spread_of_real), None)
    if real is not None:
        out.print(f"nine of ten real judges have a spread of {real[0]:.2f} to {real[1]:.2f}")
    marks = [
        (index, dive, mark)
        for index, dive in enumerate(meet.dives, start=1)
        for mark in dive.panel.marks
        if mark.out_of_line
    ]
    for index, dive, mark in marks[:MOST_LISTED]:
        name = f" ({dive.diver})" if dive.diver else ""
        text = f"dive {index}{name}: judge {mark.judge} gives {mark.mark:g},"
        out.print(Text(f"{text} {mark.from_panel:+g} from the others"), style="yellow")
    if len(marks) > MOST_LISTED:
        out.print(f"and {len(marks) - MOST_LISTED} more marks out of line; see --json")


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"
