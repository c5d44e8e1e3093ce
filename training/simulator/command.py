"""`python -m training simulate`: make a data set folder of simulated clips, or look at some."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from training.simulator import OFFICIAL_TEST_SHARE


class ClipStyle(StrEnum):
    plain = "plain"
    broadcast = "broadcast"


StyleOption = Annotated[
    ClipStyle,
    typer.Option(
        "--style",
        help="How simulated clips are filmed. Dives can look as in broadcasts: one camera that"
        " tilts from the platform down to the water, motion blur, crowds, strong colours.",
    ),
]


class Action(StrEnum):
    DIVING = "diving"
    VAULT = "vault"
    SKATING = "skating"


def simulate(
    action: Annotated[Action, typer.Option(help="What the athlete does.")] = Action.DIVING,
    clips: Annotated[
        int,
        typer.Option(min=1, help="How many clips; with --pairs, how many ladders of four clips."),
    ] = 370,
    seed: Annotated[int, typer.Option(min=0, help="Clips of different seeds never meet.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder to make; completed if it was interrupted.")
    ] = None,
    first: Annotated[int, typer.Option(min=0, help="Index of the first clip.")] = 0,
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs",
            help="Render every clip four times, alike but for one fault in one part: without it,"
            " and at three severities.",
        ),
    ] = False,
    test_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the clips, the last ones, for testing.")
    ] = OFFICIAL_TEST_SHARE,
    style: StyleOption = ClipStyle.plain,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that render; all cores if not given.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="PNG to make: a contact sheet of the first clips.")
    ] = None,
) -> None:
    """Render clips of a simulated athlete of which every fault and its cost are known.

    OUT becomes a data set folder: annotations.csv, clips/NNNNN.mp4 (320×240; 30 frames a second,
    skating 4.8) and tracks/NNNNN.npz (joints and what is to be seen, per frame). The same seed
    gives the same clips. With --sheet alone nothing but the contact sheet is made.

    A dive and a vault have stages; a skating programme has seven to twelve elements instead, and
    annotations.csv lists them with their base values, faults and deductions.

    Example: python -m training simulate --action diving --clips 370 --seed 0 --out data/diving
    """
    if out is None and sheet is None:
        raise typer.BadParameter("give --out FOLDER, --sheet FILE.png, or both")
    for option, asked in (("--sheet", sheet is not None), ("--style", style != ClipStyle.plain)):
        if asked:
            _need_pillow(option)
    from training.simulator.actions import act_of
    from training.simulator.dataset import write_dataset

    try:
        act_of(action.value, style.value)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--style") from error
    if sheet is not None:
        from training.simulator.sheet import write_sheet

        write_sheet(
            sheet,
            action.value,
            seed,
            first=first,
            clips=clips,
            pairs=pairs,
            style=style.value,
        )
        typer.echo(f"contact sheet: {sheet}")
    if out is not None:
        try:
            annotations = write_dataset(
                action.value,
                clips,
                seed,
                out,
                first=first,
                pairs=pairs,
                test_share=test_share,
                style=style.value,
                workers=workers,
            )
        except FileExistsError as error:
            raise typer.BadParameter(str(error), param_hint="--out") from error
        typer.echo(f"annotations: {annotations}")


def _need_pillow(option: str) -> None:
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise typer.BadParameter(
            "Pillow is missing, which the extra brings: pip install 'fragment-scorer[training]'",
            param_hint=option,
        ) from error
