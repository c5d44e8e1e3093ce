"""From the command to the first 200 of /readyz, with both shipped checkpoints; memory then."""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.measure import Ratio, interleaved
from tests.bench.results import Row, at_most, timed
from tests.bench.servers import proportional_mb, service

PEER = "python -c 'import torch'"


def run(bench: Bench) -> None:
    memory: list[float] = []

    def start(folder: Path) -> Callable[[], None]:
        running = ExitStack()
        process = running.enter_context(service(folder, checkpoints="diving,vault"))

        def finish() -> None:
            memory.append(process.memory_mb())
            running.close()

        return finish

    def import_torch() -> None:
        subprocess.run([sys.executable, "-c", "import torch"], check=True)

    timings = bench.compare(
        "start", {"ours": lambda: start(bench.folder), PEER: import_torch}, budget_s=45, fewest=3
    )
    ours, peer = timings["ours"], timings[PEER]
    idle_mb, torch_mb = statistics.median(memory[1:]), memory_of_torch()
    bench.progress("start: cold")
    with tempfile.TemporaryDirectory() as empty:
        cold = interleaved({"cold": lambda: start(Path(empty))}, budget_s=0, fewest=1, warm_ups=0)[
            "cold"
        ]
    bench.results.rows += [
        timed("start", "to ready, converted form cached", PEER, ours, peer, at_most(1.5)),
        Row(stage="start", case="to ready, nothing cached", peer=PEER, unit="ms",
            ours=1e3 * cold.median, theirs=1e3 * peer.median,
            ratio=Ratio.single(cold.median / peer.median)),
        Row(stage="start", case="memory when idle, decoders included", peer=PEER, unit="MB",
            ours=idle_mb, theirs=torch_mb, ratio=Ratio.single(idle_mb / torch_mb),
            target=at_most(2.4)),
    ]  # fmt: skip


def memory_of_torch() -> float:
    with subprocess.Popen(
        [sys.executable, "-c", "import sys, torch; print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        memory = proportional_mb(process.pid)
        process.stdin.close()
    return memory
