"""
`python -m training simulate | foreign | datasets | import-c3d | pretrain | train | evaluate |
compare | calibrate | publish | baseline | report | fit-finder | find`.

The rule: without the extra [training] every command but `simulate` is one line that names it.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import NoReturn

import typer
from rich.console import Console

from training.simulator.command import simulate

NEEDED = (
    "PIL",
    "matplotlib",
    "scipy",
    "sklearn",
    "tensorboard",
)  # of the extra, as they are imported
OTHERS = (
    "foreign", "import-c3d", "pretrain", "train", "evaluate", "compare", "calibrate", "publish",
    "baseline", "report", "datasets", "fit-finder", "find",
)  # fmt: skip
ANYTHING = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def missing_modules() -> list[str]:
    found = []
    for name in NEEDED:
        try:
            there = find_spec(name) is not None
        except (ImportError, ValueError):
            there = False
        if not there:
            found.append(name)
    return found


def need_extra() -> NoReturn:
    """Needs the extra, which is not installed."""
    Console(stderr=True).print(
        f"error: {', '.join(missing_modules())} missing, which the extra brings:"
        " pip install 'fragment-scorer[training]' (in a clone: pip install -e '.[training]')",
        markup=False,
        soft_wrap=True,
    )
    raise typer.Exit(2)


def add_commands(app: typer.Typer) -> None:
    from training.commands.baseline import baseline
    from training.commands.calibrate import calibrate
    from training.commands.compare import compare
    from training.commands.datasets import datasets
    from training.commands.evaluate import evaluate
    from training.commands.find import find
    from training.commands.fit_finder import fit_finder
    from training.commands.foreign import foreign
    from training.commands.import_c3d import import_c3d
    from training.commands.pretrain import pretrain
    from training.commands.publish import publish
    from training.commands.report import report
    from training.commands.train import train

    for command in (
        foreign, import_c3d, pretrain, train, evaluate, compare, calibrate, publish, baseline,
        report, fit_finder, find,
    ):  # fmt: skip
        app.command()(command)
    app.add_typer(datasets, name="datasets")


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Simulate, train, evaluate, compare, calibrate, publish and report.\n\n"
    "Exit codes: 0 all well, 2 what was asked for cannot be done.",
)
app.command()(simulate)
if missing_modules():
    for name in OTHERS:
        app.command(name, context_settings=ANYTHING)(need_extra)
else:
    add_commands(app)


def run(arguments: Sequence[str], program: str) -> None:
    """What the command line asks for, under the name that it was called by.   Exits."""
    app(list(arguments), prog_name=program)


if __name__ == "__main__":
    app(prog_name="python -m training")
