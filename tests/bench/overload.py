"""Twice as many requests as can be answered: who answers how many in time, and how late."""

import statistics
from collections.abc import Callable

from service.machine import usable_cpus
from tests.bench.bench import Bench
from tests.bench.dives import dives
from tests.bench.load import Answer, Endpoint, arrivals, score_all
from tests.bench.measure import Ratio, Timings, interleaved
from tests.bench.results import Row, at_least, at_most, why_absent
from tests.bench.servers import running, service
from tests.bench.throughput import LITSERVE, described

DEADLINE_S = 8.0
QUEUE_SHARE = 0.3  # of the deadline that our queue may take: what else would a queue be for?
SECONDS = 60.0  # the first seconds of an overload are easy: nobody waits yet


def run(bench: Bench) -> None:
    """Both know the deadline. Ours bounds its queue; LitServe cannot, it drops what is too old."""
    clips = dives(bench.folder)
    fragments = 9
    options = {"cache": str(bench.folder / "cache"), "timeout": DEADLINE_S, "workers": 2,
               "threads": max(1, usable_cpus() // 2), "batch": 1}  # fmt: skip
    bench.results.peers["overload, LitServe"] = described("LitServe", options)
    bench.progress("overload: measuring the capacity")
    with service(bench.folder) as process:
        endpoint = Endpoint(f"{process.url}/score")
        capacity = capacity_of(endpoint, clips)
    rate = 2 * capacity
    queue = max(4, round(QUEUE_SHARE * DEADLINE_S * capacity))
    bench.results.peers["overload, ours"] = (
        f"deadline {DEADLINE_S:g} s, queue of {queue} clips; capacity {capacity:.1f} clips/s"
    )
    seconds = SECONDS / 4 if bench.quick else SECONDS
    answers: dict[str, list[list[Answer]]] = {"ours": [], "LitServe": []}

    def flood(name: str, endpoint: Endpoint) -> Callable[[], None]:
        def go() -> None:
            bench.progress(f"overload: {name}")
            due = [number / rate for number in range(int(rate * seconds))]
            answers[name].append(arrivals(endpoint, clips, due=due))

        return go

    settings = {"deadline_s": DEADLINE_S, "queue_fragments": queue * fragments}
    with service(bench.folder, **settings) as ours:
        try:
            with running(
                LITSERVE, bench.folder / "logs", ready="/health", arguments=options
            ) as theirs:
                interleaved(
                    {
                        "ours": flood("ours", Endpoint(f"{ours.url}/score")),
                        "LitServe": flood("LitServe", Endpoint(f"{theirs.url}/predict")),
                    },
                    budget_s=0,
                    fewest=2,
                    warm_ups=0,
                )
        except RuntimeError as error:
            bench.results.rows += _absent(why_absent(error))
            return
    bench.results.rows += _rows(answers, seconds)


def capacity_of(endpoint: Endpoint, clips: list[bytes]) -> float:
    """Clips a second, with eight clients; warms the server up."""
    score_all(endpoint, clips[:16], 8)
    timings = interleaved({"": lambda: score_all(endpoint, clips, 8)}, budget_s=0, fewest=2)
    return len(clips) / timings[""].median


def in_time(answers: list[Answer]) -> list[float]:
    """Seconds of the answers that came within the deadline."""
    return [a.seconds for a in answers if a.status == 200 and a.seconds <= DEADLINE_S]


def p95(seconds: list[float]) -> float:
    if len(seconds) < 2:
        return seconds[0] if seconds else DEADLINE_S
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1]


CASES = (("in time", "clips/s", at_least(2.0)), ("p95 of those in time", "s", at_most(0.5)))


def _rows(answers: dict[str, list[list[Answer]]], seconds: float) -> list[Row]:
    goodput = {
        name: Timings(tuple(max(1, len(in_time(each))) / seconds for each in runs))
        for name, runs in answers.items()
    }
    late = {
        name: Timings(tuple(p95(in_time(each)) for each in runs)) for name, runs in answers.items()
    }
    return [
        Row(
            stage="overload", case=f"twice capacity, {case}", peer="LitServe", unit=unit,
            ours=values["ours"].median, theirs=values["LitServe"].median,
            ratio=Ratio.of(values["ours"], values["LitServe"]), target=target,
        )
        for (case, unit, target), values in zip(CASES, (goodput, late), strict=True)
    ]  # fmt: skip


def _absent(reason: str) -> list[Row]:
    return [
        Row(stage="overload", case=f"twice capacity, {case}", peer="LitServe", unit=unit,
            target=target, absent=reason)
        for case, unit, target in CASES
    ]  # fmt: skip
