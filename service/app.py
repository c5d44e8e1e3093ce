"""The application: `create_app(settings, store)` puts the parts together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from model_store.errors import ModelStoreError
from model_store.store import Store
from service.errors import ServiceError
from service.http import page, routes
from service.http.limits import LimitsMiddleware, key_needed
from service.http.openapi import completed
from service.http.paths import MethodsMiddleware, PathMiddleware, not_found
from service.http.problems import ProblemsMiddleware, answer_problem
from service.http.request_context import RequestContextMiddleware, is_quiet
from service.scoring.local_backend import LocalBackend
from service.scoring.scoring_service import ScoringService
from service.settings import Settings

DESCRIPTION = """
A second opinion on a judged routine. Post the video of a dive or a vault to `/score`; get back the
predicted score and how many points each part of the routine contributed.

Errors are `application/problem+json` (RFC 9457): `type` is stable, `request_id` is in the log too.
"""

NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI's own would export paths, query strings and texts of exceptions, as soon as some variable
of the environment or another package in the process switches OpenTelemetry on. With SCORING_OTEL
its spans of requests are on, through a provider that keeps all this back."""


def create_app(
    settings: Settings, store: Store, on_failure: Callable[[], None] = lambda: None
) -> FastAPI:
    """The ASGI application that scores in this process.

    `on_failure` is called, on the event loop, when the process can no longer do its work.
    Raises TracingError.
    """
    backend = partial(LocalBackend, settings, store)
    return create_app_for(ScoringService(settings, store, backend, on_failure))


def create_app_for(service: ScoringService) -> FastAPI:
    """The ASGI application around a service, wherever it scores.

    Its lifespan loads the checkpoints and stops everything again.
    """
    settings = service.settings

    telemetry = NO_TELEMETRY
    if (provider := service.tracing.provider) is not None:
        telemetry = {**telemetry, "tracing": True, "tracer_provider": provider, "exclude": is_quiet}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(
        title="fragment-scorer",
        version=version("fragment-scorer"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # `page` has one that needs no other host
        redoc_url=None,
        root_path=settings.root_path,
        root_path_in_servers=False,
        servers=[{"url": ".", "description": "Where this document is."}],
        contact={"name": "the authors of fragment-scorer"},
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        telemetry=telemetry,
    )
    app.state.service = service
    app.state.one_meet = asyncio.Semaphore(1)
    app.include_router(routes.router)
    app.include_router(page.router)
    app.router.routes.append(page.files)
    app.router.redirect_slashes = False
    app.router.default = not_found
    for error in (HTTPException, RequestValidationError, ModelStoreError, ServiceError):
        app.add_exception_handler(error, answer_problem)
    app.add_middleware(
        LimitsMiddleware,
        settings=settings,
        metrics=service.metrics,
        admit=service.require_room,
        admitted_paths=routes.SCORING_PATHS,
        body_limits=routes.BODY_LIMITS,
    )
    app.add_middleware(ProblemsMiddleware)
    app.add_middleware(MethodsMiddleware)  # outside, since a problem has no body for HEAD either
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=("DELETE", "GET", "HEAD", "POST"),
            allow_headers=("Authorization", "X-Request-ID"),
            allow_private_network=True,
            expose_headers=("X-Request-ID", "X-Cache", "Server-Timing", "Retry-After"),
        )
    app.add_middleware(
        RequestContextMiddleware,
        metrics=service.metrics,
        counted_paths=routes.SCORING_PATHS,
        closing=lambda: service.draining,
        tracing=service.tracing,
    )
    app.add_middleware(PathMiddleware)  # added last, so it is the outermost
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        return completed(describe(), key_needed=partial(key_needed, settings=settings))

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it
    return app
