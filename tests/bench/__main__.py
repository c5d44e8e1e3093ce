"""`python -m tests.bench`: measure what is listed, and report whether the targets are met."""

import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.bench import history, report
from tests.bench.bench import Bench

STAGES = (
    "decode", "network", "contributions", "growth", "request", "throughput", "latency", "overload",
    "start", "training_step",
)  # fmt: skip
HERE = Path(__file__).parent
WIDE = 170  # characters, where the output is not a terminal


def stage(name: str) -> Callable[[Bench], None]:
    measure: Callable[[Bench], None] = import_module(f"tests.bench.{name}").run
    return measure


def bench(
    only: Annotated[
        list[str] | None, typer.Option(help="A stage; may be given several times.")
    ] = None,
    list_stages: Annotated[bool, typer.Option("--list", help="Name the stages and end.")] = False,
    quick: Annotated[bool, typer.Option(help="Rougher, to try things out.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for bench.json.")] = Path("data/bench"),
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Also put the table into tests/bench/README.md, and history.csv."
        ),
    ] = False,
) -> None:
    """Measure every stage against its peers, side by side.

    Exit codes: 0 all targets are met, 1 one is missed or a stage broke, 2 the command is wrong,
    3 none is missed but a peer could not be measured.
    """
    if list_stages:
        typer.echo("\n".join(STAGES))
        return
    if unknown := set(only or ()) - set(STAGES):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: need one of {', '.join(STAGES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers are ended on the way out
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    about = report.machine()
    with console.status("") as status:
        measured = Bench(
            folder=Path("data/bench").absolute(),
            quick=quick,
            progress=status.update,
            finding=lambda found: console.print(found, style="dim", highlight=False),
        )
        for name in STAGES:
            if only and name not in only:
                continue
            try:
                stage(name)(measured)
            except Exception:  # whatever it is, the other stages are worth having
                console.print_exception(max_frames=5)
                measured.results.broken.append(name)
            except SystemExit:  # SIGTERM: report what is known
                measured.results.broken.append(name)
                break
            console.print(f"{name}: done")
    results = measured.results
    console.print(report.table(results))
    for name, configuration in results.peers.items():
        console.print(f"{name}: {configuration}", style="dim", highlight=False)
    out.mkdir(parents=True, exist_ok=True)
    (out / "bench.json").write_text(report.to_json(results, about))
    now = datetime.now(UTC).isoformat(timespec="minutes")  # two runs a day are two
    found = history.entries_of(results, about, now)
    met_before = history.met_before(history.read(), found)
    for line in met_before:
        console.print(f"missed, but {line}", highlight=False)
    if write:
        report.write_markdown(HERE / "README.md", results, about, met_before)
        history.append(found)
    console.print(f"{report.summary(results)}; {out / 'bench.json'}")
    raise typer.Exit(results.exit_code)


if __name__ == "__main__":
    typer.run(bench)
