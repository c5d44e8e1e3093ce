"""The service on Ray Serve for tests: the real command, `serve run`, on a cluster of two CPUs."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.servers import LiveServer, live_server, wait_until_ready

# `serve run` itself starts as many CPUs as there are, and listens on 8000.
COMMAND = """
import os
import ray
from ray import serve
from ray.serve.scripts import cli
ray.init(num_cpus=2, include_dashboard=False, object_store_memory=200_000_000)
serve.start(http_options={"port": int(os.environ["SCORING_PORT"])})
cli(["run", "service.cluster:app"])
"""
SMALL: dict[str, Any] = {
    "allow_anonymous": True,
    "decode_cpus": 0.25,
    "score_cpus": 0.25,
    "max_decode_replicas": 1,
    "min_score_replicas": 2,
    "max_score_replicas": 2,
    "queue_fragments": 144,
}
ENVIRONMENT = {
    "RAY_worker_niceness": "0",  # else anything that runs beside the tests starves the replicas
    "RAY_AUTH_MODE": "disabled",  # else Ray writes a token into the user's home
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
    "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
}


@dataclass
class Cluster(LiveServer):
    folder: Path

    def metric(self, name: str) -> float:
        """The sum over all replicas."""
        text = httpx.get(f"{self.url}/metrics", timeout=60).text
        bare, _, labels = name.rstrip("}").partition("{")
        series = re.findall(rf"^{bare}\{{(.*)\}} (.*)$", text, re.MULTILINE)
        return sum(float(value) for found, value in series if labels in found)

    def replicas(self, deployment: str) -> set[str]:
        """Those whose metrics are on the page."""
        text = httpx.get(f"{self.url}/metrics", timeout=60).text
        return set(re.findall(rf'score_ready\{{replica="({deployment}#\w+)"\}}', text))

    def pids(self, deployment: str) -> list[int]:
        """Of the processes that are replicas of a deployment."""
        title = f"ray::ServeReplica:default:{deployment}".encode()
        return [pid for pid in self.processes() if command_of(pid).startswith(title)]

    def processes(self) -> list[int]:
        """Everything that Ray started for this cluster."""
        mark = f"RAY_TMPDIR={self.folder}\0".encode()
        pids = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
        return [pid for pid in pids if mark in read(pid, "environ")]


def command_of(pid: int) -> bytes:
    return read(pid, "cmdline")


def read(pid: int, name: str) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""


@contextmanager
def live_cluster(store: Path, folder: Path, **settings: Any) -> Iterator[Cluster]:
    """`folder` must have a short path: Ray puts its sockets there."""
    root = str(Path(__file__).parent.parent)
    with live_server(
        store,
        folder,
        ready=False,
        command=(sys.executable, "-c", COMMAND),
        environment=ENVIRONMENT | {"RAY_TMPDIR": str(folder), "PYTHONPATH": root},
        **SMALL | settings,
    ) as server:
        cluster = Cluster(server.process, server.port, server.log, folder)
        try:
            wait_until_ready(cluster, timeout_s=280)
            yield cluster
        finally:
            server.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.process.wait(timeout=30)
            server.process.kill()
            end(cluster)


def end(cluster: Cluster, timeout_s: float = 20.0) -> None:
    """Whatever Ray has left running."""
    deadline = time.monotonic() + timeout_s
    while (left := cluster.processes()) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
