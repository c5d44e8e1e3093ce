"""
How a field of a run's options is asked for on the command line, by the theme that `--help` has.

    epochs: Annotated[int, WHOLE(min=0, help="Epochs of the whole network.")]

Each of these is `typer.Option` with a heading, see `commands/field_options.py`. The limits hold
wherever the value comes from.
"""

import dataclasses
import math
from functools import partial
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo

from training.errors import RunError

THEMES = (
    "Where it starts",
    "Clips",
    "Validation",
    "Network",
    "Pretext task",
    "The head alone, first",
    "Then the whole network",
    "Loss",
    "Versions of a clip",
    "For conv-isa",
    "Machine",
)
START, CLIPS, SPLIT, NETWORK, PRETEXT, HEAD, WHOLE, LOSS, LOOKS, CONV_ISA, MACHINE = (
    partial(typer.Option, rich_help_panel=theme) for theme in THEMES
)


def option_of(annotation: Any) -> tuple[Any, OptionInfo | None]:
    """`Annotated[int, typer.Option(…)]` -> int and the option, or None."""
    if get_origin(annotation) is not Annotated:
        return annotation, None
    kind, *extras = get_args(annotation)
    return kind, next((each for each in extras if isinstance(each, OptionInfo)), None)


def options_of_fields(spec: type) -> dict[str, tuple[Any, OptionInfo]]:
    """Type and option of each field of a dataclass that has one."""
    hints = get_type_hints(spec, include_extras=True)
    found = {field.name: option_of(hints[field.name]) for field in dataclasses.fields(spec)}
    return {name: (kind, option) for name, (kind, option) in found.items() if option is not None}


def check_limits(values: Any) -> None:
    """Raises RunError for a field of a dataclass that is not within what its option takes."""
    for name, (_, option) in options_of_fields(type(values)).items():
        value = getattr(values, name)
        if not isinstance(value, int | float):
            continue
        if not math.isfinite(value):
            raise RunError(f"{name} is {value}, need a finite number")
        low, high = option.min, option.max
        if low is not None and value < low:
            raise RunError(f"{name} is {value}, need at least {low}")
        if high is not None and value > high:
            raise RunError(f"{name} is {value}, need at most {high}")
