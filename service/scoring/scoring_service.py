"""
The service's heart: from an upload to an assessment, through decoding, queue and engine.

The rule: what is taken on the way (a place in the queue, a worker, a position in a batch) is
given back on every way out, above all when the client leaves or the deadline passes.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

from prometheus_client.exposition import generate_latest

from model_store.assessment import Assessment, assess
from model_store.errors import InvalidDifficulty, ModelStoreError
from model_store.finding.finder import FOUND_ACTIONS
from model_store.store import Store
from model_store.video.container import sha256_of
from model_store.video.selection import Window
from service.decode.pool import DecodedUpload, DecodeJob, DecodePool
from service.errors import (
    ClientGone,
    DeadlinePassed,
    DecoderInterrupted,
    Draining,
    EmptyFile,
    EngineDead,
    InvalidParameter,
    NotReady,
    ServiceError,
)
from service.metrics import Metrics
from service.problem_kinds import KINDS, kind_of
from service.scoring.admission import Admission
from service.scoring.archive import Archive
from service.scoring.backend import MakeBackend, TimedScore
from service.scoring.checkpoints import LoadedCheckpoint, LoadedCheckpoints, ReloadOutcome
from service.scoring.lifecycle import CheckpointLoader
from service.scoring.progress import Decoding, OnProgress, Queued, Scoring
from service.scoring.ranking import Ranking, rank
from service.scoring.result_cache import ResultCache, ResultKey
from service.scoring.scored_clip import ClipToScore, ScoredClip, StageSeconds
from service.settings import Settings
from service.tracing import ClipTimes, start_tracing

log = logging.getLogger(__name__)


class Phase(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Of decoder and engine for one clip."""

    decoded: DecodedUpload
    scored: TimedScore
    wait_s: float
    """For a decoder, and for the engine."""


