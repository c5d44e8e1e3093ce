"""
Clips a second with 16 clients: our server, bare processes, and other servers with our decoder
and engine.

All servers that are compared run all the time; each in turn is given the same distinct clips.
"""

import contextlib
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from service.cpus import usable_cpus
from tests.bench import growth
from tests.bench.bench import Bench
from tests.bench.dives import dives
from tests.bench.load import Endpoint, score_all
from tests.bench.measure import Ratio, Timings
from tests.bench.peers.bare import bare_processes
from tests.bench.results import Row, at_least
from tests.bench.servers import Process, running, service

CLIENTS = 16
GROWING = (1, 2, 4, 8, 16, 32)  # clients
LITSERVE, RAY = "tests.bench.peers.litserve_server", "tests.bench.peers.ray_server"
FASTAPI = "tests.bench.peers.fastapi_server"
BOUNDS = {"bare processes": 0.85, "LitServe": 1.05, "Ray Serve": 1.05, "plain FastAPI": 2.5}


def litserve_variants(folder: Path, timeout_s: float) -> dict[str, dict[str, Any]]:
    """One worker with all threads, in batches; or a worker a CPU, with and without batches."""
    cpus, cache = usable_cpus(), str(folder / "cache")
    shared = {"cache": cache, "timeout": timeout_s}
    return {
        "1 worker, batches of 8": shared | {"workers": 1, "threads": cpus, "batch": 8},
        "2 workers": shared | {"workers": 2, "threads": max(1, cpus // 2), "batch": 1},
    }


def ray_variants(folder: Path) -> dict[str, dict[str, Any]]:
    cpus, cache = usable_cpus(), str(folder / "cache")
    return {
        "1 replica": {"cache": cache, "replicas": 1, "threads": cpus},
        "2 replicas": {"cache": cache, "replicas": 2, "threads": max(1, cpus // 2)},
    }


def run(bench: Bench) -> None:
    bench.tell("throughput: making clips")
    clips = dives(bench.folder)
    if bench.quick:
        clips = clips[:CLIENTS]
    with contextlib.ExitStack() as stack:
        bench.tell("throughput: starting servers")
        ours = stack.enter_context(service(bench.folder))
        contenders: dict[str, Callable[[], object]] = {
            "ours": partial(score_all, Endpoint(f"{ours.url}/score"), clips, CLIENTS),
            "bare processes": partial(
                stack.enter_context(bare_processes(bench.folder / "cache")).score_all, clips
            ),
        }
        absent = {}
        for peer, variant, module, arguments, ready, path in (
            *(
                ("LitServe", v, LITSERVE, a, "/health", "/predict")
                for v, a in litserve_variants(bench.folder, 120.0).items()
            ),
            ("plain FastAPI", "one process", FASTAPI, {"threads": usable_cpus()}, "/health",
             "/score"),
            *(
                ("Ray Serve", v, RAY, a, "/-/healthz", "/score")
                for v, a in ray_variants(bench.folder).items()
            ),
        ):  # fmt: skip
            bench.results.peers[f"throughput, {peer}, {variant}"] = described(peer, arguments)
            bench.tell(f"throughput: starting {peer}, {variant}")
            try:
                server = stack.enter_context(
                    running(module, bench.folder / "logs", ready=ready, arguments=arguments)
                )
                endpoint = Endpoint(server.url + path)
                connection = endpoint.connect()
                endpoint.score(connection, clips[0])
                connection.close()
            except RuntimeError as error:
                absent[peer] = str(error)[-300:]
            else:
                contenders[f"{peer}, {variant}"] = partial(score_all, endpoint, clips, CLIENTS)
        timings = bench.compare("throughput", contenders, budget_s=150, fewest=3)
    bench.results.rows += [
        _row(peer, bound, timings, absent, len(clips)) for peer, bound in BOUNDS.items()
    ]
    with service(bench.folder) as ours:  # the others would be in the way
        _own_figures(bench, ours, clips)


def described(peer: str, arguments: dict[str, Any]) -> str:
    package = {"LitServe": "litserve", "Ray Serve": "ray", "plain FastAPI": "fastapi"}[peer]
    try:
        found = version(package)
    except PackageNotFoundError:
        return f"{package} is not installed"
    options = ", ".join(f"{name} {value}" for name, value in arguments.items() if name != "cache")
    return f"{package} {found}: {options}"


def _row(
    peer: str, bound: float, timings: dict[str, Timings], absent: dict[str, str], clips: int
) -> Row:
    """Against the best variant of a peer; rates, so times the other way round."""
    variants = {name: taken for name, taken in timings.items() if name.startswith(peer)}
    ours, target = timings["ours"], at_least(bound)
    case = f"{CLIENTS} clients, dives of 320×240"
    if not variants:
        return Row(stage="throughput", case=case, peer=peer, unit="clips/s",
                   ours=clips / ours.median, target=target, absent=absent.get(peer))  # fmt: skip
    name, best = min(variants.items(), key=lambda item: item[1].median)
    return Row(
        stage="throughput", case=case, peer=name, unit="clips/s", ours=clips / ours.median,
        theirs=clips / best.median, ratio=Ratio.of(best, ours), target=target,
    )  # fmt: skip


def _own_figures(bench: Bench, server: Process, clips: list[bytes]) -> None:
    """Processor time a clip beside decoding and the network, and cost as clients grow."""
    endpoint = Endpoint(f"{server.url}/score")
    score_all(endpoint, clips, CLIENTS)
    before = server.cpu_s()
    score_all(endpoint, clips, CLIENTS)
    spent = (server.cpu_s() - before) / len(clips)
    stages = bench.results.stages
    if {"decode_s", "inference_s"} <= stages.keys():
        stages["overhead_s"] = spent - stages["decode_s"] - stages["inference_s"]
    stages["server_s"] = spent
    timings = bench.compare(
        "growth: clients",
        {str(n): partial(score_all, endpoint, clips[: max(n, 16)], n) for n in GROWING},
        budget_s=30,
        fewest=3,
    )
    work = {n: max(n, 16) / n for n in GROWING}  # clips a client
    growth.record(
        bench,
        "clients at a time",
        {n: Timings(tuple(s / work[n] for s in timings[str(n)].seconds)) for n in GROWING},
    )
