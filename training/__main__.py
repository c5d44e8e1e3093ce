"""`python -m training simulate | foreign | pretrain | train | evaluate | calibrate | publish |
report`."""

import typer

from training.commands.calibrate import calibrate
from training.commands.evaluate import evaluate
from training.commands.foreign import foreign
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
for command in (simulate, foreign, pretrain, train, evaluate, calibrate, publish, report):
    app.command()(command)


if __name__ == "__main__":
    app(prog_name="python -m training")
