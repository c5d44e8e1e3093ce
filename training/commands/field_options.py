"""
Options of a command from the fields of a dataclass: a field says once how it is asked for.

The rule: a field is an option if its type says so, `Annotated[int, typer.Option(help="…")]`; its
name, type, default, limits and help are the field's, and stand nowhere else.
"""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Iterator
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from typer.models import OptionInfo

from training.option_groups import THEMES

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
    kinds = get_type_hints(spec, include_extras=True)
    for field in dataclasses.fields(spec):
        kind, option = _kind_and_option(kinds[field.name])
        if option is None:
            continue
        has_default = field.name not in preset and field.default is not dataclasses.MISSING
        if option.parser is not None:
            kind = str  # Typer knows no unions; the parser makes the value
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default if has_default else None,
            annotation=Annotated[kind | None, option],
        )


def _kind_and_option(annotation: Any) -> tuple[Any, OptionInfo | None]:
    """`Annotated[int, typer.Option(…)]` -> int and the option, or None."""
    if get_origin(annotation) is not Annotated:
        return annotation, None
    kind, *extras = get_args(annotation)
    return kind, next((each for each in extras if isinstance(each, OptionInfo)), None)


def _theme(parameter: inspect.Parameter) -> int:
    option = _kind_and_option(parameter.annotation)[1]
    theme = None if option is None else option.rich_help_panel
    return THEMES.index(theme) if theme in THEMES else -1
