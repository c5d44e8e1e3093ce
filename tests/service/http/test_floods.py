"""Clients that push as much as they can, in ways that cost the service the most."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from model_store.store import Store
from tests.servers import LiveServer, live_server

CONNECTIONS = 40
SECONDS = 3.0
FLOOD = """
import socket, sys, threading, time
port, seconds, connections = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
once, again = (bytes.fromhex(line) for line in sys.stdin)
until = time.monotonic() + seconds

def push():
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.sendall(once)
                while time.monotonic() < until:
                    client.sendall(again)
        except OSError:
            pass  # refused: the next one

threads = [threading.Thread(target=push) for _ in range(connections)]
for thread in threads:
    thread.start()
"""


def post(path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: multipart/form-data; boundary=b"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


KEY, CHUNKED, LONG = (
    "Authorization: Bearer k",
    "Transfer-Encoding: chunked",
    "Content-Length: 90000000",
)
GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
MEETS = b'{"dives": [' + b"{}," * 60_000 + b"{}]}"
TINY_CHUNKS = b"1\r\nx\r\n" * 8000
MAIN = {
    "chunks to a path that is open without": (post("/livez", CHUNKED), TINY_CHUNKS),
    "chunks with a key": (post("/score", KEY, CHUNKED), TINY_CHUNKS),
    "chunks without a key": (post("/score", CHUNKED), TINY_CHUNKS),
}
KIN = {
    "chunks to nowhere": (post("/nowhere", CHUNKED), TINY_CHUNKS),
    "chunks of GET": (GET + CHUNKED.encode() + b"\r\n\r\n", TINY_CHUNKS),
    "small chunks": (post("/score", KEY, CHUNKED), (b"32\r\n" + b"x" * 50 + b"\r\n") * 2000),
    "tiny segments": (post("/score", KEY, LONG), b"x"),
    "tiny segments of a head": (b"", b"G"),
    "headers": (b"", GET + b"a:\r\n" * 4000 + b"\r\n"),
    "as many headers as allowed": (b"", GET + b"a:\r\n" * 98 + b"\r\n"),
    "trailers": (b"", post("/score", KEY, CHUNKED) + b"0\r\n" + b"a:\r\n" * 4000 + b"\r\n"),
    "extensions": (post("/score", KEY, CHUNKED), b"1;" + b"x" * 16000 + b"\r\nx\r\n"),
    "requests": (b"", (GET + b"\r\n") * 2000),
    "empty lines": (b"", b"\r\n" * 30000),
    "no HTTP": (b"", b"\0" * 100000),
    "meets": (
        b"",
        b"POST /panel/meet HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(MEETS), MEETS),
    ),
    "a refused body": (post("/score", LONG), b"x" * 100000),
}


@pytest.fixture(scope="module")
def server(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder: Path = tmp_path_factory.mktemp("floods")
    with live_server(store.root, folder, checkpoints="diving", api_keys="k") as server:
        yield server


def longest_answer(server: LiveServer, once: bytes, again: bytes) -> float:
    """Seconds that /livez took at most."""
    arguments = [str(server.port), str(SECONDS), str(CONNECTIONS)]
    command = [sys.executable, "-c", FLOOD, *arguments]
    longest = 0.0
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as flood:
        assert flood.stdin is not None
        flood.stdin.write(f"{once.hex()}\n{again.hex()}\n")
        flood.stdin.close()
        while flood.poll() is None:
            began = time.monotonic()
            assert httpx.get(f"{server.url}/livez", timeout=60).status_code == 200
            longest = max(longest, time.monotonic() - began)
    assert flood.returncode == 0
    return longest


@pytest.mark.parametrize("name", MAIN)
def test_others_are_answered_during_a_flood(server: LiveServer, name: str) -> None:
    assert longest_answer(server, *MAIN[name]) < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", KIN)
def test_others_are_answered_during_any_flood(server: LiveServer, name: str) -> None:
    assert longest_answer(server, *KIN[name]) < 1.0
