"""How long an answer takes while requests arrive at random, below the capacity."""

import random
from itertools import accumulate

from tests.bench.bench import Bench
from tests.bench.dives import dives
from tests.bench.load import Answer, Endpoint, arrivals
from tests.bench.measure import Ratio, Timings
from tests.bench.overload import capacity_of, p95
from tests.bench.results import Row, at_most, why_absent
from tests.bench.servers import Process, running, service
from tests.bench.throughput import PATIENT, Peer, alone, alongside, described

PEERS = ("LitServe", "Ray Serve")
LOADS = (0.3, 0.6, 0.85)  # of our capacity
SECONDS = 15.0  # of arrivals, for each load and server
ROUNDS = 2
TIMEOUT_S = 120.0  # of a peer: a request that got no score counts as one that waited so long
TARGET = at_most(0.7)
Late = dict[float, tuple[Timings, Timings]]
"""By load: the 95th percentiles of ours and of a peer, in the same rounds."""


def run(bench: Bench) -> None:
    """Poisson arrivals, the same moments for both. Of a peer's variants the best counts."""
    clips = dives(bench.folder)
    best: dict[str, Late] = {peer: {} for peer in PEERS}
    absent: dict[str, str] = {}
    with service(bench.folder) as process:
        ours = Endpoint(f"{process.url}/score")
        bench.progress("latency: measuring the capacity")
        capacity = capacity_of(ours, clips)
        bench.results.peers["latency, ours"] = f"capacity {capacity:.1f} clips/s"
        for peer in [*alongside(bench.folder), *alone(bench.folder)]:
            name = peer.name.partition(",")[0]
            if name not in PEERS:
                continue
            bench.results.peers[f"latency, {peer.name}"] = described(peer.name, peer.arguments)
            try:
                late = _beside(bench, ours, peer, clips, capacity)
            except RuntimeError as error:
                absent[name] = why_absent(error)
                continue
            for load, found in late.items():
                if load not in best[name] or found[1].median < best[name][load][1].median:
                    best[name][load] = found
    bench.results.rows += [
        _row(peer, load, best[peer].get(load), absent.get(peer)) for peer in PEERS for load in LOADS
    ]


def _beside(bench: Bench, ours: Endpoint, peer: Peer, clips: list[bytes], capacity: float) -> Late:
    """Ours and one peer, one after the other.   Raises RuntimeError if it does not come up."""
    bench.progress(f"latency: starting {peer.name}")
    with running(
        peer.module, bench.folder / "logs", ready=peer.ready, arguments=peer.arguments,
        environment=PATIENT,
    ) as process:  # fmt: skip
        capacity_of(Endpoint(process.url + peer.path), clips[:16])  # warms it up
        late = {load: _at(bench, load * capacity, ours, peer, process, clips) for load in LOADS}
    for load, (of_ours, of_theirs) in late.items():
        bench.finding(
            f"latency at {load:g}, p95, s: ours {of_ours.median:.2f},"
            f" {peer.name} {of_theirs.median:.2f}"
        )
    return late


def _at(
    bench: Bench, rate: float, ours: Endpoint, peer: Peer, process: Process, clips: list[bytes]
) -> tuple[Timings, Timings]:
    """A peer that can be paused is paused in our turn: some poll when they have nothing to do."""
    theirs = Endpoint(process.url + peer.path)
    found: dict[Endpoint, list[float]] = {ours: [], theirs: []}
    for number in range(ROUNDS):
        due = poisson(rate, SECONDS / 5 if bench.quick else SECONDS, seed=number)
        for endpoint in (ours, theirs) if number % 2 else (theirs, ours):
            bench.progress(f"latency: {rate:.1f} requests a second to {endpoint.url}")
            if endpoint is ours and peer.can_pause:
                process.pause()
            found[endpoint].append(p95(waits(arrivals(endpoint, clips, due=due))))
            process.resume()
    return Timings(tuple(found[ours])), Timings(tuple(found[theirs]))


def poisson(rate: float, seconds: float, *, seed: int) -> list[float]:
    """Moments, in seconds from the beginning, of requests that know nothing of one another."""
    gaps = random.Random(seed)
    count = max(2, round(rate * seconds))
    return list(accumulate(gaps.expovariate(rate) for _ in range(count)))


def waits(answers: list[Answer]) -> list[float]:
    return [each.seconds if each.status == 200 else TIMEOUT_S for each in answers]


def _row(peer: str, load: float, found: tuple[Timings, Timings] | None, absent: str | None) -> Row:
    case = f"p95 at {load:g} of capacity"
    if found is None:
        return Row(
            stage="latency", case=case, peer=peer, unit="ms", target=TARGET,
            absent=absent or "not measured",
        )  # fmt: skip
    ours, theirs = found
    return Row(
        stage="latency", case=case, peer=peer, unit="ms", ours=1e3 * ours.median,
        theirs=1e3 * theirs.median, ratio=Ratio.of(ours, theirs), target=TARGET,
    )  # fmt: skip
