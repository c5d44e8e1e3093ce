"""`python -m service`: one process, one uvicorn worker, on HOST:PORT."""

import asyncio
import math
import os
import sys
from types import FrameType

import uvicorn
from pydantic import ValidationError

from model_store.store import Store
from service.app import create_app
from service.logs import configure_logging
from service.settings import Settings


class Server(uvicorn.Server):
    """Says at once that it is not ready when asked to stop, then finishes what is in flight.

    uvicorn would end the process by the signal that it got; this one exits with 0.
    """

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
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=math.ceil(settings.drain_s),
        )
    )
    server.run()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
