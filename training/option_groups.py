"""
How a field of a run's options is asked for on the command line, by the theme that `--help` has.

    epochs: Annotated[int, WHOLE(min=0, help="Epochs of the whole network.")]

Each of these is `typer.Option` with a heading, see `commands/field_options.py`.
"""

from functools import partial

import typer

THEMES = (
    "Where it starts",
    "Clips",
    "Validation",
    "Network",
    "Lesson",
    "The head alone, first",
    "Then the whole network",
    "Loss",
    "Versions of a clip",
    "Machine",
)
START, CLIPS, SPLIT, NETWORK, LESSON, HEAD, WHOLE, LOSS, LOOKS, MACHINE = (
    partial(typer.Option, rich_help_panel=theme) for theme in THEMES
)
