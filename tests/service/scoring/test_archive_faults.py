"""Disks, volumes, processes and clients that fail cost the archive, and never an answer."""

import asyncio
import hashlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_store.archive import kept_folders, read_kept_clip
from model_store.store import Store
from service.client import ScoringClient, ScoringError
from service.metrics import Metrics
from service.scoring import archive as module
from tests.clips import clip_bytes
from tests.servers import COMMAND, App, live_server, running_app
from tests.service.scoring.kept import (
    CLIP,
    IN_A_SMALL_ARCHIVE,
    SHA256,
    answer_of,
    judged,
    locked,
    names,
)

pytestmark = pytest.mark.anyio


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
