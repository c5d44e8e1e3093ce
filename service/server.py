"""The server: one process, one uvicorn worker, on HOST:PORT; its signals and exit codes."""

import asyncio
import contextlib
import ipaddress
import logging
import math
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping
from types import FrameType

import uvicorn
from pydantic import ValidationError

from model_store.store import Store
from service.app import create_app
from service.connections import Connection
from service.errors import ServiceError
from service.limits import HEAD_BYTES
from service.logs import configure_logging
from service.settings import Settings

log = logging.getLogger("service")


class Server(uvicorn.Server):
    """Says at once that it is not ready when asked to stop, then finishes what is in flight.

    uvicorn would end the process by the signal that it got; this one exits with 0. SIGHUP has it
    serve what was published since.
    """

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload)
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
    try:
        settings = Settings()
        host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000"))
    except ValidationError as error:
        for wrong in error.errors():
            name = "_".join(map(str, wrong["loc"])).upper()
            print(f"SCORING_{name}: {wrong['msg']}", file=sys.stderr)
        return 2
    except ValueError:
        print("PORT: need a number", file=sys.stderr)
        return 2
    configure_logging(settings.log_level)
    if unknown := unknown_settings(os.environ):
        log.warning("settings that do not exist: %s", ", ".join(unknown))
    if not (settings.api_keys or settings.allow_anonymous or is_loopback(host)):
        print(
            f"SCORING_API_KEYS: need a key, since HOST is {host or 'all addresses'};"
            " or let anybody in with SCORING_ALLOW_ANONYMOUS=true",
            file=sys.stderr,
        )
        return 2
    allow_many_files()
    failed = False

    def fail() -> None:
        nonlocal failed
        failed = True
        server.stop()

    app = create_app(settings, Store(settings.store), fail)
    server = Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=Connection,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=settings.keep_alive_s,
            h11_max_incomplete_event_size=HEAD_BYTES,
            timeout_graceful_shutdown=math.ceil(settings.drain_s),
        )
    )
    server.run()
    return 1 if failed else 0


def allow_many_files() -> None:
    """As many descriptors as the system allows: a connection and an upload take one each."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS names a limit that it does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def unknown_settings(environment: Mapping[str, str]) -> list[str]:
    """Names that begin like a setting and are none: typing errors, most likely."""
    known = {f"SCORING_{name.upper()}" for name in Settings.model_fields}
    return sorted(n for n in environment if n.startswith("SCORING_") and n not in known)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
