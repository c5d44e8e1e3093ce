"""
`python -m training simulate | foreign | datasets | import-c3d | pretrain | train | evaluate |
calibrate | publish | baseline | report`.
"""

import typer

from training.commands.baseline import baseline
from training.commands.calibrate import calibrate
from training.commands.datasets import datasets
from training.commands.evaluate import evaluate
from training.commands.foreign import foreign
from training.commands.import_c3d import import_c3d
from training.commands.pretrain import pretrain
from training.commands.publish import publish
from training.commands.report import report
from training.commands.train import train
from training.simulator.command import simulate

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Simulate, train, evaluate, calibrate, publish and report.\n\n"
    "Exit codes: 0 all well, 2 what was asked for cannot be done.",
)
COMMANDS = (
    simulate, foreign, import_c3d, pretrain, train, evaluate, calibrate, publish, baseline, report,
)  # fmt: skip
for command in COMMANDS:
    app.command()(command)
app.add_typer(datasets, name="datasets")


if __name__ == "__main__":
    app(prog_name="python -m training")
