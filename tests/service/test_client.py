"""The Python client against the running service."""

import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from model_store.store import Store
from service.client import Overloaded, ScoringClient, ScoringError
from tests.clips import clip_bytes
from tests.servers import LiveServer, live_server, serving

MARKS = [8.5, 8, 8, 8.5, 9, 8, 8]


@pytest.fixture
def client(server: LiveServer) -> Iterator[ScoringClient]:
    with ScoringClient(server.url) as client:
        yield client


@pytest.fixture(scope="module")
def dive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "dive.mp4"
    path.write_bytes(clip_bytes())
    return path


def test_score_from_a_path_or_a_file_is_the_services(
    client: ScoringClient, server: LiveServer, dive: Path
) -> None:
    expected = server.score(dive.read_bytes(), difficulty="3.3").json()
    answer = client.score(dive, difficulty=3.3, marks=MARKS)
    assert answer["score"] == pytest.approx(expected["score"], abs=1e-3)
    assert answer["execution"] == pytest.approx(expected["execution"], abs=1e-3)
    assert answer["panel"]["total"] == 80.85  # 8 + 8 + 8.5 = 24.5; × 3.3
    named = client.score(dive, dive="107B", height=3, marks=[8, 5, 8, 8, 5])  # with no half
    assert named["dive"]["name"] == "forward 3½ somersaults, pike"
    assert named["panel"]["total"] == 65.1
    again = client.score(io.BytesIO(dive.read_bytes()), action="diving", frames=True, end_s=2)
    assert again["clip"]["frames"] == 60
    assert again["fragments"][0]["jpeg"]


def test_find_is_asked_for(client: ScoringClient) -> None:
    recording = clip_bytes(frames=200)
    found = client.score(io.BytesIO(recording), find=True)
    begin, end = found["found_s"]
    told = client.score(io.BytesIO(recording), start_s=begin, end_s=end)
    assert told["score"] == pytest.approx(found["score"], abs=1e-4)
    assert told["found_s"] is None


def test_events_come_in_order(client: ScoringClient, dive: Path) -> None:
    events = []
    answer = client.score(dive, on_event=lambda name, data: events.append((name, data)))
    names = [name for name, _ in events]
    assert names[0] == "queued"
    assert names[-1] == "scoring"
    assert set(names[1:-1]) == {"decoding"}
    done = [data["done"] for name, data in events if name == "decoding"]
    assert done == sorted(done)
    assert done[-1] == 151
    assert len(answer["fragments"]) == 9


@pytest.mark.parametrize("listen", [None, lambda name, data: None], ids=["answer", "events"])
def test_problems_are_errors(client: ScoringClient, listen: object) -> None:
    with pytest.raises(ScoringError) as caught:
        client.score(io.BytesIO(b"no video"), on_event=listen)  # type: ignore[arg-type]
    assert caught.value.type == "/problems/not-a-video"
    assert caught.value.status == 415
    assert caught.value.request_id
    with pytest.raises(ScoringError) as caught:
        client.score(io.BytesIO(b"no video"), difficulty=9.0, on_event=listen)  # type: ignore[arg-type]
    assert [wrong["name"] for wrong in caught.value.errors] == ["difficulty"]


def test_rank_panel_and_checkpoints(client: ScoringClient, dive: Path) -> None:
    ranked = client.rank([dive, io.BytesIO(clip_bytes(seed=3))], difficulties=[3.0, None])
    assert sorted(ranked["order"]) == [0, 1]
    named = client.rank([dive, dive], dives=["107B", None], heights=[3, None])
    assert [clip["dive"] and clip["dive"]["difficulty"] for clip in named["clips"]] == [3.1, None]
    assert client.panel(MARKS, 3.3)["total"] == 80.85
    assert client.panel([8, 5, 8], dive="107B", height=3)["total"] == 65.1
    assert client.panel([9.0, 9.1, 9.2, 9.1, 8.9], 5.8, action="vault")["total"] == 14.867
    meet = client.panel_meet([{"diver": "A", "dive": "107B", "height": 3, "marks": [8, 5, 8]}])
    assert meet["dives"][0]["total"] == 65.1
    assert client.checkpoints()["default"] == "diving"
    assert client.checkpoint("vault@1")["action"] == "vault"
    assert client.ready()


def test_it_comes_back_when_the_service_has_room(store: Store, tmp_path: Path, dive: Path) -> None:
    """Room for one clip at a time, four clients at once: refused ones wait as long as asked."""
    settings: dict[str, Any] = {"queue_fragments": 9, "checkpoints": "diving", "decode_workers": 1}
    with live_server(store.root, tmp_path, **settings) as server:
        with ScoringClient(server.url, retries=8) as client, ThreadPoolExecutor(4) as threads:
            client.score(dive)  # so that the service knows how long one takes
            began = time.monotonic()
            answers = list(threads.map(lambda _: client.score(dive), range(4)))
        assert len({answer["score"] for answer in answers}) == 1
        assert "429" in server.log.read_text()
        assert time.monotonic() - began >= 1  # the shortest that the service sends


class Busy(BaseHTTPRequestHandler):
    """A proxy without room: 503 for the first request below /scorer, an answer for the next."""

    after: str | None = "1"
    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked += 1
        if self.asked == 1:
            self.send_response(503)
            if self.after is not None:
                self.send_header("Retry-After", self.after)
            body = b"<h1>Busy</h1>"
        else:
            self.send_response(200 if self.path == "/scorer/score" else 404)
            body = b'{"score": 12.5}'
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("after", "again"), [("1", True), (None, False), ("Fri, 27 Nov 2026 10:00:00 GMT", False)]
)
def test_a_503_counts_as_no_room_if_it_says_when_to_come_back(
    dive: Path, after: str | None, again: bool
) -> None:
    handler = type("Handler", (Busy,), {"after": after, "asked": 0})
    with serving(handler) as url, ScoringClient(f"{url}/scorer/") as client:
        if again:
            assert client.score(dive)["score"] == 12.5
        else:
            with pytest.raises(ScoringError) as caught:
                client.score(dive)
            assert caught.value.status == 503
            assert not isinstance(caught.value, Overloaded)


class BadGateway(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(502)

    def log_message(self, *_: object) -> None:
        pass


def test_what_is_not_from_the_service_is_an_error_too() -> None:
    with (
        serving(BadGateway) as url,
        ScoringClient(url) as client,
        pytest.raises(ScoringError) as caught,
    ):
        client.checkpoints()
    assert caught.value.status == 502
    assert not isinstance(caught.value, Overloaded)
