"""
The command `fragment-scorer`: one name for what three packages do.

    fragment-scorer serve | score | checkpoints | simulate | train | …

It knows the name of each command and of the module that has it, and imports that module only when
its command is called: the list of commands appears at once, and no folder in which somebody works
can put a module of its own in the place of ours, as it can with `python -m`.
"""

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import NamedTuple

PROGRAM = "fragment-scorer"
BAD_COMMAND = 2


class Command(NamedTuple):
    module: str
    """With `run(arguments, program)`; what it returns is the exit code."""
    is_group: bool
    """Whether the module's own commands stand below this one."""
    does: str


COMMANDS = {
    "serve": Command("service.__main__", True, "serve scores over HTTP, and the page for people"),
    "score": Command("model_store.__main__", False, "score clips without a service"),
    "features": Command("model_store.__main__", False, "write what a checkpoint sees in clips"),
    "panel": Command("model_store.__main__", False, "check the judges of a meet"),
    "checkpoints": Command("model_store.__main__", True, "list, show, verify, choose checkpoints"),
    "simulate": Command("training.__main__", False, "make clips of a simulated athlete"),
    "foreign": Command("training.__main__", False, "make clips that no checkpoint should know"),
    "datasets": Command("training.__main__", False, "check judged clips before they are used"),
    "import-c3d": Command("training.__main__", False, "turn published C3D weights into ours"),
    "pretrain": Command("training.__main__", False, "train one extractor before any score"),
    "train": Command("training.__main__", False, "train a network on judged clips"),
    "evaluate": Command("training.__main__", False, "measure a checkpoint on judged clips"),
    "compare": Command("training.__main__", False, "two checkpoints on the same judged clips"),
    "calibrate": Command("training.__main__", False, "fit a checkpoint's intervals to your clips"),
    "publish": Command("training.__main__", False, "make a run a checkpoint of the store"),
    "baseline": Command("training.__main__", False, "the methods that the paper compares with"),
    "report": Command("training.__main__", False, "the tables and figures of the paper"),
    "find": Command("training.__main__", False, "measure how well routines are found"),
    "fit-finder": Command("training.__main__", False, "train what finds them in a recording"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of what was asked for."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if not given:
        print(usage(), file=sys.stderr)
        return BAD_COMMAND
    name, *rest = given
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name == "--version":
        print(f"{PROGRAM} {metadata.version(PROGRAM)}")
        return 0
    if (command := COMMANDS.get(name)) is None:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        guess = f"; did you mean {near[0]}?" if near else f"; {PROGRAM} --help lists them"
        print(f"error: there is no command {name}{guess}", file=sys.stderr)
        return BAD_COMMAND
    run = import_module(command.module).run
    code: int = run(rest, f"{PROGRAM} {name}") if command.is_group else run([name, *rest], PROGRAM)
    return code


def usage() -> str:
    """All commands, a line each."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:{width}}{command.does}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND …   ({PROGRAM} COMMAND --help tells its options)",
            "",
            "A second opinion on a judged routine, from its video.",
            "",
            *lines,
            "",
            f"{PROGRAM} --version names the version.",
        ]
    )
