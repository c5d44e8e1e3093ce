"""
Clips a second with 16 clients: our server, bare processes, and other servers with our decoder
and engine.

Each in turn is given the same distinct clips; meanwhile the others are paused. Ray cannot be (its
processes watch one another), so it is started when its turn comes, and ours takes turns with it.
"""

import contextlib
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from service.machine import usable_cpus
from tests.bench import growth
from tests.bench.bench import Bench
from tests.bench.dives import dives
from tests.bench.load import Endpoint, score_all
from tests.bench.measure import Contender, Ratio, Timings
from tests.bench.peers.bare import bare_processes
from tests.bench.results import Row, at_least, why_absent
from tests.bench.servers import Process, running, service

CLIENTS = 16
GROWING = (1, 2, 4, 8, 16, 32)  # clients
LITSERVE, RAY = "tests.bench.peers.litserve_server", "tests.bench.peers.ray_server"
FASTAPI = "tests.bench.peers.fastapi_server"
Scores = dict[str, tuple[Timings, Timings]]
"""By peer: what we took, and what it took, in the same rounds."""


PATIENT = {"RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60"}  # five seconds are few on two CPUs


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    module: str
    arguments: dict[str, Any]
    ready: str
    path: str
    can_pause: bool = True


BOUNDS = {"bare processes": 0.95, "LitServe": 1.0, "Ray Serve": 1.05, "plain FastAPI": 2.5}


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
    bench.progress("throughput: making clips")
    clips = dives(bench.folder)
    if bench.quick:
        clips = clips[:CLIENTS]
    scores: Scores = {}
    absent: dict[str, str] = {}
    with service(bench.folder) as ours:
        with bare_processes(bench.folder / "cache") as bare, contextlib.ExitStack() as stack:
            contenders = {
                "ours": _scoring(ours, "/score", clips),
                "bare processes": lambda: bare.score_all(clips),
            }
            for peer in alongside(bench.folder):
                _add(bench, stack, peer, contenders, absent, clips)
            _compare(bench, contenders, scores, budget_s=100)
        for peer in alone(bench.folder):
            with contextlib.ExitStack() as stack:
                contenders = {"ours": _scoring(ours, "/score", clips)}
                if _add(bench, stack, peer, contenders, absent, clips):
                    _compare(bench, contenders, scores, budget_s=30)
        bench.results.rows += [
            _row(peer, bound, scores, absent, len(clips)) for peer, bound in BOUNDS.items()
        ]
        ours.resume()
        _growing(bench, ours, clips)


def alongside(folder: Path) -> list[Peer]:
    """Those that can be paused while others are measured."""
    lit = [
        Peer(f"LitServe, {variant}", LITSERVE, arguments, "/health", "/predict")
        for variant, arguments in litserve_variants(folder, 120.0).items()
    ]
    options = {"cache": str(folder / "cache"), "threads": usable_cpus()}
    return [*lit, Peer("plain FastAPI", FASTAPI, options, "/health", "/score")]


def alone(folder: Path) -> list[Peer]:
    return [
        Peer(f"Ray Serve, {variant}", RAY, arguments, "/-/healthz", "/score", can_pause=False)
        for variant, arguments in ray_variants(folder).items()
    ]


def _add(
    bench: Bench,
    stack: contextlib.ExitStack,
    peer: Peer,
    contenders: dict[str, Contender],
    absent: dict[str, str],
    clips: list[bytes],
) -> bool:
    """Start a peer, if it can be, and have it score a clip for each client at once."""
    bench.results.peers[f"throughput, {peer.name}"] = described(peer.name, peer.arguments)
    bench.progress(f"throughput: starting {peer.name}")
    try:
        server = stack.enter_context(
            running(
                peer.module,
                bench.folder / "logs",
                ready=peer.ready,
                arguments=peer.arguments,
                environment=PATIENT,
            )
        )
        score_all(Endpoint(server.url + peer.path), clips[:CLIENTS], CLIENTS)
    except RuntimeError as error:
        absent[peer.name.partition(",")[0]] = why_absent(error)
        return False
    contenders[peer.name] = _scoring(server, peer.path, clips, can_pause=peer.can_pause)
    return True


def _scoring(
    server: Process, path: str, clips: list[bytes], *, can_pause: bool = True
) -> Contender:
    """All clips, by a server that is paused before and after."""
    if can_pause:
        server.pause()

    def go() -> None:
        server.resume()
        score_all(Endpoint(server.url + path), clips, CLIENTS)
        if can_pause:
            server.pause()

    return go


def _compare(
    bench: Bench, contenders: dict[str, Contender], scores: Scores, *, budget_s: float
) -> None:
    timings = bench.compare("throughput", contenders, budget_s=budget_s, fewest=3)
    for name, taken in timings.items():
        if name != "ours":
            scores[name] = (timings["ours"], taken)


def described(peer: str, arguments: dict[str, Any]) -> str:
    package = {"LitServe": "litserve", "Ray Serve": "ray", "plain FastAPI": "fastapi"}[
        peer.partition(",")[0]
    ]
    try:
        found = version(package)
    except PackageNotFoundError:
        return f"{package} is not installed"
    options = ", ".join(f"{name} {value}" for name, value in arguments.items() if name != "cache")
    return f"{package} {found}: {options}"


def _row(peer: str, bound: float, scores: Scores, absent: dict[str, str], clips: int) -> Row:
    """Against the best variant of a peer; rates, so times the other way round."""
    variants = {name: pair for name, pair in scores.items() if name.startswith(peer)}
    case = f"{CLIENTS} clients, dives of 320×240"
    if not variants:
        return Row(
            stage="throughput",
            case=case,
            peer=peer,
            unit="clips/s",
            target=at_least(bound),
            absent=absent.get(peer, "not measured"),
        )
    name, (ours, best) = min(
        variants.items(), key=lambda item: item[1][1].median / item[1][0].median
    )
    return Row(
        stage="throughput",
        case=case,
        peer=name,
        unit="clips/s",
        ours=clips / ours.median,
        theirs=clips / best.median,
        ratio=Ratio.of(best, ours),
        target=at_least(bound),
    )


def _growing(bench: Bench, server: Process, clips: list[bytes]) -> None:
    """Cost as clients grow."""
    endpoint = Endpoint(f"{server.url}/score")
    timings = bench.compare(
        "growth: clients",
        {str(n): partial(score_all, endpoint, clips[: max(n, 16)], n) for n in GROWING},
        budget_s=30,
        fewest=3,
    )
    work = {n: max(n, 16) / n for n in GROWING}  # clips a client
    growth.worst_row(
        bench,
        "clients at a time",
        {n: Timings(tuple(s / work[n] for s in timings[str(n)].seconds)) for n in GROWING},
    )
