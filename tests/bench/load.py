"""Clients of an HTTP server: so many at a time, or so many a second."""

import http.client
import itertools
import threading
import time
import urllib.parse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

BOUNDARY = "clip-boundary"
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a clip is posted, as multipart/form-data."""

    url: str
    field: str = "clip"

    def connect(self) -> http.client.HTTPConnection:
        parts = urllib.parse.urlsplit(self.url)
        assert parts.hostname is not None
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)

    def post(self, connection: http.client.HTTPConnection, clip: bytes) -> tuple[int, bytes]:
        """-> status and body."""
        head = (
            f"--{BOUNDARY}\r\nContent-Disposition: form-data;"
            f' name="{self.field}"; filename="clip.mp4"\r\n'
            "Content-Type: video/mp4\r\n\r\n"
        )
        body = b"".join((head.encode(), clip, f"\r\n--{BOUNDARY}--\r\n".encode()))
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        connection.request("POST", urllib.parse.urlsplit(self.url).path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()

    def score(self, connection: http.client.HTTPConnection, clip: bytes) -> None:
        """Raises RuntimeError for another answer than a score."""
        status, body = self.post(connection, clip)
        if status != 200:
            raise RuntimeError(f"{self.url}: {status} {body[:200]!r}")


def score_all(endpoint: Endpoint, clips: Sequence[bytes], clients: int) -> None:
    """Score every clip once; each client has one request at a time. All must succeed."""
    waiting = iter(clips)
    lock = threading.Lock()

    def client() -> None:
        connection = endpoint.connect()
        while True:
            with lock:
                clip = next(waiting, None)
            if clip is None:
                connection.close()
                return
            endpoint.score(connection, clip)

    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(client) for _ in range(clients)]:
            done.result()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int  # 0: none came
    seconds: float
    """From the moment at which it should have been sent."""


def arrivals(endpoint: Endpoint, clips: Sequence[bytes], *, due: Sequence[float]) -> list[Answer]:
    """Requests at these moments, seconds from now, whatever becomes of those before."""
    began = time.monotonic()

    def one(moment: float, clip: bytes) -> Answer:
        connection = endpoint.connect()
        try:
            status, _ = endpoint.post(connection, clip)
        except (OSError, http.client.HTTPException):
            status = 0
        finally:
            connection.close()
        return Answer(status, time.monotonic() - began - moment)

    with ThreadPoolExecutor(len(due)) as pool:
        answers = []
        for moment, clip in zip(due, itertools.cycle(clips), strict=False):
            time.sleep(max(0.0, began + moment - time.monotonic()))
            answers.append(pool.submit(one, moment, clip))
        return [answer.result() for answer in answers]
