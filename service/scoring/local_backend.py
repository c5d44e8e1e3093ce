"""
The scoring backend in this process: scorers, and a batcher whose thread owns the device.

The rule: a checkpoint is verified, converted for the engine, warmed up and checked against its
golden clip before it scores anything.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from model_store.scorer import Scorer
from model_store.store import Store
from service.metrics import Metrics
from service.scoring.backend import Clip, TimedScore
from service.scoring.batcher import Batcher
from service.scoring.checkpoints import LoadedCheckpoint
from service.settings import Settings

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalCheckpoint(LoadedCheckpoint):
    scorer: Scorer


class LocalBackend:
    """A `ScoringBackend`."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        metrics: Metrics,
        on_done: Callable[[int], None] = lambda fragments: None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._batcher = Batcher(
            max_clips=settings.batch_clips, metrics=metrics, on_done=on_done, on_failure=on_failure
        )
        self._has_gpu = settings.engine in ("auto", "cuda") and torch.cuda.is_available()

    def start(self) -> None:
        if self._has_gpu:
            self._metrics.watch_device_memory(torch.cuda.mem_get_info)
        self._batcher.start()

    def stop(self) -> None:
        self._batcher.stop()

    @property
    def alive(self) -> bool:
        return self._batcher.alive

    async def score(self, loaded: LoadedCheckpoint, clip: Clip) -> TimedScore:
        assert isinstance(loaded, LocalCheckpoint)  # `load` below has made it
        waiting = self._batcher.submit(loaded.scorer, clip, loaded.spec.fragments)
        return await asyncio.wrap_future(waiting)

    async def load(self, reference: str) -> LocalCheckpoint:
        """Verify, convert for the engine, warm up, and score the golden clip.

        A GPU is left to its thread. Elsewhere a thread of its own does all this, so that
        clips for other checkpoints are scored meanwhile. Raises `model_store`'s errors.
        """
        settings = self._settings
        checkpoint = await asyncio.to_thread(self._store.load, reference)
        thread = ThreadPoolExecutor(1, thread_name_prefix="loading")

        async def on_loading_thread(function: Callable[[], T]) -> T:
            return await asyncio.wrap_future(
                self._batcher.run_on_device(function) if self._has_gpu else thread.submit(function)
            )

        try:
            scorer = await on_loading_thread(
                lambda: Scorer(
                    checkpoint,
                    settings.engine,
                    cache=settings.cache,
                    threads=settings.engine_threads,
                )
            )
            spec = checkpoint.spec
            blank = np.zeros((spec.frames, spec.height, spec.width, 3), np.uint8)
            for clips in scorer.engine.runtime.batch_sizes(settings.batch_clips):
                await on_loading_thread(partial(scorer.score, [blank] * clips))
            golden_error = await on_loading_thread(scorer.check_golden)
        finally:
            thread.shutdown(wait=False)
        log.info(
            "loaded %s@%d on %s, golden clip off by %.4f points",
            checkpoint.name,
            checkpoint.version,
            scorer.engine.name,
            golden_error,
        )
        return LocalCheckpoint(
            card=checkpoint.card,
            sha256=checkpoint.sha256,
            engine=scorer.engine.name,
            golden_error=golden_error,
            fell_back=scorer.engine.fell_back,
            scorer=scorer,
        )
