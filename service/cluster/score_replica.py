"""
A replica that scores: it owns a device, and a backend for the clips that decode replicas send.

The rule: it counts as started once it holds what the store has, verified and warmed up, and scores
with exactly the version that it is asked for, whatever was published since.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import Metric
from ray import serve

from model_store.store import Store
from service.cluster.replica_metrics import of_this_replica
from service.errors import EngineDead
from service.logs import configure_logging
from service.metrics import Metrics
from service.scoring.backend import Clip, TimedScore
from service.scoring.checkpoints import LoadedCheckpoint, LoadedCheckpoints
from service.scoring.lifecycle import CheckpointLoader
from service.scoring.local_backend import LocalBackend
from service.settings import Settings

_JOIN_S = 0.005  # how long a clip waits for others before the batcher gets it


@dataclass(slots=True, eq=False)
class _Waiting:
    loaded: LoadedCheckpoint
    clip: Clip  # (T, H, W, 3)
    client: str
    scoring: asyncio.Task[TimedScore] | None = None


def count_fragments(waiting: Sequence[_Waiting]) -> int:
    return sum(each.loaded.spec.fragments for each in waiting)


class ScoreReplica:
    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]  # Ray awaits it
        configure_logging(settings.log_level)
        self._settings = settings
        store = Store(settings.store)
        self._metrics = Metrics()
        self._backend = LocalBackend(settings, store, metrics=self._metrics)
        self._backend.start()
        self._metrics.ready.set_function(lambda: self._backend.alive)
        self._loader = CheckpointLoader(store, settings, self._backend, self._metrics)
        self._loading = asyncio.Lock()
        self._previous = LoadedCheckpoints()
        self._loaded = await self._loader.load(self._previous)
        self._limit_batches()

    async def score(self, reference: str, clip: Clip, client: str) -> TimedScore:
        """Raises EngineError, EngineDead, and what loading raises."""
        waiting = _Waiting(await self._find(reference), clip, client)
        try:
            outcome = await self._join(waiting)
        except asyncio.CancelledError:
            if waiting.scoring is not None:
                waiting.scoring.cancel()
            raise
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def load(self, reference: str) -> LoadedCheckpoint:
        """Have a version ready; return what a decode replica must know: all but the network."""
        loaded = await self._find(reference)
        return LoadedCheckpoint(
            card=loaded.card,
            sha256=loaded.sha256,
            engine=loaded.engine,
            golden_error=loaded.golden_error,
        )

    async def prepare(self) -> None:
        """Load what the store holds now; what it held before stays.   Raises ReloadRefused."""
        async with self._loading:
            fresh = await self._loader.reload(self._loaded)
            self._previous, self._loaded = self._loaded, fresh
            self._limit_batches()

    def metrics(self) -> list[Metric]:
        return of_this_replica(self._metrics.registry)

    def check_health(self) -> None:
        if not self._backend.alive:
            raise EngineDead("the engine has failed")

    # Serve's batches count fragments, but are formed by time alone: under load they are small and
    # many. The batcher joins what waits for the same network, and parts a bad clip from the rest.
    @serve.batch(
        batch_wait_timeout_s=_JOIN_S, max_concurrent_batches=64, batch_size_fn=count_fragments
    )
    async def _join(self, waiting: list[_Waiting]) -> list[TimedScore | BaseException]:
        tasks = []
        for each in waiting:
            each.scoring = asyncio.create_task(
                self._backend.score(each.loaded, each.clip, each.client)
            )
            tasks.append(each.scoring)
        return await asyncio.gather(*tasks, return_exceptions=True)

    def _limit_batches(self) -> None:
        largest = max(each.spec.fragments for each in self._loaded.all())
        most = self._settings.batch_clips * largest
        self._join.set_max_batch_size(most)  # type: ignore[attr-defined]  # the decorator adds it

    async def _find(self, reference: str) -> LoadedCheckpoint:
        """Loaded now if it is a version that only the store and the caller know."""
        if (known := self._known(reference)) is not None:
            return known
        async with self._loading:
            if (known := self._known(reference)) is None:
                known = await self._backend.load(reference)
                self._loaded.add(known)
                self._limit_batches()
        return known

    def _known(self, reference: str) -> LoadedCheckpoint | None:
        everything = (*self._loaded.all(), *self._previous.all())
        return next((each for each in everything if each.reference == reference), None)
