"""From the command to the first 200 of /readyz, with both shipped checkpoints."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.measure import Ratio, interleaved
from tests.bench.results import Row, at_most, timed
from tests.bench.servers import service

PEER = "python -c 'import torch'"


def run(bench: Bench) -> None:
    def start(folder: Path) -> Callable[[], None]:
        running = ExitStack()
        running.enter_context(service(folder, checkpoints="diving,vault"))
        return running.close

    def import_torch() -> None:
        subprocess.run([sys.executable, "-c", "import torch"], check=True)

    timings = bench.compare(
        "start", {"ours": lambda: start(bench.folder), PEER: import_torch}, budget_s=45, fewest=3
    )
    ours, peer = timings["ours"], timings[PEER]
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
    ]  # fmt: skip
