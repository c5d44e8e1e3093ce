"""Connections as proxies and old clients use them."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_store.store import Store
from service.settings import Settings
from tests.clips import clip_bytes
from tests.servers import LiveServer, live_server

GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /panel HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def server(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    settings: dict[str, Any] = {"head_timeout_s": 1.0, "keep_alive_s": 3, "max_connections": 4}
    folder: Path = tmp_path_factory.mktemp("connections")
    with live_server(store.root, folder, checkpoints="diving", **settings) as server:
        yield server


@contextmanager
def connected(server: LiveServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        yield connection


def answer(connection: socket.socket, count: int = 1) -> bytes:
    """`count` answers to `GET`, which end in its JSON."""
    received = b""
    while received.count(b'"}') < count:
        part = connection.recv(1 << 16)
        assert part, received
        received += part
    return received


def seconds_open(connection: socket.socket) -> float:
    began = time.monotonic()
    assert connection.recv(1) == b""
    return time.monotonic() - began


def test_a_proxys_idle_connections_outlive_its_own_patience() -> None:
    """nginx and AWS load balancers keep theirs for 60 s."""
    assert Settings().keep_alive_s > 60


def test_a_connection_waits_for_the_next_request(server: LiveServer) -> None:
    with connected(server) as connection:
        for pause in (0.0, 1.8):  # longer than a head may take
            time.sleep(pause)
            connection.sendall(GET)
            assert answer(connection).startswith(b"HTTP/1.1 200")
        assert 2.5 < seconds_open(connection) < 5


@pytest.mark.parametrize("beginning", [b"", GET], ids=["first", "next"])
def test_a_head_that_has_begun_has_little_time(server: LiveServer, beginning: bytes) -> None:
    with connected(server) as connection:
        if beginning:
            connection.sendall(beginning)
            answer(connection)
        connection.sendall(GET[:20])
        assert 0.5 < seconds_open(connection) < 2.5


def test_a_begun_head_after_a_whole_request_has_little_time(server: LiveServer) -> None:
    with connected(server) as connection:
        connection.sendall(GET + GET[:20])
        answer(connection)
        assert 0.5 < seconds_open(connection) < 2.5


def test_requests_may_come_together(server: LiveServer) -> None:
    with connected(server) as connection:
        connection.sendall(GET * 3)
        assert answer(connection, 3).count(b"HTTP/1.1 200") == 3
        connection.sendall(GET[:20])
        time.sleep(0.3)
        connection.sendall(GET[20:])
        assert answer(connection).startswith(b"HTTP/1.1 200")


def test_the_one_that_waits_longest_makes_room(server: LiveServer) -> None:
    time.sleep(0.2)  # those of other tests are gone
    with connected(server) as first, connected(server) as busy, connected(server) as second:
        first.sendall(GET)
        answer(first)
        second.sendall(GET)
        answer(second)
        busy.sendall(GET[:20])
        with connected(server) as third, connected(server) as fourth:
            for connection in (third, fourth):
                connection.sendall(GET)
                assert answer(connection).startswith(b"HTTP/1.1 200")
            assert seconds_open(first) < 0.5
            busy.sendall(GET[20:])
            assert answer(busy).startswith(b"HTTP/1.1 200")


def test_one_too_many_is_closed_where_none_waits(server: LiveServer) -> None:
    time.sleep(0.2)
    with (
        connected(server) as first,
        connected(server) as second,
        connected(server) as third,
        connected(server) as fourth,
    ):
        for connection in (first, second, third, fourth):
            connection.sendall(GET[:20])
        time.sleep(0.2)
        with connected(server) as fifth, pytest.raises((ConnectionError, AssertionError)):
            answer(fifth)


def test_http_1_0(server: LiveServer) -> None:
    assert b"200 OK" in server.raw(b"GET /livez HTTP/1.0\r\n\r\n")
    body = b'--b\r\nContent-Disposition: form-data; name="clip"; filename="c"\r\n\r\n'
    body += clip_bytes() + b"\r\n--b--\r\n"
    head = f"POST /score HTTP/1.0\r\nContent-Length: {len(body)}\r\nAccept: text/event-stream\r\n"
    kind = "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    assert b"event: result" in server.raw((head + kind).encode() + body)


def test_a_body_is_asked_for_only_if_it_is_wanted(server: LiveServer) -> None:
    body = b'{"marks": [8, 8, 8, 8, 8], "difficulty": 3}'
    head = b"Host: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\n"
    with connected(server) as connection:
        connection.sendall(b"POST /panel HTTP/1.1\r\n%sContent-Length: 43\r\n\r\n" % head)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert b"72.0" in answer_of(connection)
    for line in (b"POST /panel/ HTTP/1.1\r\n", b"POST /panel?a=b HTTP/1.1\r\n"):
        with connected(server) as connection:
            connection.sendall(line + head + b"Content-Length: 43\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 4")
    with connected(server) as connection:
        connection.sendall(b"POST /panel HTTP/1.1\r\n%sContent-Length: 99999\r\n\r\n" % head)
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def answer_of(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received or not received.endswith(b"}"):
        received += connection.recv(1 << 16)
    return received


@pytest.mark.parametrize("pause", [0.0, 0.05], ids=["at once", "in pieces"])
@pytest.mark.parametrize(("size", "status"), [(15_000, 200), (17_000, 431), (60_000, 431)])
def test_a_head_has_16_kib(server: LiveServer, size: int, status: int, pause: float) -> None:
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + b"y" * size + b"\r\n\r\n"
    received = b""
    with connected(server) as connection:
        try:
            for at in range(0, len(head), 10_000 if pause else len(head)):
                connection.sendall(head[at : at + (10_000 if pause else len(head))])
                time.sleep(pause)
            while part := connection.recv(1 << 16):
                received += part
        except ConnectionError:
            assert status == 431
    if received or status == 200:
        assert received.startswith(f"HTTP/1.1 {status}".encode())
        assert b"x-request-id: " in received.lower()
    if status == 431 and received:
        assert b"/problems/head-too-large" in received
        assert b"application/problem+json" in received


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /livez\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",  # without a Host
        b"GET /li vez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS
        POST + b"Transfer-Encoding: chunked\r\n\r\nz\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",  # CVE-2025-43859
        POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffffff\r\nhello\r\n",
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        POST + b"Content-Length: 5, 6\r\n\r\nhello",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"X-Null: a\0b\r\n\r\n",
    ],
)
def test_what_is_no_http_gets_a_problem_too(server: LiveServer, request_: bytes) -> None:
    received = server.raw(request_)
    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"/problems/malformed-request" in received
    assert b"X-Request-ID: " in received
    assert httpx.get(f"{server.url}/livez").status_code == 200


def test_a_body_may_come_in_chunks(server: LiveServer) -> None:
    body = b'{"marks": [8, 8, 8, 8, 8], "difficulty": 3}'
    chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(body[i : i + 9]), body[i : i + 9])
                      for i in range(0, len(body), 9))  # fmt: skip
    received = server.raw(
        b"POST /panel HTTP/1.1\r\nHost: x:8000\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: close\r\nContent-Type: application/json\r\n\r\n" + chunks + b"0\r\n\r\n"
    )
    assert b'"total":72.0' in received
