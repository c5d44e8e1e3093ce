"""Clips that are kept: whole or not at all, and never at the cost of an answer."""

import asyncio
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_store.archive import kept_folders, read_kept_clip
from model_store.store import Store
from service.client import ScoringClient, ScoringError
from service.metrics import Metrics
from service.scoring import archive as module
from tests.clips import clip_bytes, clip_of, moving_square
from tests.servers import COMMAND, App, live_server, running_app

pytestmark = pytest.mark.anyio

CLIP = clip_bytes(frames=100)
SHA256 = hashlib.sha256(CLIP).hexdigest()
MARKS = "8.5,8,8,8.5,9,8,8"  # 24.5 × difficulty
IN_A_SMALL_ARCHIVE = (
    "unshare", "-rm", "sh", "-c",
    'mount -t tmpfs -o size=1m none "$SCORING_ARCHIVE" && exec "$@"', "sh",
)  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept") / "archive"


@pytest.fixture(scope="module")
async def shared_app(store: Store, archive: Path) -> AsyncIterator[App]:
    async with running_app(store, archive=archive) as app:
        yield app


@pytest.fixture
def app(shared_app: App, archive: Path) -> App:
    """Its archive is empty."""
    shutil.rmtree(archive)
    archive.mkdir()
    return shared_app


