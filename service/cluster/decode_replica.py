"""
A replica that decodes: the whole application, but that its clips are scored by score replicas.

The rule: whoever receives an upload decodes it, so that a clip travels once as a file and once as
frames, through the object store; a clip whose score replica is lost is sent to another one, once.
"""

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import Any

import ray
from prometheus_client import Metric
from ray import serve
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.handle import DeploymentHandle, DeploymentResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_store.store import Store
from service.app import create_app_for
from service.cluster.replica_metrics import exposition, of_this_replica
from service.errors import EngineDead
from service.logs import configure_logging
from service.metrics import Metrics
from service.scoring.backend import Clip, TimedScore
from service.scoring.checkpoints import LoadedCheckpoint, ReloadOutcome
from service.scoring.scoring_service import ScoringService
from service.settings import Settings

log = logging.getLogger(__name__)

DECODE = "decode"  # name of the deployment
DECODING = "decoding"  # the figure that it reports to the autoscaler
_SCRAPE_S = 5.0  # for all replicas to return their metrics

Replicas = DeploymentHandle[Any]


class RemoteBackend:
    """The score replicas, as the service sees them: a `ScoringBackend`."""

    def __init__(
        self,
        replicas: Replicas,
        *,
        metrics: Metrics,
        on_done: Callable[[int], None],
        on_failure: Callable[[], None],
    ) -> None:
        """`on_failure` is never called: Ray replaces replicas that are lost."""
        self._replicas = replicas
        self._metrics = metrics
        self._on_done = on_done

    def start(self) -> None:
        """They run already."""

    def stop(self) -> None:
        """They serve others too."""

    @property
    def alive(self) -> bool:
        return True

    async def load(self, reference: str) -> LoadedCheckpoint:
        loaded: LoadedCheckpoint = await self._ask("load", reference)
        return loaded

    async def score(self, loaded: LoadedCheckpoint, clip: Clip, client: str) -> TimedScore:
        began = time.monotonic()
        frames = ray.put(clip)  # once, also for a second try
        scored: TimedScore = await self._ask("score", loaded.reference, frames, client)
        self._on_done(loaded.spec.fragments)
        queue_s = time.monotonic() - began - scored.inference_s
        return dataclasses.replace(scored, queue_s=queue_s)

    async def _ask(self, method: str, *arguments: object) -> Any:
        """The answer of a replica, or of another one if that is lost.   Raises what it raised."""
        call = getattr(self._replicas, method)
        try:
            return await answer(call.remote(*arguments))
        except (RayActorError, EngineDead):
            self._metrics.retries.inc()
            try:
                return await answer(call.remote(*arguments))
            except RayActorError as error:
                raise EngineDead("two engines were lost one after the other") from error


async def answer(response: DeploymentResponse[Any]) -> Any:
    try:
        return await response
    except RayTaskError as error:
        raise error.cause from error  # as it was raised there
    except asyncio.CancelledError:
        response.cancel()  # type: ignore[no-untyped-call]
        raise


class ClusterService(ScoringService):
    """One of several: its metrics and its reload are those of all."""

    def __init__(self, settings: Settings, score: Replicas) -> None:
        super().__init__(settings, Store(settings.store), partial(RemoteBackend, score))
        self._score = score

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Entered when it is ready: from then on Serve sends requests."""
        async with super().running():
            await self.loading
            self.require_ready()
            yield

    async def exposition(self) -> bytes:
        """Of all replicas; those that do not answer are left out."""
        answers = await asyncio.gather(
            *(
                each.broadcast("metrics").results_async(timeout_s=_SCRAPE_S, return_exceptions=True)
                for each in (self._decoders, self._score)
            ),
            return_exceptions=True,
        )
        replicas = [each for every in answers if isinstance(every, list) for each in every]
        return exposition(each for each in replicas if isinstance(each, list))

    async def reload(self) -> ReloadOutcome:
        """First every score replica loads, then every decode replica uses the new versions."""
        self.require_ready()
        try:
            await self._score.broadcast("prepare").results_async()
            outcomes = await self._decoders.broadcast("adopt").results_async()
        except RayTaskError as error:
            raise error.cause from error
        first: ReloadOutcome = outcomes[0]
        return first

    async def adopt(self) -> ReloadOutcome:
        return await super().reload()

    @cached_property
    def _decoders(self) -> Replicas:
        return serve.get_deployment_handle(DECODE)


@serve.ingress()
class DecodeReplica:
    def __init__(self, settings: Settings, score: Replicas) -> None:
        configure_logging(settings.log_level)
        if not settings.api_keys:
            log.warning("no key is needed: whoever reaches Serve's proxies may use the service")
        self._service = ClusterService(settings, score)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return OneRequestId(create_app_for(self._service))

    async def adopt(self) -> ReloadOutcome:
        return await self._service.adopt()

    def metrics(self) -> list[Metric]:
        return of_this_replica(self._service.metrics.registry)

    def record_autoscaling_stats(self) -> dict[str, float]:
        return {DECODING: float(self._service.decoding)}

    def check_health(self) -> None:
        if not self._service.alive:
            raise EngineDead("the decoders have failed")


class OneRequestId:
    """Serve's proxy adds the request's id to the answer: then ours, which is the same, goes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id")

        async def send_without(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("x-request-id") == given:
                    del headers["x-request-id"]
            await send(message)

        await self.app(scope, receive, send_without)
