"""
How a connection ends while its client still sends: in stages, as RFC 9112, section 9.6, has it.

A socket that is closed with unread bytes is reset, and the client may lose the answer: most clients
read it only when they have sent everything. So the sending side is closed first, and what still
comes is thrown away unparsed, for a while and up to a size.
"""

import asyncio
from collections.abc import Callable
from typing import Any

LINGER_S = 5.0
LINGER_BYTES = 256 << 20


class StagedTransport(asyncio.Transport):
    """A transport as uvicorn uses it, whose `close` waits for a client that still sends."""

    def __init__(
        self,
        transport: asyncio.Transport,
        *,
        loop: asyncio.AbstractEventLoop,
        is_sending: Callable[[], bool],
    ) -> None:
        """`is_sending` returns whether bytes of the client may be unread."""
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._is_sending = is_sending
        self._left = LINGER_BYTES
        self._end: asyncio.TimerHandle | None = None

    @property
    def lingers(self) -> bool:
        return self._end is not None

    def close(self) -> None:
        if self.is_closing():
            return
        if not self._is_sending():
            self._transport.close()
            return
        self._end = self._loop.call_later(LINGER_S, self._transport.abort)
        try:
            self._transport.write_eof()
        except OSError:  # the client is gone already
            self._transport.abort()
        else:
            self._transport.resume_reading()

    def throw_away(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()

    def lost(self) -> None:
        """To be called when the connection is closed."""
        if self._end is not None:
            self._end.cancel()

    def is_closing(self) -> bool:
        return self.lingers or self._transport.is_closing()

    def abort(self) -> None:
        self._transport.abort()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.lingers:
            self._transport.write(data)

    def pause_reading(self) -> None:
        if not self.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.is_closing():
            self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)
