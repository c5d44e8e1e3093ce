"""
HTTP/1.1 requests from bytes: h11, which is never given more than it can take at once.

The rule: what one turn of the event loop parses is bounded, whatever the bytes are. h11 by itself
parses all that has been read before anything else gets its turn, and accepts a head of any size
that arrives in one piece.
"""

import re
from typing import Any

import h11

from service.errors import HeadTooLarge, MalformedRequest, ServiceError
from service.http.limits import HEAD_BYTES, MOST_HEADERS

EVENTS = 64  # that are parsed in one turn of the loop; a chunk is one, and takes some 10 µs
FRAMING_BYTES = 4 << 10  # of a chunked body that are not its content, in any case
FRAMING_SHARE = 8  # one more byte for so many of its content: chunks of 48 bytes or more
_BLANK_LINE = re.compile(rb"\n\r?\n")


class Refused(h11.RemoteProtocolError):
    """A request that is not read to its end; `error` is the reason."""

    def __init__(self, error: ServiceError) -> None:
        super().__init__(str(error))
        self.error = error


class RequestParser(h11.Connection):
    """h11's connection, on the side of the server.

    `next_event` returns NEED_DATA also when enough is parsed for this turn (`has_more` is true
    then), and after the end of a request until `start_next_cycle`, whatever came with it.
    """

    def __init__(self) -> None:
        super().__init__(h11.SERVER, HEAD_BYTES)
        self._received, self._given = b"", 0
        """Of what was received last, so many bytes are given to h11."""
        self._events_left = 0
        self.method = b""
        """Of the current request, or the last one."""
        self._begin_body({})

    @property
    def has_more(self) -> bool:
        """Whether there may be events left that only another turn returns."""
        return self._events_left == 0

    @property
    def waiting(self) -> int:
        """Bytes that were received and belong to no event yet."""
        return len(self._received) - self._given + len(self.trailing_data[0])

    @property
    def is_received(self) -> bool:
        """Whether the current request is here to its last byte."""
        return self.their_state not in (h11.IDLE, h11.SEND_BODY, h11.ERROR)

    def begin_turn(self) -> None:
        self._events_left = EVENTS

    def receive_data(self, data: bytes) -> None:
        self._received, self._given = self._received[self._given :] + data, 0

    def next_event(self) -> Any:
        """Raises RemoteProtocolError; Refused where it is not the syntax that is wrong."""
        while self._events_left and not self.is_received:
            state = self.their_state
            if state is h11.IDLE:
                self._check_lines()
            try:
                event = super().next_event()
            except h11.RemoteProtocolError as error:
                if error.error_status_hint == 431:  # it waits for the end of a line, or of a head
                    raise Refused(_too_long(state)) from error
                raise
            if event is h11.NEED_DATA:
                if not self._feed():
                    break
                continue
            self._events_left -= 1
            if isinstance(event, h11.Request):
                self.method = event.method
                self._begin_body(dict(event.headers))
            elif isinstance(event, h11.Data):
                self._content += len(event.data)
            return event
        return h11.NEED_DATA

    def _begin_body(self, headers: dict[bytes, bytes]) -> None:
        self._is_chunked = b"transfer-encoding" in headers
        self._fed = len(self.trailing_data[0])
        self._announced = int(headers.get(b"content-length", b"0"))
        self._content = 0

    def _feed(self) -> bool:
        """Give h11 what it may have, if there is any."""
        size = HEAD_BYTES + 1 - len(self.trailing_data[0])
        if self.their_state is h11.SEND_BODY and not self._is_chunked:
            size = self._announced - self._fed
        elif self.their_state is h11.SEND_BODY:
            self._check_framing()
        data = self._received[self._given : self._given + size]
        self._given += len(data)
        if self._given == len(self._received):
            self._received, self._given = b"", 0
        self._fed += len(data)
        if data:  # without any, h11 takes it for the end of the connection
            super().receive_data(data)
        return bool(data)

    def _check_lines(self) -> None:
        """h11 takes a microsecond for each header, and everything after it some more."""
        head = self.trailing_data[0]
        end = _BLANK_LINE.search(head)
        if head.count(b"\n", 0, end.start() if end else len(head)) > MOST_HEADERS:
            raise Refused(HeadTooLarge(f"need at most {MOST_HEADERS} headers"))

    def _check_framing(self) -> None:
        framing = self._fed - self._content - len(self.trailing_data[0])
        if framing > FRAMING_BYTES + self._content // FRAMING_SHARE:
            text = f"{framing} bytes of framing for {self._content} of content, need larger chunks"
            raise Refused(MalformedRequest(text))


def _too_long(state: object) -> ServiceError:
    if state is h11.IDLE:
        return HeadTooLarge(f"need at most {HEAD_BYTES} bytes")
    return MalformedRequest(f"a line between chunks of more than {HEAD_BYTES} bytes")
