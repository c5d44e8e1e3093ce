"""The same decode and network calls in bare processes, one a CPU: no server, no queue of ours."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.machine import usable_cpus
from tests.bench.peers.scoring import Scoring

_scoring: Scoring


@dataclass(frozen=True, slots=True)
class BareProcesses:
    pool: ProcessPoolExecutor

    def score_all(self, clips: Sequence[bytes]) -> None:
        for _ in self.pool.map(_score, clips):
            pass


@contextmanager
def bare_processes(cache: Path) -> Iterator[BareProcesses]:
    """Each with an engine of its own, on one thread."""
    with ProcessPoolExecutor(
        usable_cpus(),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(cache,),
    ) as pool:
        yield BareProcesses(pool)


def _start(cache: Path) -> None:
    global _scoring  # a process of a pool has no other place
    _scoring = Scoring(cache, threads=1)


def _score(clip: bytes) -> float:
    return _scoring.score([_scoring.decode(clip)])[0].score
