"""
The scoring backend in this process: scorers, and a batcher whose thread owns the device.

The rule: a checkpoint is verified, converted for the engine, warmed up and checked against its
golden clip before it scores anything. What it has on a GPU is given back once nobody can use it.
"""

import asyncio
import contextlib
import logging
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from model_store.engines import Upload, gpu
from model_store.errors import EngineError
from model_store.scorer import Scorer
from model_store.store import Store
from service.errors import ServiceError
from service.metrics import Metrics
from service.scoring.backend import Clip, TimedScore
from service.scoring.batcher import TASK_LIMIT_S, Batcher
from service.scoring.checkpoints import LoadedCheckpoint
from service.scoring.device_memory import DeviceMemory
from service.settings import Settings

T = TypeVar("T")
log = logging.getLogger(__name__)

LOADING_THREAD, UPLOAD_THREAD = "loading", "upload"
UPLOAD_LIMIT_S = 5.0
"""For one clip: megabytes at gigabytes a second."""
CALL_LIMIT_DEADLINES, CALL_LIMIT_LEAST_S = 5, 10.0
"""When a call into the engine counts as hung, in deadlines of a request and seconds. After one
deadline nobody waits for its clips any more; the rest is for slow machines, which must not be
restarted over and over: eight clips of the paper's size take 70 s on one core, if it is free."""


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
            max_clips=settings.batch_clips,
            metrics=metrics,
            on_done=on_done,
            on_failure=on_failure,
            call_limit_s=max(CALL_LIMIT_DEADLINES * settings.deadline_s, CALL_LIMIT_LEAST_S),
        )
        self._device_memory = DeviceMemory()
        self._has_gpu = settings.engine in ("auto", "cuda") and gpu.is_available()

    def start(self) -> None:
        if self._has_gpu:
            self._device_memory.start()
            self._metrics.watch_device_memory(self._device_memory.last)
        self._batcher.start()

    def stop(self) -> None:
        self._device_memory.stop()
        self._batcher.stop()

    @property
    def alive(self) -> bool:
        return self._batcher.alive

    async def score(self, loaded: LoadedCheckpoint, clip: Clip, client: str) -> TimedScore:
        assert isinstance(loaded, LocalCheckpoint)  # `load` below has made it
        ready = await self._uploaded(loaded.scorer, clip)
        waiting = self._batcher.submit(loaded.scorer, ready, loaded.spec.fragments, client)
        return await asyncio.wrap_future(waiting)

    async def _uploaded(self, scorer: Scorer, clip: Clip) -> Clip | Upload:
        """The clip on the device, while the engine scores others, if that gains anything.

        Where it fails or hangs the clip is left to the engine's thread, which meets the same and
        knows what to do about it.
        """
        if not scorer.engine.runtime.uploads_ahead:
            return clip
        try:
            async with asyncio.timeout(UPLOAD_LIMIT_S):
                return await asyncio.wrap_future(
                    on_thread_of_its_own(UPLOAD_THREAD, partial(scorer.upload, clip))
                )
        except (EngineError, TimeoutError, RuntimeError):
            log.warning("a clip could not be uploaded ahead", exc_info=True)
            return clip

    async def load(self, reference: str) -> LocalCheckpoint:
        """Verify, convert for the engine, warm up, and score the golden clip.

        A GPU is left to its thread. Elsewhere a thread of its own does all this, so that
        clips for other checkpoints are scored meanwhile. Raises `model_store`'s errors.
        """
        settings = self._settings
        elsewhere = partial(on_thread_of_its_own, LOADING_THREAD)
        on_engine_thread = self._batcher.run_on_device if self._has_gpu else elsewhere
        checkpoint = await in_time(elsewhere(partial(self._store.load, reference)))
        scorer = await in_time(
            on_engine_thread(
                lambda: Scorer(
                    checkpoint,
                    settings.engine,
                    cache=settings.cache,
                    threads=settings.engine_threads,
                )
            )
        )
        if self._has_gpu:
            self._close_after(scorer)
        for size in scorer.engine.preparations(settings.batch_clips):
            await in_time(on_engine_thread(partial(scorer.engine.prepare, size)))
        golden_error = await in_time(on_engine_thread(scorer.check_golden))
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

    def _close_after(self, scorer: Scorer) -> None:
        """Have the engine's thread close it once nobody has the scorer any more.

        That may be found out anywhere, even in the middle of the batcher's own work, so the event
        loop passes it on.
        """
        loop, batcher, close = asyncio.get_running_loop(), self._batcher, scorer.engine.close

        def put() -> None:
            with contextlib.suppress(ServiceError):  # the service ends, and the process
                batcher.run_on_device(close).add_done_callback(log_failure)

        def pass_on() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(put)

        weakref.finalize(scorer, pass_on).atexit = False


def log_failure(done: Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("the memory of an engine was not given back", exc_info=error)


def on_thread_of_its_own(name: str, function: Callable[[], T]) -> Future[T]:
    """Run it where nothing waits for it at the end of the process, not even if it hangs."""
    future = Future[T]()
    future.set_running_or_notify_cancel()  # it cannot be cancelled

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # it belongs to the caller
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


async def in_time(step: Future[T]) -> T:
    """The outcome of a step of loading.   Raises EngineError if it takes too long."""
    try:
        async with asyncio.timeout(TASK_LIMIT_S):
            return await asyncio.wrap_future(step)
    except TimeoutError as error:
        raise EngineError(f"loading hangs: a step took longer than {TASK_LIMIT_S:g} s") from error
