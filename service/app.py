"""The application: `create_app(settings, store)` puts the parts together."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from model_store.errors import ModelStoreError
from model_store.store import Store
from service import page, routes
from service.errors import ServiceError
from service.exchange import ExchangeMiddleware
from service.limits import LimitsMiddleware, key_needed
from service.problems import answer_problem
from service.reference import completed
from service.scoring import ScoringService
from service.settings import Settings

DESCRIPTION = """
A second opinion on a judged routine. Post the video of a dive or a vault to `/score`; get back the
predicted score and how many points each part of the routine contributed.

Errors are `application/problem+json` (RFC 9457): `type` is stable, `request_id` is in the log too.
"""


def create_app(
    settings: Settings, store: Store, on_failure: Callable[[], None] = lambda: None
) -> FastAPI:
    """The ASGI application; its lifespan loads the checkpoints and stops everything again.

    `on_failure` hears, on the event loop, that the process can no longer do its work.
    """
    return create_app_for(ScoringService(settings, store, on_failure))


def create_app_for(service: ScoringService) -> FastAPI:
    """The same around a service that somebody else made."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(
        title="fragment-scorer",
        version=version("fragment-scorer"),
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(routes.router)
    app.include_router(page.router)
    app.router.routes.append(page.files)
    for error in (HTTPException, RequestValidationError, ModelStoreError, ServiceError):
        app.add_exception_handler(error, answer_problem)
    app.add_middleware(
        LimitsMiddleware,
        settings=service.settings,
        metrics=service.metrics,
        admit=service.require_room,
        admitted_paths=routes.SCORING_PATHS,
    )
    app.add_middleware(  # added last, so it is the outermost
        ExchangeMiddleware, metrics=service.metrics, counted_paths=routes.SCORING_PATHS
    )
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        return completed(describe(), key_needed=partial(key_needed, settings=service.settings))

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it
    return app
