"""
`python -m tests.bench.gpu_service`: waiting times through the service on a GPU, as a table.

The shipped diving checkpoint, real requests over loopback, 16 decode workers: for each number of
clients clips a second, the median and the 99th percentile of the waiting time, and memory. Lines
are written as they come. `--engine torch --rehearse` runs it on a CPU with few requests.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from tests.bench.dives import dives
from tests.bench.load import Endpoint, score_all
from tests.bench.servers import Process, room_for, service

FOLDER = Path("data/bench").absolute()
DEMO = Path(__file__).parents[2] / "service/web/demo/dive.mp4"
CLIENTS, SECONDS, DECODE_WORKERS = (1, 4, 16, 64), 12.0, 16


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu_service")
    parser.add_argument("--engine", default="cuda", choices=("cuda", "torch", "openvino"))
    parser.add_argument("--page", type=Path, required=True, metavar="FILE")
    parser.add_argument("--rehearse", action="store_true", help="few requests")
    options = parser.parse_args()
    clips = [DEMO.read_bytes()] if options.rehearse else dives(FOLDER)
    seconds, clients = (1.0, (1, max(CLIENTS))) if options.rehearse else (SECONDS, CLIENTS)
    workers = 1 if options.rehearse else DECODE_WORKERS
    chip = torch.cuda.get_device_name() if torch.cuda.is_available() else "a CPU"
    with tempfile.TemporaryDirectory() as folder, options.page.open("w") as page:

        def write(line: str) -> None:
            print(line, file=page, flush=True)
            print(line, flush=True)

        write(f"\n{chip}, diving, {workers} decode workers\n")
        write("| clients | clips/s | median, ms | 99 %, ms | service, MB | GPU, MB |")
        write("|---|---|---|---|---|---|")
        settings = {"engine": options.engine, "decode_workers": workers, "batch_clips": 32}
        before = gpu_memory_mb()
        with service(Path(folder), **settings, **room_for(max(clients))) as process:
            endpoint = Endpoint(f"{process.url}/score")
            score_all(endpoint, clips, min(16, len(clips)))
            for count in clients:
                waited, spent = waits(endpoint, clips, count, seconds)
                median, most = np.percentile(waited, (50, 99)) * 1e3
                write(
                    f"| {count} | {len(waited) / spent:.1f} | {median:.0f} | {most:.0f}"
                    f" | {memory(process)} | {gpu_memory_mb() - before:.0f} |"
                )
    return 0


def waits(
    endpoint: Endpoint, clips: Sequence[bytes], clients: int, seconds: float
) -> tuple[list[float], float]:
    """Of every request that so many clients make one after the other, s; and how long it took."""
    began = time.monotonic()
    number, lock = 0, threading.Lock()

    def client() -> list[float]:
        nonlocal number
        waited: list[float] = []
        connection = endpoint.connect()
        while time.monotonic() - began < seconds or not waited:
            with lock:
                clip = clips[number % len(clips)]
                number += 1
            asked = time.monotonic()
            endpoint.score(connection, clip)
            waited.append(time.monotonic() - asked)
        connection.close()
        return waited

    with ThreadPoolExecutor(clients) as pool:
        each = [pool.submit(client) for _ in range(clients)]
        return [wait for one in each for wait in one.result()], time.monotonic() - began


def memory(process: Process) -> str:
    """Of the service's processes, MB; empty where the kernel does not say."""
    try:
        return f"{process.memory_mb():.0f}"
    except OSError:
        return ""


def gpu_memory_mb() -> float:
    """What all processes have of the GPU, as its driver has it; 0 without one."""
    if not torch.cuda.is_available():
        return 0.0
    free, total = torch.cuda.mem_get_info()
    return (total - free) / 1e6


if __name__ == "__main__":
    sys.exit(main())
