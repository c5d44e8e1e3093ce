"""The server: one process, one uvicorn worker; its signals and exit codes."""

import asyncio
import contextlib
import logging
import math
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from types import FrameType

import uvicorn
from pydantic import ValidationError

from model_store.store import Store
from service.app import create_app
from service.errors import ServiceError
from service.http.address import (
    Address,
    AddressError,
    is_ip,
    is_published_to_others,
    listen,
    resolve,
)
from service.http.connections import Connection
from service.logs import configure_logging
from service.scoring.archive import THREAD as ARCHIVE_THREAD
from service.scoring.batcher import INFERENCE_THREAD
from service.scoring.device_memory import DEVICE_MEMORY_THREAD
from service.scoring.local_backend import LOADING_THREAD, UPLOAD_THREAD
from service.settings import Settings
from service.tracing import SPANS_THREAD, TracingError

log = logging.getLogger("service")

UNENDING_THREADS = (
    INFERENCE_THREAD,
    LOADING_THREAD,
    UPLOAD_THREAD,
    DEVICE_MEMORY_THREAD,
    ARCHIVE_THREAD,
    SPANS_THREAD,
)
FAILED, BAD_SETTING = 1, 2  # exit codes; those of a bad address are in `http/address.py`


class Server(uvicorn.Server):
    """On SIGTERM it reports at once that it is not ready, then finishes what is in flight.

    On SIGINT and SIGQUIT, too. uvicorn would end the process by the signal that it received; this
    one exits with 0. SIGHUP loads the checkpoints that were published since.
    """

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, self.reload)
        if hasattr(signal, "SIGQUIT"):  # uvicorn handles SIGTERM and SIGINT only
            loop.add_signal_handler(signal.SIGQUIT, self.handle_exit, signal.SIGQUIT, None)
        await super().serve(sockets)

    def reload(self) -> None:
        self.reloading = asyncio.create_task(self._reload())  # kept, or it might be collected

    async def _reload(self) -> None:
        try:
            await self.config.app.state.service.reload()  # type: ignore[union-attr]
        except ServiceError as error:
            log.warning("SIGHUP has changed nothing: %s", error)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.force_exit = True  # asked twice
            return
        service = self.config.app.state.service  # type: ignore[union-attr]
        service.drain()
        delay = service.settings.drain_delay_s
        asyncio.get_running_loop().call_later(delay, self.stop)

    def stop(self) -> None:
        self.should_exit = True


def main() -> int:
    own_port = "SCORING_PORT" in os.environ or "PORT" not in os.environ
    try:
        settings = Settings() if own_port else Settings(port=os.environ["PORT"])  # type: ignore[arg-type]
        addresses = resolve(settings.host, settings.port)
        configure_logging(settings.log_level)
        if unknown := unknown_settings(os.environ):
            log.warning("settings that do not exist: %s", ", ".join(unknown))
        if "SCORING_HOST" not in os.environ and is_ip(os.environ.get("HOST", "")):
            log.warning("HOST is not read, SCORING_HOST is: listening on %s", settings.host)
        if not settings.api_keys and (reached := where_others_reach_it(settings, addresses)):
            if not settings.allow_anonymous:
                print(
                    f"SCORING_API_KEYS: need a key, since others can reach {reached};"
                    " or let anybody in with SCORING_ALLOW_ANONYMOUS=true",
                    file=sys.stderr,
                )
                return BAD_SETTING
            log.warning("no key is needed: whoever reaches %s may use the service", reached)
        sockets = listen(addresses)
    except ValidationError as error:
        for wrong in error.errors():
            name = "SCORING_" + "_".join(map(str, wrong["loc"])).upper()
            name = "PORT" if name == "SCORING_PORT" and not own_port else name
            print(f"{name}: {wrong['msg']}", file=sys.stderr)
        return BAD_SETTING
    except AddressError as error:
        print(error, file=sys.stderr)
        return error.code
    allow_many_files()
    failed = False

    def fail() -> None:
        nonlocal failed
        failed = True
        server.stop()

    try:
        app = create_app(settings, Store(settings.store), fail)
    except TracingError as error:
        print(error, file=sys.stderr)
        return BAD_SETTING
    server = Server(
        uvicorn.Config(
            app,
            loop="asyncio",  # uvloop reads up to 8 MB of one connection before the next has a turn
            http=Connection,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=settings.keep_alive_s,
            timeout_graceful_shutdown=math.ceil(settings.drain_s),
        )
    )
    log.info("listens on %s", ", ".join(Address.of(each).url for each in sockets))
    server.run(sockets)
    code = FAILED if failed else 0
    if any(thread.name.startswith(UNENDING_THREADS) for thread in threading.enumerate()):
        # It is inside an engine, where nothing can end it and Python would abort the process, or
        # waits for the archive's volume or the collector of spans, and Python would wait with it.
        logging.shutdown()
        os._exit(code)
    return code


def where_others_reach_it(settings: Settings, addresses: Sequence[Address]) -> str:
    """The address as it was set; "" if it is on loopback alone."""
    if settings.published is not None:
        return settings.published if is_published_to_others(settings.published) else ""
    return "" if all(address.is_loopback for address in addresses) else settings.host


def allow_many_files() -> None:
    """As many descriptors as the system allows: a connection and an upload take one each."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS names a limit that it does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def unknown_settings(environment: Mapping[str, str]) -> list[str]:
    """Names that begin like a setting and are none: probably typing errors."""
    known = {f"SCORING_{name.upper()}" for name in Settings.model_fields}
    return sorted(n for n in environment if n.startswith("SCORING_") and n not in known)
