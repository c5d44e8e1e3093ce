"""
Connections that ask for nothing: uvicorn would keep them for ever, a descriptor each.

The rule: whoever is connected has a request being answered, or little time to send the head of
the next one or to take in the answer; and there are never more connections than allowed.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._settings = self.config.app.state.service.settings  # type: ignore[union-attr]
        self._until_head: asyncio.TimerHandle | None = None
        self._until_taken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._settings.max_connections:
            transport.abort()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop(self._until_head)
        self._stop(self._until_taken)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop(self._until_head)

    def on_response_complete(self) -> None:
        answered = self.cycle
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect_taken()
        elif self.cycle is answered:
            self._expect_head()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._expect_taken()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_taken()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop(self._until_taken)
        if self.transport.is_closing():  # which waits for the last byte to be taken
            self._expect_taken()

    def _expect_head(self) -> None:
        self._stop(self._until_head)
        self._until_head = self.loop.call_later(
            self._settings.head_timeout_s, self.timeout_keep_alive_handler
        )

    def _expect_taken(self) -> None:
        """Closing is not enough where the other side takes nothing."""
        self._stop(self._until_taken)
        self._until_taken = self.loop.call_later(
            self._settings.head_timeout_s, self.transport.abort
        )

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
