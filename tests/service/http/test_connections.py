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
from tests.servers import LiveServer, live_server, until

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


def test_no_answer_waits_for_an_acknowledgement(server: LiveServer) -> None:
    """40 ms, where the head of an answer and its body are sent apart and one must wait."""
    with connected(server) as connection:
        seconds = []
        for _ in range(20):
            began = time.monotonic()
            connection.sendall(GET)
            answer(connection)
            seconds.append(time.monotonic() - began)
    assert sorted(seconds)[10] < 0.02


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


def head_with(header: str, size: int) -> bytes:
    """A request whose head has about `size` bytes, in different places."""
    start = {
        "method": (b"x" * size, b"/livez", b""),
        "address": (b"GET", b"/livez/" + b"x" * size, b""),
        "query": (b"GET", b"/livez?" + b"x" * size, b""),
        "one header": (b"GET", b"/livez", b"X: " + b"y" * size + b"\r\n"),
        "spaces": (b"GET", b"/livez", b"X: " + b" " * size + b"y\r\n"),
        "folded": (b"GET", b"/livez", b"X: y\r\n" + b" y\r\n" * (size // 4)),
        "many headers": (b"GET", b"/livez", b"X: %s\r\n" % (b"y" * 250) * (size // 255)),
    }
    method, address, headers = start[header]
    return b"%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (method, address, headers)


PLACES = ["method", "address", "query", "one header", "spaces", "folded", "many headers"]


@pytest.mark.parametrize("piece", [1 << 20, 9_000], ids=["at once", "in pieces"])
@pytest.mark.parametrize("before", [b"", GET], ids=["first", "next"])
@pytest.mark.parametrize("place", PLACES)
def test_a_head_has_16_kib(server: LiveServer, place: str, before: bytes, piece: int) -> None:
    for size in (17_000, 60_000):
        request = before + head_with(place, size)
        with connected(server) as connection:
            for at in range(0, len(request), piece):
                connection.sendall(request[at : at + piece])
                time.sleep(0.02)
            received = all_of(connection)
        last = received[received.rindex(b"HTTP/1.1 ") :]
        assert last.startswith(b"HTTP/1.1 431 ")
        assert b"/problems/head-too-large" in last
        assert b"x-request-id: " in last.lower()


@pytest.mark.parametrize("place", ["one header", "spaces"])
def test_a_head_of_less_is_read(server: LiveServer, place: str) -> None:
    with connected(server) as connection:
        connection.sendall(head_with(place, 16_000))
        assert answer(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("count", "status"), [(99, b"200"), (100, b"431")])
def test_a_head_has_100_headers(server: LiveServer, count: int, status: bytes) -> None:
    with connected(server) as connection:  # with Host there is one more
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * count + b"\r\n")
        assert answer(connection).startswith(b"HTTP/1.1 " + status)


def all_of(connection: socket.socket) -> bytes:
    """Until the service closes; a reset, which may lose the answer, is an error."""
    received = b""
    while part := connection.recv(1 << 16):
        received += part
    return received


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
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nno trailer\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 300_000,
    ],
)
def test_what_is_no_http_gets_a_problem_too(server: LiveServer, request_: bytes) -> None:
    received = server.raw(request_)
    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"/problems/malformed-request" in received
    assert b"X-Request-ID: " in received
    assert b"X-Content-Type-Options: nosniff" in received
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


@pytest.mark.parametrize("size", [40, 1000, 16384])
def test_chunks_may_be_as_small_as_honest_clients_send_them(server: LiveServer, size: int) -> None:
    """A JSON encoder's pieces are the smallest: the next test has those."""
    body = b'--b\r\nContent-Disposition: form-data; name="clip"; filename="c"\r\n\r\n'
    body += b"\0" * 1_000_000 + b"\r\n--b--\r\n"
    received = server.raw(chunked(b"/score", b"multipart/form-data; boundary=b", body, size))
    if size == 40:
        assert received.startswith(b"HTTP/1.1 400")
        assert b"need larger chunks" in received
    else:
        assert received.startswith(b"HTTP/1.1 415")


def test_a_small_body_may_come_byte_by_byte(server: LiveServer) -> None:
    body = b'{"marks": [8, 8, 8, 8, 8], "difficulty": 3}' + b" " * 400
    assert b'"total":72.0' in server.raw(chunked(b"/panel", b"application/json", body, 1))


def chunked(path: bytes, kind: bytes, body: bytes, size: int) -> bytes:
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" % path
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    rest = b"Connection: close\r\nContent-Type: %s\r\n\r\n%s0\r\n\r\n"
    return head + rest % (kind, chunks)


@pytest.mark.parametrize("method", [b"HEAD", b"GET", b"POST"])
@pytest.mark.parametrize("path", [b"/", b"/livez", b"/nowhere", b"/score", b"/admin/reload"])
@pytest.mark.parametrize("body", [b"z\r\n", b"0\r\nno trailer\r\n\r\n", b"ffff\r\n" + b"x" * 65535])
def test_what_a_client_does_wrong_is_no_error_in_the_log(
    server: LiveServer, method: bytes, path: bytes, body: bytes
) -> None:
    for first in (b"", b"ffff\r\n%s\r\n" % (b"x" * 65535)):
        with connected(server) as connection:
            connection.sendall(b"%s %s HTTP/1.1\r\nHost: x\r\n" % (method, path))
            connection.sendall(b"Transfer-Encoding: chunked\r\n\r\n" + first + body)
            received = connection.recv(1 << 16)
        assert received.startswith(b"HTTP/1.1 ")
        assert not received.startswith(b"HTTP/1.1 5")
    assert not [line for line in server.log_lines() if line["level"] == "error"]


def test_a_refused_upload_gets_its_answer_and_its_rest_is_not_parsed(server: LiveServer) -> None:
    head = b"POST /admin/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    junk = b"z" * (20 << 20)  # no chunks
    with connected(server) as connection:
        connection.sendall(head)
        time.sleep(0.1)
        connection.sendall(junk)
        assert all_of(connection).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    ("header", "extra"),
    [
        (b"", b""),
        (b"", b"\r\n"),
        (b"", GET),
        (b"", GET * 5000),  # more than is kept
        (b"Connection: close\r\n", b"\r\n"),
        (b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b""),
    ],
    ids=["nothing", "a line", "a request", "many", "after close", "upgrade"],
)
def test_a_hang_up_stops_the_work_whatever_came_before_it(
    server: LiveServer, header: bytes, extra: bytes
) -> None:
    cancelled = 'score_requests_total{outcome="cancelled"}'
    before = server.metric(cancelled)
    body = b'--b\r\nContent-Disposition: form-data; name="clip"; filename="c"\r\n\r\n'
    body += clip_bytes(height=720, width=1280) + b"\r\n--b--\r\n"
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
    kind = b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(head + header + kind + body)
        until(lambda: server.metric("score_inflight_requests") == 1)
        connection.sendall(extra)
    until(lambda: server.metric("score_inflight_requests") == 0)
    assert server.metric(cancelled) == before + 1


def test_what_is_sent_far_ahead_is_not_answered(server: LiveServer) -> None:
    with connected(server) as connection:
        connection.sendall(GET * 5000)
        assert 1 <= all_of(connection).count(b"HTTP/1.1 200") < 5000