def answer_of(response: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def judged(app: App, **fields: str) -> httpx.Response:
    return await app.client.post(f"/clips/{SHA256}/judged", data=fields)


def file_of(archive: Path, name: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((archive / SHA256 / name).read_text())
    return values


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def locked(archive: Path) -> Iterator[None]:
    """Another process changes a clip all the while."""
    with (archive / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def test_a_kept_clip_is_a_folder_with_the_file_and_the_answer(
    app: App, archive: Path
) -> None:
    plain = answer_of(await app.score(CLIP, difficulty="3.3"))
    assert plain["kept"] is False
    assert names(archive) == []
    answer = answer_of(await app.score(CLIP, difficulty="3.3", keep="true", start_s="0.5"))
    assert answer["kept"] is True
    assert "not_kept" not in answer["warnings"]
    folder = archive / answer["clip"]["sha256"]
    assert names(folder) == ["answer.json", "clip.mp4"]
    assert (folder / "clip.mp4").read_bytes() == CLIP
    kept = file_of(archive, "answer.json")
    for name in ("score", "difficulty", "action", "interval", "checkpoint", "clip"):
        assert kept[name] == answer[name]
    assert len(kept["fragments"]) == 9
    assert (kept["start_s"], kept["end_s"]) == (0.5, None)


async def test_of_a_found_routine_its_part_is_kept(app: App, archive: Path) -> None:
    """Training then reads what was scored, and not the end of the recording."""
    clip = clip_bytes(frames=300, seed=43)
    answer = answer_of(await app.score(clip, find="true", keep="true", start_s="1"))
    start_s, end_s = answer["found_s"]
    kept = read_kept_clip(archive / answer["clip"]["sha256"]).answer
    assert 1 <= start_s < end_s
    assert (kept.start_s, kept.end_s) == (start_s, end_s)


async def test_judges_may_give_the_dive_instead_of_its_difficulty(app: App) -> None:
    answer_of(await app.score(CLIP, keep="true"))
    kept = answer_of(await judged(app, marks=MARKS, dive="107B", height="3"))
    assert kept["judged"]["difficulty"] == 3.1
    assert kept["judged"]["score"] == pytest.approx(24.5 * 3.1)
    wrong = answer_of(await judged(app, dive="107B"), 422)
    assert [each["name"] for each in wrong["errors"]] == ["height"]


@pytest.mark.parametrize(
    ("container", "ending"),
    [
        ("mp4", "mp4"),
        ("mov", "mov"),
        ("matroska", "mkv"),
        ("webm", "webm"),
        ("avi", "avi"),
        ("mpegts", "ts"),
    ],
)
async def test_the_file_is_named_by_its_container(
    app: App, archive: Path, container: str, ending: str
) -> None:
    codec = {"webm": "libvpx", "avi": "mpeg4"}.get(container, "libx264")
    content = clip_of(moving_square(40, 48, 64), container=container, codec=codec)
    for name in ("../../x.exe", "a\0b", "clip.mp4"):
        sent = {"clip": (name, content, "text/html")}
        answer = answer_of(await app.client.post("/score", files=sent, data={"keep": "true"}))
        folder = archive / answer["clip"]["sha256"]
        assert names(folder) == ["answer.json", f"clip.{ending}"]
    assert len(names(archive)) == 2  # one folder, and the lock


async def test_marks_of_the_request_are_judged_at_once_and_more_can_follow(
    app: App, archive: Path
) -> None:
    answer_of(await app.score(CLIP, keep="true", difficulty="3.2", marks=MARKS, end_s="3"))
    first = file_of(archive, "judged.json")
    assert first["score"] == 78.4  # 24.5 × 3.2
    assert first["marks"] == [8.5, 8, 8, 8.5, 9, 8, 8]
    assert (first["difficulty"], first["end_s"]) == (3.2, 3.0)
    added = answer_of(await judged(app, group="Smith"))["judged"]
    assert (added["score"], added["group"]) == (78.4, "Smith")
    harder = answer_of(await judged(app, difficulty="3.4"))["judged"]
    assert (harder["score"], harder["group"]) == (83.3, "Smith")
    announced = answer_of(await judged(app, score="71.4"))["judged"]
    assert (announced["score"], announced["marks"], announced["difficulty"]) == (71.4, [], 3.4)
    again = answer_of(await judged(app, marks="7 7 7 7 7"))["judged"]
    assert (again["score"], again["group"]) == (71.4, "Smith")
    assert file_of(archive, "judged.json")["marks"] == [7] * 5


async def test_the_difficulty_may_come_first_and_alone(app: App, archive: Path) -> None:
    answer_of(await app.score(CLIP, keep="true"))
    only = answer_of(await judged(app, difficulty="3.2"))["judged"]
    assert (only["score"], only["difficulty"]) == (None, 3.2)
    assert answer_of(await judged(app, marks=MARKS))["judged"]["score"] == 78.4
    assert answer_of(await app.client.get("/clips"))["judged"] == 1


async def test_the_declared_difficulty_counts_where_judges_give_none(app: App) -> None:
    answer_of(await app.score(CLIP, keep="true", difficulty="2.0"))
    body = {"marks": [8, 8, 8, 8, 8], "score": 48.0}
    response = await app.client.post(f"/clips/{SHA256}/judged", json=body)
    assert answer_of(response)["judged"]["difficulty"] == 2.0
    for name in ("Mu\u0308ller", " M\u00fcller "):
        named = await app.client.post(f"/clips/{SHA256}/judged", json={"group": name})
        assert answer_of(named)["judged"]["group"] == "M\u00fcller"
    half = {"headers": {"content-type": "application/json"}, "content": b'{"group": "\\ud800"}'}
    answer_of(await app.client.post(f"/clips/{SHA256}/judged", **half), 422)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({"marks": MARKS}, "difficulty", "missing"),
        ({"marks": MARKS, "difficulty": "3.2", "score": "80"}, "score", "80, .* give 78.4"),
        ({"marks": "8 8", "difficulty": "99"}, "difficulty", "need 1 to 5"),
        ({"marks": "8.3 8 8 8 8", "difficulty": "3"}, "marks", "judge 1 gives 8.3"),
        ({"difficulty": "3.25"}, "difficulty", "tenths"),
        ({"deductions": "0.3"}, "deductions", "needs marks"),
        ({"score": "714"}, "score", "714 points, need"),
        ({"score": "-1"}, "score", "-1 points, need"),
        ({"score": "nan"}, "score", "number"),
        ({"score": "1e999"}, "score", "number"),
        ({"group": ""}, "body", "need one of marks"),
        ({"mark": "8"}, "mark", "did you mean marks"),
        ({"group": "x" * 201}, "group", "200"),
        ({"group": "a\nb"}, "group", "printable"),
        ({"group": "  "}, "body", "need one of marks"),
    ],
)
async def test_what_no_judge_gives_is_refused_by_name(
    app: App, archive: Path, fields: dict[str, str], field: str, text: str
) -> None:
    answer_of(await app.score(CLIP, keep="true"))
    problem = answer_of(await judged(app, **fields), 422)
    [wrong] = problem["errors"]
    assert wrong["name"] == field
    assert re.search(text, wrong["reason"]), wrong
    assert "judged.json" not in names(archive / SHA256)


async def test_the_newest_answer_wins_and_what_judges_gave_keeps_its_part(
    app: App, archive: Path
) -> None:
    answer_of(await app.score(CLIP, keep="true", difficulty="3.2", marks=MARKS, start_s="0.2"))
    answer_of(await judged(app, group="Smith"))
    answer_of(await app.score(CLIP, keep="true", difficulty="2.8", start_s="0.6"))
    assert names(archive) == [".lock", SHA256]
    newest, known = file_of(archive, "answer.json"), file_of(archive, "judged.json")
    assert (newest["difficulty"], newest["start_s"]) == (2.8, 0.6)
    assert (known["difficulty"], known["start_s"], known["score"]) == (3.2, 0.2, 78.4)
    answer_of(await judged(app, group="Jones"))  # says nothing about the part
    assert file_of(archive, "judged.json")["start_s"] == 0.2
    answer_of(await app.score(CLIP, keep="true", difficulty="2.8", marks=MARKS, start_s="0.6"))
    known = file_of(archive, "judged.json")
    assert (known["start_s"], known["score"], known["group"]) == (0.6, 68.6, "Jones")
    answer_of(await app.score(CLIP, keep="true"))
    answer_of(await judged(app, score="70"))
    assert file_of(archive, "judged.json")["start_s"] is None


async def test_what_judges_gave_keeps_its_action(app: App, archive: Path) -> None:
    def known() -> tuple[Any, ...]:
        values = file_of(archive, "judged.json")
        return tuple(values[name] for name in ("action", "score", "difficulty", "group", "start_s"))

    answer_of(await app.score(CLIP, keep="true", difficulty="3.3", marks=MARKS, start_s="0.5"))
    answer_of(await app.score(CLIP, keep="true", action="vault", difficulty="5.8"))
    assert known() == ("diving", 80.85, 3.3, None, 0.5)
    named = answer_of(await judged(app, group="Smith"))
    assert (named["action"], named["judged"]["action"]) == ("vault", "diving")
    assert known() == ("diving", 80.85, 3.3, "Smith", 0.5)
    answer_of(await judged(app, dive="107B", height="3"))  # counted by the rules of diving
    assert known() == ("diving", 75.95, 3.1, "Smith", 0.5)
    answer_of(await judged(app, difficulty="5.8"), 422)
    answer_of(await judged(app, score="14.2"))  # of the newest answer, with its difficulty
    assert known() == ("vault", 14.2, 5.8, "Smith", None)
    answer_of(await app.score(CLIP, keep="true"))
    assert answer_of(await judged(app, deductions="0.1"), 422)
    assert answer_of(await judged(app, group="Jones"))["judged"]["difficulty"] == 5.8
    answer_of(await app.score(CLIP, keep="true", difficulty="2.0", marks="8 8 8 8 8"))
    assert known() == ("diving", 48.0, 2.0, "Jones", None)


async def test_without_a_score_the_newest_answer_names_the_action(app: App, archive: Path) -> None:
    answer_of(await app.score(CLIP, keep="true"))
    answer_of(await judged(app, difficulty="3.2", group="Smith"))
    answer_of(await app.score(CLIP, keep="true", action="vault", start_s="0.5"))
    only = answer_of(await judged(app, difficulty="5.8"))["judged"]
    assert (only["action"], only["difficulty"], only["group"]) == ("vault", 5.8, "Smith")
    assert only["start_s"] == 0.5
    assert answer_of(await judged(app, marks="9 9 9 9"))["judged"]["score"] == 14.8


async def test_an_answer_from_the_cache_is_kept_too(store: Store, tmp_path: Path) -> None:
    async with running_app(store, archive=tmp_path / "archive", result_cache_bytes=1 << 20) as app:
        answer_of(await app.score(CLIP))
        again = await app.score(CLIP, keep="true")
        assert again.headers["X-Cache"] == "hit"
        assert answer_of(again)["kept"] is True
        assert (tmp_path / "archive" / SHA256 / "clip.mp4").read_bytes() == CLIP
        events = await app.client.post(
            "/score",
            files={"clip": CLIP},
            data={"keep": "true"},
            headers={"accept": "text/event-stream"},
        )
        assert '"kept":true' in events.text


async def test_without_an_archive_nothing_is_kept(store: Store) -> None:
    async with running_app(store) as app:
        [wrong] = answer_of(await app.score(CLIP, keep="true"), 422)["errors"]
        assert wrong["name"] == "keep"
        assert "SCORING_ARCHIVE" in wrong["reason"]
        assert answer_of(await app.score(CLIP, keep="false"))["kept"] is False
        assert answer_of(await app.client.get("/checkpoints"))["keeps_clips"] is False
        for method, path in (("GET", "/clips"), ("DELETE", f"/clips/{SHA256}")):
            problem = answer_of(await app.client.request(method, path), 404)
            assert problem["type"] == "/problems/unknown-clip"
        assert answer_of(await judged(app, score="70"), 404)


async def test_a_clip_is_removed_and_is_then_unknown(app: App, archive: Path) -> None:
    answer_of(await app.score(CLIP, keep="true"))
    assert answer_of(await app.client.delete(f"/clips/{SHA256.upper()}"))["forgotten"] is True
    assert names(archive) == [".lock"]
    assert answer_of(await app.client.delete(f"/clips/{SHA256}"), 404)
    assert answer_of(await judged(app, score="70"), 404)
    assert answer_of(await app.client.get("/clips"))["clips"] == []
    allowed = await app.client.request("PUT", f"/clips/{SHA256}")
    assert allowed.headers["allow"] == "DELETE, OPTIONS"


@pytest.mark.parametrize(
    "path",
    [
        "/clips/..",
        "/clips/%2e%2e",
        "/clips/..%2f..%2fetc",
        "/clips/.lock",
        f"/clips/{SHA256}%2f..",
        f"/clips/{SHA256[:-1]}",
        f"/clips/{SHA256}a",
        f"/clips/{SHA256[:-1]}g",
        f"/clips/{SHA256}%0a",
    ],
)
async def test_a_hash_is_64_digits_and_nothing_else(app: App, archive: Path, path: str) -> None:
    answer_of(await app.score(CLIP, keep="true"))
    for request in (
        app.client.delete(path),
        app.client.post(f"{path}/judged", data={"score": "70"}),
    ):
        assert (await request).status_code in (404, 405, 422)
    assert names(archive.parent) == ["archive"]
    assert names(archive / SHA256) == ["answer.json", "clip.mp4"]


async def test_what_is_kept_is_listed_newest_first(
    app: App, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [clip_bytes(frames=20 + number) for number in range(4)]
    shas = [hashlib.sha256(clip).hexdigest() for clip in clips]
    for place, clip in enumerate(clips):
        answer_of(await app.score(clip, keep="true"))
        moment = time.time() - 1000 + place
        os.utime(archive / shas[place] / "answer.json", (moment, moment))
    (archive / shas[1] / "answer.json").write_text("{}")
    os.utime(archive / shas[1] / "answer.json", (1, 1))
    await app.client.post(f"/clips/{shas[0]}/judged", data={"score": "70"})
    listed = answer_of(await app.client.get("/clips"))
    assert (listed["total"], listed["judged"]) == (4, 1)
    assert [clip["sha256"] for clip in listed["clips"]] == [shas[3], shas[2], shas[0]]
    assert [clip["judged"] is not None for clip in listed["clips"]] == [False, False, True]
    assert listed["damaged"] == [shas[1]]
    monkeypatch.setattr(module, "MOST_LISTED", 2)
    listed = answer_of(await app.client.get("/clips"))
    assert (listed["total"], len(listed["clips"])) == (4, 2)
    damaged = await app.client.post(f"/clips/{shas[1]}/judged", data={"score": "70"})
    assert answer_of(damaged, 503)["type"] == "/problems/archive-unavailable"
    assert str(archive) not in damaged.text
    assert answer_of(await app.client.delete(f"/clips/{shas[1]}"))["forgotten"] is True


async def test_each_failure_costs_the_archive_and_not_the_answer(
    store: Store, tmp_path: Path
) -> None:
    async with running_app(store, archive=tmp_path / "archive") as app:
        expected = answer_of(await app.score(CLIP))
        shutil.rmtree(tmp_path / "archive")
        lost = answer_of(await app.score(CLIP, keep="true"))
        for name in ("score", "fragments", "interval"):
            assert lost[name] == expected[name]
        assert lost["kept"] is False
        assert lost["warnings"] == [*expected["warnings"], "not_kept"]
        assert not (tmp_path / "archive").exists()  # it may be a volume that will come back
        assert answer_of(await app.client.get("/clips"), 503)
        assert answer_of(await app.client.delete(f"/clips/{SHA256}"), 503)
        failed = app.service.metrics.registry.get_sample_value(
            "score_archive_total", {"outcome": "failed"}
        )
        assert failed == 3
        (tmp_path / "archive").mkdir()
        assert answer_of(await app.score(CLIP, keep="true"))["kept"] is True


async def test_beyond_its_limit_no_clip_is_added(store: Store, tmp_path: Path) -> None:
    other = clip_bytes(frames=101)
    most = len(other) + 20_000
    async with running_app(store, archive=tmp_path / "archive", archive_bytes=most) as app:
        assert answer_of(await app.score(CLIP, keep="true"))["kept"] is True
        assert answer_of(await app.score(other, keep="true"))["kept"] is False
        assert answer_of(await app.score(CLIP, keep="true"))["kept"] is True  # is there already
        assert names(tmp_path / "archive") == [".lock", SHA256]
        answer_of(await app.client.delete(f"/clips/{SHA256}"))
        assert answer_of(await app.score(other, keep="true"))["kept"] is True
    async with running_app(store, archive=tmp_path / "archive", archive_bytes=most) as app:
        for _ in range(100):  # until it has measured what was there before
            if app.service.metrics.registry.get_sample_value("score_archive_clips"):
                break
            await asyncio.sleep(0.05)
        assert answer_of(await app.score(CLIP, keep="true"))["kept"] is False


def test_a_full_disk_costs_the_archive_and_not_the_answer(store: Store, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    environment = {**os.environ, "SCORING_ARCHIVE": str(tmp_path / "archive")}
    works = subprocess.run([*IN_A_SMALL_ARCHIVE, "true"], env=environment, check=False)
    if works.returncode:
        pytest.skip("needs a mount namespace")
    command = ("env", f"SCORING_ARCHIVE={tmp_path / 'archive'}", *IN_A_SMALL_ARCHIVE, *COMMAND)
    with live_server(store.root, tmp_path, command=command, checkpoints="diving") as server:
        small = clip_bytes(frames=20)
        large = small + bytes(2_000_000)  # zeros after the end of an mp4 are no part of it
        expected = server.score(large).json()["score"]
        full = server.score(large, keep="true").json()
        assert (full["score"], full["kept"]) == (expected, False)
        assert "not_kept" in full["warnings"]
        assert server.score(small, keep="true").json()["kept"] is True  # nothing was left behind
        assert httpx.get(f"{server.url}/clips").json()["total"] == 1
        assert server.metric('score_archive_total{outcome="failed"}') == 1


async def test_a_volume_that_hangs_costs_the_archive_and_not_the_answer(
    app: App, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_LIMIT_S", 0.3)
    with locked(archive):
        began = time.monotonic()
        answers = await asyncio.gather(*(app.score(CLIP, keep="true") for _ in range(4)))
        assert [answer_of(each)["kept"] for each in answers] == [False] * 4
        assert time.monotonic() - began < module.LIMIT_S / 2  # what a change may take
        monkeypatch.setattr(module, "LIMIT_S", 0.3)
        assert answer_of(await judged(app, score="70"), 503)
        assert answer_of(await app.score(CLIP))["kept"] is False
    await asyncio.sleep(0.3)  # whoever waited for the lock has it now, and nobody waits for them
    assert names(archive) == [".lock"]
    monkeypatch.undo()
    assert answer_of(await app.score(CLIP, keep="true"))["kept"] is True


async def test_listings_are_shared_and_keep_no_clip_waiting(
    app: App, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_of(await app.score(CLIP, keep="true"))
    other = clip_bytes(frames=101)
    may_go_on, rounds = threading.Event(), 0

    def slowly(folder: Path) -> Iterator[Path]:
        nonlocal rounds
        rounds += 1
        assert may_go_on.wait(30)
        return kept_folders(folder)

    monkeypatch.setattr(module, "kept_folders", slowly)
    asked = [asyncio.create_task(app.client.get("/clips")) for _ in range(30)]
    while not rounds:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(module.KEEP_LIMIT_S):
        assert answer_of(await app.score(other, keep="true"))["kept"] is True
        assert answer_of(await judged(app, group="Smith"))["judged"]["group"] == "Smith"
        assert answer_of(await app.client.delete(f"/clips/{SHA256}"))["forgotten"] is True
    asked += [asyncio.create_task(app.client.get("/clips")) for _ in range(30)]
    leaving = asked.pop()
    await asyncio.sleep(0.1)
    leaving.cancel()
    may_go_on.set()
    answers = [answer_of(each) for each in await asyncio.gather(*asked)]
    assert rounds == 2  # one for those who asked first, one for those who asked meanwhile
    expected = [hashlib.sha256(other).hexdigest()]
    for answer in answers[30:]:  # who changed something sees it
        assert [clip["sha256"] for clip in answer["clips"]] == expected


@pytest.mark.parametrize("meanwhile", ["tidies", "removes"])
async def test_another_process_may_be_at_the_clip_that_is_removed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    async with running_app(store, archive=tmp_path / "archive") as app:
        answer_of(await app.score(CLIP, keep="true"))
        answer_json = tmp_path / "archive" / SHA256 / "answer.json"
        long_ago = time.time() - 2 * module.STALE_S
        for path in (answer_json, answer_json.parent):
            os.utime(path, (long_ago, long_ago))
        other = module.Archive(tmp_path / "archive", Metrics(), max_bytes=1 << 30)
        remove = module._remove

        def remove_later(taken: Path) -> None:
            monkeypatch.undo()
            if meanwhile == "tidies":
                other._tidy()
                assert taken.exists()  # it is none of those that a killed process left
            else:
                remove(taken)
            remove(taken)

        monkeypatch.setattr(module, "_remove", remove_later)
        assert answer_of(await app.client.delete(f"/clips/{SHA256}"))["forgotten"] is True
        assert names(tmp_path / "archive") == [".lock"]
        sample = app.service.metrics.registry.get_sample_value
        assert (sample("score_archive_clips"), sample("score_archive_bytes")) == (0, 0)
        other.stop()


def test_a_volume_that_hangs_does_not_keep_the_service_from_stopping(
    store: Store, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    settings: dict[str, Any] = {"archive": archive, "checkpoints": "diving", "drain_s": 1}
    with live_server(store.root, tmp_path, **settings) as server:
        assert server.score(CLIP, keep="true").json()["kept"] is True
        with locked(archive), ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(server.score, CLIP, keep="true")
            time.sleep(1)
            assert not waiting.done()
            assert server.terminate(timeout_s=30) == 0
            assert waiting.result().status_code == 503


async def test_a_client_that_leaves_keeps_nothing(app: App, archive: Path) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    with locked(archive):
        leaving = asyncio.create_task(app.score(CLIP, keep="true"))
        for _ in range(400):
            if any("clip" in thread.name or "archive" in thread.name
                   for thread in threading.enumerate()):  # fmt: skip
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    await asyncio.sleep(0.3)
    assert names(archive) == [".lock"]
    assert len(os.listdir("/proc/self/fd")) <= descriptors


async def test_old_clips_are_forgotten_and_what_killed_processes_left(
    store: Store, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    clips = [clip_bytes(frames=frames) for frames in (20, 30, 40)]
    old, damaged, fresh = (archive / hashlib.sha256(clip).hexdigest() for clip in clips)
    async with running_app(store, archive=archive) as app:
        for clip in clips:
            answer_of(await app.score(clip, keep="true"))
    (damaged / "answer.json").unlink()
    stale, beginning = archive / f".{SHA256}-00000000.partial", archive / f".{SHA256}-1.partial"
    for partial in (stale, beginning):
        partial.mkdir()
        (partial / "clip.mp4").write_bytes(CLIP)
    long_ago = time.time() - 3 * 86_400
    for path in (old / "answer.json", damaged, stale):
        os.utime(path, (long_ago, long_ago))
    async with running_app(store, archive=archive, archive_days=2) as app:
        for _ in range(200):
            if len(names(archive)) == 3:
                break
            await asyncio.sleep(0.05)
        assert names(archive) == sorted([".lock", beginning.name, fresh.name])
        assert answer_of(await app.client.get("/clips"))["total"] == 1
    async with running_app(store, archive=archive) as app:  # without the setting none is too old
        os.utime(fresh / "answer.json", (long_ago, long_ago))
        await asyncio.sleep(0.3)
        assert answer_of(await app.client.get("/clips"))["total"] == 1


def test_several_processes_share_one_folder(store: Store, tmp_path: Path) -> None:
    """They add, judge and remove the same clip at the same time: it is there whole, or not."""
    archive, folders = tmp_path / "archive", [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with (
        live_server(store.root, folders[0], archive=archive, checkpoints="diving") as one,
        live_server(store.root, folders[1], archive=archive, checkpoints="diving") as two,
        ScoringClient(one.url) as first,
        ScoringClient(two.url) as second,
    ):
        clients = [first, second]
        path = tmp_path / "dive.mp4"
        path.write_bytes(CLIP)
        until = time.monotonic() + 4
        seen: list[bool] = []
        wrong: set[str] = set()

        def attempt(number: int) -> None:
            client = clients[number % 2]
            while time.monotonic() < until:
                try:
                    if number < 4:
                        seen.append(client.score(path, keep=True, difficulty=3.2)["kept"])
                    elif number == 4:
                        client.judged(SHA256, score=70)
                    elif number == 5:
                        client.judged(SHA256, group="Smith")
                    else:
                        client.forget(SHA256)
                        time.sleep(0.05)
                except ScoringError as error:
                    wrong.add(error.type)
                try:
                    kept = read_kept_clip(archive / SHA256)
                    assert kept.path.read_bytes() == CLIP
                except FileNotFoundError:
                    pass

        with ThreadPoolExecutor(7) as threads:
            list(threads.map(attempt, range(7)))
        assert seen
        assert all(seen)
        assert wrong <= {"/problems/unknown-clip"}
        clients[0].score(path, keep=True, difficulty=3.2)
        with ThreadPoolExecutor(2) as threads:  # neither is lost
            threads.submit(clients[0].judged, SHA256, marks=[7] * 5).result()
            both = [
                threads.submit(clients[0].judged, SHA256, group="Jones"),
                threads.submit(clients[1].judged, SHA256, score=60),
            ]
            for each in both:
                each.result()
        [clip] = clients[1].clips()["clips"]
        assert (clip["judged"]["group"], clip["judged"]["score"]) == ("Jones", 60)
        clients[1].forget(SHA256)
        assert names(archive) == [".lock"]


async def test_the_calls_need_a_key_like_others(store: Store, tmp_path: Path) -> None:
    async with running_app(store, archive=tmp_path / "archive", api_keys="one,two") as app:
        one, two = ({"authorization": f"Bearer {key}"} for key in ("one", "two"))
        for method, path in (
            ("GET", "/clips"), ("DELETE", f"/clips/{SHA256}"), ("POST", f"/clips/{SHA256}/judged"),
        ):  # fmt: skip
            assert answer_of(await app.client.request(method, path), 401)
        sent = {"files": {"clip": CLIP}, "data": {"keep": "true"}}
        answer_of(await app.client.post("/score", headers=one, **sent))  # type: ignore[arg-type]
        assert answer_of(await app.client.get("/clips", headers=two))["total"] == 1
        assert answer_of(await app.client.delete(f"/clips/{SHA256}", headers=two))


async def test_the_calls_need_a_key_where_anybody_may_ask(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_app(store, archive=tmp_path / "archive", allow_anonymous=True) as app:
        assert "no clip is kept" in caplog.text
        for method, path in (
            ("GET", "/clips"), ("GET", "/clips/"), ("DELETE", f"/clips/{SHA256}"),
            ("POST", f"/clips/{SHA256}/judged"), ("POST", f"/clips/{SHA256}/anything"),
        ):  # fmt: skip
            response = await app.client.request(method, path)
            assert answer_of(response, 401)["type"] == "/problems/unauthorised"
        assert answer_of(await app.score(CLIP, keep="true"), 401)
        assert answer_of(await app.score(CLIP))["kept"] is False
        assert answer_of(await app.client.get("/checkpoints"))["keeps_clips"] is False
        document = answer_of(await app.client.get("/openapi.json"))["paths"]
        assert document["/clips"]["get"]["security"]
        assert "security" not in document["/score"]["post"]
        assert names(tmp_path / "archive") == []
    settings: dict[str, Any] = {"allow_anonymous": True, "api_keys": "one"}
    async with running_app(store, archive=tmp_path / "archive", **settings) as app:
        app.client.headers["authorization"] = "Bearer one"
        assert answer_of(await app.score(CLIP, keep="true"))["kept"] is True
        assert answer_of(await app.client.get("/checkpoints"))["keeps_clips"] is True


async def test_no_web_site_keeps_judges_or_removes_a_clip(app: App, archive: Path) -> None:
    """A browser sends a form to any address, and a page of another origin can make it do so."""
    answer_of(await app.score(CLIP, keep="true"))
    app.client.headers["sec-fetch-site"] = "cross-site"
    try:
        for response in (
            await app.score(clip_bytes(frames=101), keep="true"),
            await judged(app, score="70"),
            await app.client.delete(f"/clips/{SHA256}"),
        ):
            assert answer_of(response, 403)["type"] == "/problems/foreign-origin"
    finally:
        del app.client.headers["sec-fetch-site"]
    assert names(archive) == [".lock", SHA256]
    assert names(archive / SHA256) == ["answer.json", "clip.mp4"]


async def test_the_rank_of_clips_keeps_none(app: App, archive: Path) -> None:
    files = [("clips", CLIP), ("clips", clip_bytes(frames=60))]
    response = await app.client.post("/rank", files=files, data={"keep": "true"})
    [wrong] = answer_of(response, 422)["errors"]
    assert wrong["name"] == "keep"
    assert names(archive) == []