class ScoringService:
    """Everything that lives as long as the application does."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        make_backend: MakeBackend,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_failure` is called, on the event loop, when the process should be ended.

        Raises TracingError.
        """
        self.settings = settings
        self.metrics = Metrics()
        self.tracing = start_tracing(enabled=settings.otel)
        self.admission = Admission(
            settings.queue_fragments, self.metrics, client_share=settings.client_share
        )
        self.checkpoints = LoadedCheckpoints()
        self.results = ResultCache(settings.result_cache_bytes, self.metrics)
        self.archive = Archive(
            settings.archive,
            self.metrics,
            max_bytes=settings.archive_bytes,
            days=settings.archive_days,
        )
        if self.archive.enabled and not self.keeps_clips:
            need = "SCORING_ARCHIVE needs SCORING_API_KEYS where anybody may use the service"
            log.warning("no clip is kept: %s", need)
        self.phase = Phase.STARTING
        self.decoding = 0
        """Clips that are decoded or wait for it."""
        self._on_failure = on_failure
        self._backend = make_backend(
            metrics=self.metrics, on_done=self.admission.done, on_failure=self._engine_died
        )
        self._pool = DecodePool(
            workers=settings.decode_workers,
            timeout_s=settings.decode_timeout_s,
            cpu_s=settings.decode_cpu_s,
            memory_bytes=settings.decode_memory_bytes,
            clips_per_worker=settings.decode_clips_per_worker,
        )
        self._loader = CheckpointLoader(store, settings, self._backend, self.metrics)
        self._reloading = asyncio.Lock()  # one after the other
        self.metrics.decode_workers.set_function(lambda: len(self._pool.pids))
        self.metrics.ready.set_function(lambda: self.phase is Phase.READY)
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Loads in the background; on the way out everything is stopped and waited for."""
        self._loop = asyncio.get_running_loop()
        self._backend.start()
        self.loading = asyncio.create_task(self._load())
        tidying = asyncio.create_task(self.archive.tidy_forever())
        try:
            yield
        finally:
            self.drain()
            self.loading.cancel()
            tidying.cancel()
            await asyncio.gather(self.loading, tidying, return_exceptions=True)
            self.archive.stop()
            await asyncio.to_thread(self._backend.stop)
            await self._pool.stop()
            await asyncio.to_thread(self.tracing.stop)

    def drain(self) -> None:
        """Not ready from now on; what is in flight is finished."""
        if self.phase is not Phase.FAILED:
            self.phase = Phase.DRAINING

    @property
    def keeps_clips(self) -> bool:
        """Whether there is an archive, and somebody who may use it."""
        return self.archive.enabled and not self.settings.anybody_may_ask

    @property
    def alive(self) -> bool:
        return self.phase is not Phase.FAILED and self._backend.alive and self._pool.healthy

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

    def require_room(self, client: str) -> None:
        """Whether a new request of this client has a chance; asked before its body is read."""
        self.require_ready()
        self.admission.require_room(client)

    def note_upload(self, began: float) -> None:
        """A request's whole form is there."""
        self.metrics.stage_seconds.labels("upload").observe(time.monotonic() - began)

    def choose(self, action: str | None, checkpoint: str | None) -> LoadedCheckpoint:
        """Raises CheckpointNotFound, CheckpointUnusable, InvalidParameter."""
        if checkpoint is None:
            return self.checkpoints.get(action or self.checkpoints.default)
        chosen = self.checkpoints.get(checkpoint)
        if action not in (None, chosen.name, chosen.card.action):
            raise InvalidParameter(f"it is one for {chosen.card.action}", field="checkpoint")
        return chosen

    async def score(self, clip: ClipToScore, on_progress: OnProgress | None = None) -> ScoredClip:
        """Decode and score one clip, or find its assessment in the cache.

        Raises the errors of `model_store` and `service.errors`. Cancel it when the client leaves.
        """
        Window(clip.start_s, clip.end_s)  # what is wrong with it need not wait for a decoder
        if clip.find and not clip.checkpoint.can_find:
            need = f"it knows {' and '.join(FOUND_ACTIONS)}, not {clip.checkpoint.card.action}"
            raise InvalidParameter(need, field="find")
        if clip.difficulty is None and clip.checkpoint.card.network.target == "execution":
            raise InvalidDifficulty("this checkpoint predicts the execution, it needs a difficulty")
        sha256 = await asyncio.to_thread(hash_upload, clip.upload)
        key = self._result_key(clip, sha256)
        if key is not None and (known := self.results.get(key)) is not None:
            return ScoredClip(
                assessment=known,
                engine=clip.checkpoint.engine,
                stage_seconds=StageSeconds(total=time.monotonic() - clip.received),
                is_repeated=True,
            )
        outcome = await self._decode_and_score(clip, sha256, on_progress)
        scored_at = time.monotonic()
        assessment = assess(
            outcome.scored.score,
            outcome.decoded.clip,
            card=clip.checkpoint.card,
            sha256=clip.checkpoint.sha256,
            difficulty=clip.difficulty,
        )
        if key is not None:
            self.results.put(key, assessment)
        self._observe(assessment, outcome, post_s=time.monotonic() - scored_at)
        return ScoredClip(
            assessment=assessment,
            engine=clip.checkpoint.engine,
            stage_seconds=StageSeconds(
                decode=outcome.decoded.seconds,
                queue=outcome.wait_s,
                inference=outcome.scored.inference_s,
                total=time.monotonic() - clip.received,
            ),
            fragment_jpegs=outcome.decoded.fragment_jpegs,
        )

    async def rank(self, clips: Sequence[ClipToScore]) -> Ranking:
        """Put clips of one action in order.   Raises what concerns all of them."""
        room = self.settings.client_share * self.admission.limit
        places = int(room / max(clip.checkpoint.spec.fragments for clip in clips))
        at_once = min(self.settings.decode_workers + 1, places)  # others want a place too
        return await rank(clips, self.score, at_once=max(1, at_once))

    async def reload(self) -> ReloadOutcome:
        """Serve what the store holds now.   Raises ReloadRefused, and what `require_ready` does."""
        self.require_ready()
        async with self._reloading:
            before = set(self.checkpoints.references())
            self.checkpoints = await self._loader.reload(self.checkpoints)
            after = set(self.checkpoints.references())
        return ReloadOutcome(loaded=sorted(after - before), released=sorted(before - after))

    async def exposition(self) -> bytes:
        """The metrics, as Prometheus reads them."""
        return generate_latest(self.metrics.registry)

    def _result_key(self, clip: ClipToScore, sha256: str) -> ResultKey | None:
        """None if the assessment of this clip is not kept."""
        if not self.results.enabled or clip.wants_fragment_jpegs:
            return None
        return ResultKey(
            clip_sha256=sha256,
            checkpoint_sha256=clip.checkpoint.sha256,
            engine=clip.checkpoint.engine,
            difficulty=clip.difficulty,
            start_s=clip.start_s,
            end_s=clip.end_s,
            find=clip.find,
        )

    async def _decode_and_score(
        self, clip: ClipToScore, sha256: str, on_progress: OnProgress | None
    ) -> _Outcome:
        """Let decoder and engine work, and report how long they took, or what went wrong."""
        times = ClipTimes()
        try:
            outcome = await self._within_deadline(clip, sha256, on_progress, times)
        except asyncio.CancelledError:
            self.metrics.dropped.labels(times.stage).inc()
            reason = Draining if self.draining else ClientGone
            self.tracing.clip_failed(times, clip.checkpoint, KINDS[reason])
            raise
        except Exception as error:
            self.tracing.clip_failed(times, clip.checkpoint, kind_of(error))
            raise
        self.tracing.clip_scored(times, clip.checkpoint, outcome.scored)
        return outcome

    async def _within_deadline(
        self, clip: ClipToScore, sha256: str, on_progress: OnProgress | None, times: ClipTimes
    ) -> _Outcome:
        """Hold a place in the queue, and let decoder and engine work within the deadline."""
        report: OnProgress = on_progress or (lambda progress: None)
        job = DecodeJob(
            spec=clip.checkpoint.spec,
            limits=self.settings.clip_limits,
            sha256=sha256,
            start_s=clip.start_s,
            end_s=clip.end_s,
            find=clip.find,
            wants_fragment_jpegs=clip.wants_fragment_jpegs,
            wants_progress=on_progress is not None,
        )
        ahead = self.admission.fragments
        try:
            with self.admission.place(job.spec.fragments, clip.client):
                report(Queued(ahead))
                async with asyncio.timeout(self.settings.deadline_s):
                    decoded = await self._decode(clip, job, report, times)
                    report(Scoring())
                    scored = await self._backend.score(
                        clip.checkpoint, decoded.clip.frames, clip.client
                    )
        except TimeoutError as error:
            raise DeadlinePassed(f"no answer within {self.settings.deadline_s:g} s") from error
        return _Outcome(decoded, scored, times.decoder_wait_s + scored.queue_s)

    async def _decode(
        self, clip: ClipToScore, job: DecodeJob, report: OnProgress, times: ClipTimes
    ) -> DecodedUpload:
        self.decoding += 1
        try:
            # A small upload is written to disk now.
            descriptor = await asyncio.to_thread(clip.upload.fileno)
            decoded = await self._pool.decode(
                descriptor,
                job,
                lambda done, of: report(Decoding(done, of)),
                client=clip.client,
                on_worker=times.decoder_found,
            )
        except Exception as error:
            if isinstance(error, DecoderInterrupted):
                error.retry_after_s = self.admission.retry_after_s()
            self.metrics.decode_failures.labels(kind_of(error).slug).inc()
            raise
        finally:
            self.decoding -= 1
        times.decoded(decoded.seconds)
        return decoded

    def _observe(self, assessment: Assessment, outcome: _Outcome, *, post_s: float) -> None:
        for stage, seconds in (
            ("decode", outcome.decoded.seconds),
            ("queue", outcome.wait_s),
            ("inference", outcome.scored.inference_s),
            ("post", post_s),
        ):
            self.metrics.stage_seconds.labels(stage).observe(seconds)
        reference = assessment.checkpoint.reference
        self.metrics.output.labels(reference, assessment.scored_by).observe(assessment.score)
        if assessment.familiarity is not None:
            self.metrics.familiarity.labels(reference).observe(assessment.familiarity)

    async def _load(self) -> None:
        decoders = asyncio.create_task(self._pool.start())
        try:
            _, self.checkpoints = await asyncio.gather(
                decoders, self._loader.load(self.checkpoints)
            )
        except (ModelStoreError, ServiceError) as error:  # their texts are enough
            log.critical("the service cannot start: %s", error)
            self._fail()
            return
        except Exception:  # whatever it is, a service that cannot score must not look alive
            log.critical("the service cannot start", exc_info=True)
            self._fail()
            return
        finally:
            decoders.cancel()
        if self.phase is Phase.STARTING:
            self.phase = Phase.READY
            log.info("ready", extra={"checkpoints": self.checkpoints.references()})

    def _engine_died(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._fail)

    def _fail(self) -> None:
        self.phase = Phase.FAILED
        self._on_failure()


def hash_upload(upload: BinaryIO) -> str:
    """SHA-256 of an upload.   Raises EmptyFile."""
    if not upload.seek(0, os.SEEK_END):
        raise EmptyFile("0 bytes, need a video file")
    return sha256_of(upload)
