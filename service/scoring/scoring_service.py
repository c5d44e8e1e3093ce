"""
The service's heart: from an upload to an answer, through decoding, queue and engine.

The rule: what is taken on the way (a place in the queue, a worker, a position in a batch) is
given back on every way out, above all when the client leaves or the deadline passes.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from enum import StrEnum
from typing import BinaryIO

import numpy as np
import torch
from prometheus_client.exposition import generate_latest

from model_store.clip import ClipWarning, fragment_span
from model_store.confidence import review_reasons
from model_store.errors import InvalidDifficulty, ModelStoreError
from model_store.scorer import Score
from model_store.spec import ClipSpec
from model_store.store import Store
from model_store.video.container import sha256_of
from model_store.video.selection import Window
from service.decode.pool import DecodedUpload, DecodeJob, DecodePool
from service.errors import (
    DeadlinePassed,
    DecoderInterrupted,
    Draining,
    EngineDead,
    InvalidParameter,
    NotReady,
    ServiceError,
)
from service.http.events import Decoding, Queued, Scoring, Tell, untold
from service.http.problems import problem_of
from service.http.wire.score import (
    ClipAnswer,
    FragmentAnswer,
    IntervalAnswer,
    ReloadAnswer,
    ScoreAnswer,
    ScoreWarning,
    Timings,
)
from service.logs import request_id
from service.metrics import Metrics
from service.scoring.admission import Admission
from service.scoring.batcher import Batcher, ClipBatcher
from service.scoring.checkpoints import LoadedCheckpoint, LoadedCheckpoints
from service.scoring.lifecycle import CheckpointLoader
from service.scoring.result_cache import ResultCache, ResultKey
from service.settings import Settings

log = logging.getLogger(__name__)


class Phase(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class ScoringService:
    """Everything that lives as long as the application does."""

    def __init__(
        self, settings: Settings, store: Store, on_failure: Callable[[], None] = lambda: None
    ) -> None:
        """`on_failure` hears, on the event loop, that the process should be ended."""
        self.settings = settings
        self.store = store
        self.metrics = Metrics()
        self.admission = Admission(settings.queue_fragments, self.metrics)
        self.checkpoints = LoadedCheckpoints()
        self.phase = Phase.STARTING
        self._on_failure = on_failure
        self._batcher = self.make_batcher()
        self._pool = DecodePool(
            workers=settings.decode_workers,
            timeout_s=settings.decode_timeout_s,
            cpu_s=settings.decode_cpu_s,
            memory_bytes=settings.decode_memory_bytes,
            clips_per_worker=settings.decode_clips_per_worker,
        )
        self.results = ResultCache(settings.result_cache_bytes, self.metrics)
        self._loader = CheckpointLoader(store, settings, self._batcher, self.metrics)
        self._reloading = asyncio.Lock()  # one after the other
        self.metrics.decode_workers.set_function(lambda: len(self._pool.pids))
        self.metrics.ready.set_function(lambda: self.phase is Phase.READY)
        self._loop: asyncio.AbstractEventLoop | None = None

    def make_batcher(self) -> ClipBatcher:
        """Here: threads of this process."""
        return Batcher(
            max_clips=self.settings.batch_clips,
            metrics=self.metrics,
            on_done=self.admission.done,
            on_failure=self._engine_died,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Loads in the background; on the way out everything is stopped and waited for."""
        self._loop = asyncio.get_running_loop()
        self._batcher.start()
        self.loading = asyncio.create_task(self._load())
        try:
            yield
        finally:
            self.drain()
            self.loading.cancel()
            await asyncio.gather(self.loading, return_exceptions=True)
            await asyncio.to_thread(self._batcher.stop)
            await self._pool.stop()

    def drain(self) -> None:
        """Not ready from now on; what is in flight is finished."""
        if self.phase is not Phase.FAILED:
            self.phase = Phase.DRAINING

    @property
    def alive(self) -> bool:
        return self.phase is not Phase.FAILED and self._batcher.alive and self._pool.healthy

    @property
    def draining(self) -> bool:
        return self.phase is Phase.DRAINING

    def require_ready(self) -> None:
        """Raises NotReady, Draining or EngineDead."""
        if not self.alive:
            raise EngineDead("the service must be restarted")
        if self.phase is Phase.STARTING:
            raise NotReady("checkpoints are being loaded")
        if self.phase is Phase.DRAINING:
            raise Draining("the service is going down")

    def require_room(self) -> None:
        """Whether a new request has a chance at all; asked before its body is read."""
        self.require_ready()
        self.admission.require_room()

    def note_upload(self, began: float) -> None:
        """A request's whole form is there."""
        self.metrics.stage_seconds.labels("upload").observe(time.monotonic() - began)

    def choose(self, action: str | None, checkpoint: str | None) -> LoadedCheckpoint:
        """Raises CheckpointNotFound, CheckpointUnusable, InvalidParameter."""
        if checkpoint is None:
            return self.checkpoints.get(action or self.checkpoints.default)
        chosen = self.checkpoints.get(checkpoint)
        if action not in (None, chosen.name, chosen.checkpoint.card.action):
            raise InvalidParameter(
                f"it is one for {chosen.checkpoint.card.action}", field="checkpoint"
            )
        return chosen

    async def score(
        self,
        upload: BinaryIO,
        chosen: LoadedCheckpoint,
        *,
        began: float,
        difficulty: float | None = None,
        start_s: float | None = None,
        end_s: float | None = None,
        pictures: bool = False,
        tell: Tell = untold,
    ) -> ScoreAnswer:
        """Score one uploaded file. `began` is the request's, on the monotonic clock.

        Raises the errors of `model_store` and `service.errors`. Cancel it when the client leaves.
        """
        card, spec = chosen.checkpoint.card, chosen.checkpoint.spec
        Window(start_s, end_s)  # what is wrong with it need not wait for a decoder
        if difficulty is None and card.network.target == "execution":
            raise InvalidDifficulty("this checkpoint predicts the execution, it needs a difficulty")
        key = None
        if self.results.enabled and not pictures:
            key = ResultKey(
                clip_sha256=await asyncio.to_thread(sha256_of, upload),
                checkpoint_sha256=chosen.checkpoint.sha256,
                engine=chosen.engine,
                difficulty=difficulty,
                start_s=start_s,
                end_s=end_s,
            )
            if (known := self.results.get(key)) is not None:
                return known.repeated(
                    request_id.get() or "",
                    Timings(
                        decode=0,
                        queue=0,
                        inference=0,
                        total=milliseconds(time.monotonic() - began),
                    ),
                )
        job = DecodeJob(
            spec=spec,
            limits=self.settings.clip_limits,
            start_s=start_s,
            end_s=end_s,
            pictures=pictures,
            progress=tell is not untold,
        )
        stage, entered = "decode", time.monotonic()
        try:
            ahead = self.admission.fragments
            with self.admission.place(spec.fragments):
                tell(Queued(ahead=ahead))
                async with asyncio.timeout(self.settings.deadline_s):
                    decoded = await self._decode(upload, job, tell)
                    tell(Scoring())
                    stage, wait = "queue", time.monotonic() - entered - decoded.seconds
                    scored = await self._batcher.score(chosen, decoded.clip.frames)
        except TimeoutError as error:
            raise DeadlinePassed(f"no answer within {self.settings.deadline_s:g} s") from error
        except asyncio.CancelledError:
            self.metrics.dropped.labels(stage).inc()
            raise
        wait += scored.queue_s
        for name, seconds in (
            ("decode", decoded.seconds),
            ("queue", wait),
            ("inference", scored.inference_s),
        ):
            self.metrics.stage_seconds.labels(name).observe(seconds)
        finished = time.monotonic()
        info, warnings = decoded.clip.info, decoded.clip.warnings
        score = scored.score.with_difficulty(difficulty, spec.difficulty_rule)
        score = score.widened(card.doubt(warnings))
        self.metrics.output.labels(chosen.reference).observe(score.score)
        if score.trust is not None:
            self.metrics.familiarity.labels(chosen.reference).observe(score.trust.distance)
        reasons = review_reasons(score.trust, blank=score.blank, warnings=warnings)
        answer = ScoreAnswer(
            request_id=request_id.get() or "",
            action=card.action,
            score=score.score,
            difficulty=score.difficulty,
            execution=score.execution,
            scored_by=score.scored_by,
            interval=IntervalAnswer(**asdict(score.trust.interval)) if score.trust else None,
            baseline=score.baseline,
            fragments=fragment_answers(score, decoded, chosen),
            needs_review=bool(reasons),
            review_reasons=list(reasons),
            warnings=[*warnings, *score_warnings(score.score, spec)],
            checkpoint=chosen.used(),
            clip=ClipAnswer(
                sha256=info.sha256,
                frames=int(np.count_nonzero(~np.isnan(decoded.clip.times))),
                decoded_frames=info.decoded_frames,
                fps=info.fps,
                width=info.width,
                height=info.height,
                codec=info.codec,
            ),
            timings_ms=Timings(
                decode=milliseconds(decoded.seconds),
                queue=milliseconds(wait),
                inference=milliseconds(scored.inference_s),
                total=milliseconds(time.monotonic() - began),
            ),
        )
        if key is not None:
            self.results.put(key, answer)
        self.metrics.stage_seconds.labels("post").observe(time.monotonic() - finished)
        return answer

    async def reload(self) -> ReloadAnswer:
        """Serve what the store holds now.   Raises ReloadRefused, and what `require_ready` does."""
        self.require_ready()
        async with self._reloading:
            before = set(self.checkpoints.references())
            self.checkpoints = await self._loader.reload(self.checkpoints)
            after = set(self.checkpoints.references())
        return ReloadAnswer(
            default=self.checkpoints.default,
            checkpoints=[loaded.summary() for loaded in self.checkpoints.all()],
            unusable=self.checkpoints.broken(),
            loaded=sorted(after - before),
            released=sorted(before - after),
        )

    async def exposition(self) -> bytes:
        """The metrics, as Prometheus reads them."""
        return generate_latest(self.metrics.registry)

    async def _decode(self, upload: BinaryIO, job: DecodeJob, tell: Tell) -> DecodedUpload:
        descriptor = await asyncio.to_thread(upload.fileno)  # a small upload is written to disk now
        try:
            return await self._pool.decode(
                descriptor, job, lambda done, of: tell(Decoding(done=done, of=of))
            )
        except Exception as error:
            if isinstance(error, DecoderInterrupted):
                error.retry_after_s = self.admission.retry_after_s()
            self.metrics.decode_failures.labels(problem_of(error).kind.slug).inc()
            raise

    async def _load(self) -> None:
        try:
            _, self.checkpoints = await asyncio.gather(
                self._pool.start(), self._loader.load(self.checkpoints)
            )
            if any(loaded.used().engine == "cuda" for loaded in self.checkpoints.all()):
                self.metrics.watch_device_memory(torch.cuda.mem_get_info)
        except (ModelStoreError, ServiceError) as error:  # their texts say it all
            log.critical("the service cannot start: %s", error)
            self._fail()
            return
        except Exception:  # whatever it is, a service that cannot score must not look alive
            log.critical("the service cannot start", exc_info=True)
            self._fail()
            return
        if self.phase is Phase.STARTING:
            self.phase = Phase.READY
            log.info("ready", extra={"checkpoints": self.checkpoints.references()})

    def _engine_died(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._fail)

    def _fail(self) -> None:
        self.phase = Phase.FAILED
        self._on_failure()


def fragment_answers(
    score: Score, decoded: DecodedUpload, chosen: LoadedCheckpoint
) -> list[FragmentAnswer]:
    card, spec = chosen.checkpoint.card, chosen.checkpoint.spec
    answers = []
    for index in range(spec.fragments):
        blank = score.blank[index]
        span = fragment_span(decoded.clip, spec, index, views=card.network.views)
        start_s, end_s = (None, None) if blank else span
        answers.append(
            FragmentAnswer(
                index=index,
                stage=card.stage_of_fragment[index],
                start_s=start_s,
                end_s=end_s,
                blank=blank,
                contribution=score.contribution[index],
                alone=score.alone[index],
                without=score.without[index],
                **({} if decoded.pictures is None else {"jpeg": decoded.pictures[index]}),
            )
        )
    return answers


def score_warnings(score: float, spec: ClipSpec) -> list[ClipWarning | ScoreWarning]:
    low, high = spec.score_range
    if score < low:
        return [ScoreWarning.BELOW_RANGE]
    return [ScoreWarning.ABOVE_RANGE] if score > high else []


def milliseconds(seconds: float) -> float:
    return round(1e3 * seconds, 2)
