"""
Closes connections that are idle, slow or too many. uvicorn keeps them for ever, a descriptor each.

The rule: whoever is connected has a request being answered, or little time to send the head of
the next one or to take in the answer, or waits between two requests for as long as proxies do; and
there are never more connections than allowed. The one that waits longest makes room for a new one.
"""

import asyncio
import sys
import uuid
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.errors import MalformedRequest
from service.http.closing import StagedTransport
from service.http.parser import Refused, RequestParser
from service.http.problems import MEDIA_TYPE, problem_of
from service.logs import request_id

AHEAD_BYTES = 64 << 10  # of further requests that may come while one is answered


class _Flow(FlowControl):
    """Reading rests also while the parser is behind."""

    _is_behind = False

    def wait_for_parser(self) -> None:
        self._is_behind = True
        self.pause_reading()

    def go_on(self, *, resume: bool) -> None:
        self._is_behind = False
        if resume:
            self.resume_reading()

    def resume_reading(self) -> None:
        if not self._is_behind:
            super().resume_reading()


class Connection(H11Protocol):
    conn: RequestParser
    transport: StagedTransport
    flow: _Flow

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn = RequestParser()
        self._settings = self.config.app.state.service.settings  # type: ignore[union-attr]
        self._until_head: asyncio.TimerHandle | None = None
        self._until_taken: asyncio.TimerHandle | None = None
        self._next_turn: asyncio.Handle | None = None
        self._drops_the_rest = False
        self._idle_since: float | None = None
        """On the loop's clock, while it waits between two requests, or for the client to close."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        staged = StagedTransport(transport, loop=self.loop, is_sending=self._is_sending)
        super().connection_made(staged)
        self.flow = _Flow(staged)
        if len(self.connections) > self._settings.max_connections and not self._find_room():
            transport.abort()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._until_head, self._until_taken, self._next_turn):
            self._stop(timer)
        self.transport.lost()
        self._idle_since = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._drops_the_rest or self.transport.is_closing():
            self.transport.throw_away(data)
            return
        self._unset_keepalive_if_required()
        if self._idle_since is not None:
            self._idle_since = None
            self._expect_head()
        self.conn.receive_data(data)
        if self._next_turn is None:
            self.handle_events()

    def handle_events(self) -> None:
        """A slice of what was received: then other connections have their turn."""
        self._stop(self._next_turn)
        self._next_turn = None
        if self._drops_the_rest or self.transport.is_closing():
            return
        before = self.cycle
        self.conn.begin_turn()
        super().handle_events()
        if self.cycle is not before:
            self._stop(self._until_head)
        if self.conn.has_more:
            self.flow.wait_for_parser()
            self._next_turn = self.loop.call_soon(self.handle_events)
        elif self.conn.is_received and self.conn.waiting > AHEAD_BYTES:
            self._drops_the_rest = True
            self.cycle.keep_alive = False
        else:
            taken = self.cycle is None or len(self.cycle.body) <= HIGH_WATER_LIMIT
            self.flow.go_on(resume=taken)

    def on_response_complete(self) -> None:
        answered = self.cycle
        super().on_response_complete()
        if self.transport.is_closing():
            if self.transport.lingers:
                self._idle_since = self.loop.time()
            self._expect_taken()
        elif self.cycle is answered:
            self._idle_since = self.loop.time()
            if self.conn.waiting:  # the beginning of the next head came with this one
                self._idle_since = None
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

    def send_400_response(self, msg: str) -> None:
        """A problem with a request id, as all others; uvicorn has a line of text."""
        refused = sys.exception()  # h11's or the parser's; uvicorn handles it here
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()  # in the middle of an answer
            return
        without_body = False
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # its request is the one that is malformed
            self.cycle.message_event.set()
            without_body = self.conn.method == b"HEAD"
        token = request_id.set(uuid.uuid4().hex)
        problem = problem_of(refused.error if isinstance(refused, Refused) else MalformedRequest())
        body = problem.json().encode()
        headers = {
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(len(body)),
            "X-Request-ID": request_id.get() or "",
            "X-Content-Type-Options": "nosniff",
            "Connection": "close",
        }
        status = problem.kind.status
        for event in (
            h11.Response(
                status_code=status, headers=[*headers.items()], reason=HTTPStatus(status).phrase
            ),
            h11.Data(data=b"" if without_body else body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        request_id.reset(token)
        self.transport.close()
        self._idle_since = self.loop.time()
        self._expect_taken()

    def _should_upgrade(self) -> bool:
        """To nothing. uvicorn would log two warnings for each request that asks."""
        return False

    def _is_sending(self) -> bool:
        """Whether bytes of the client may be unread, or on their way."""
        return self._drops_the_rest or not self.conn.is_received or self.conn.waiting > 0

    def _find_room(self) -> bool:
        """Close the connection that waits longest, if there is one."""
        waiting = [
            (each._idle_since, each)
            for each in self.connections
            if isinstance(each, Connection) and each._idle_since is not None
        ]
        if not waiting:
            return False
        _, longest = min(waiting, key=lambda pair: pair[0])
        longest._idle_since = None
        if longest.transport.lingers:
            longest.transport.abort()
        else:
            longest.timeout_keep_alive_handler()
        return True

    def _expect_head(self) -> None:
        self._stop(self._until_head)
        self._until_head = self.loop.call_later(
            self._settings.head_timeout_s, self.timeout_keep_alive_handler
        )

    def _expect_taken(self) -> None:
        """Closing is not enough where the other side takes nothing."""
        self._stop(self._until_taken)
        if not self.transport.lingers:  # which has a time of its own
            self._until_taken = self.loop.call_later(
                self._settings.head_timeout_s, self.transport.abort
            )

    @staticmethod
    def _stop(timer: asyncio.Handle | None) -> None:
        if timer is not None:
            timer.cancel()
