"""
Options of a command from the fields of a dataclass: a field defines its option, once.

The rule: a field is an option if its type says so, `Annotated[int, typer.Option(help="…")]`; its
name, type, default, limits and help are the field's, and stand nowhere else.
"""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Iterator
from typing import Annotated, TypeVar

from training.option_groups import THEMES, option_of, options_of_fields

Command = TypeVar("Command", bound=Callable[..., None])


def options_of(spec: type, *, preset: Collection[str] = ()) -> Callable[[Command], Command]:
    """Puts the options of `spec` in the place of a command's `**options`, and all in themes.

    Fields that a preset sets have no default: what is not given is None there.
    """

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command)
        own = [
            each.replace(kind=each.KEYWORD_ONLY)
            for each in signature.parameters.values()
            if each.kind != each.VAR_KEYWORD
        ]
        command.__signature__ = signature.replace(  # type: ignore[attr-defined]  # Typer reads it
            parameters=sorted([*own, *_parameters(spec, preset)], key=_theme)
        )
        return command

    return decorate


def _parameters(spec: type, preset: Collection[str]) -> Iterator[inspect.Parameter]:
    fields = {field.name: field for field in dataclasses.fields(spec)}
    for name, (kind, option) in options_of_fields(spec).items():
        default = fields[name].default
        has_default = name not in preset and default is not dataclasses.MISSING
        if option.parser is not None:
            kind = str  # Typer knows no unions; the parser makes the value
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default if has_default else None,
            annotation=Annotated[kind | None, option],
        )


def _theme(parameter: inspect.Parameter) -> int:
    option = option_of(parameter.annotation)[1]
    theme = None if option is None else option.rich_help_panel
    return THEMES.index(theme) if theme in THEMES else -1
