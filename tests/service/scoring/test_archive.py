"""Clips that are kept: with their answer, and with what judges gave."""

import hashlib
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from model_store.archive import read_kept_clip
from model_store.store import Store
from service.scoring import archive as module
from tests.clips import clip_bytes, clip_of, moving_square
from tests.servers import App, running_app
from tests.service.scoring.kept import CLIP, MARKS, SHA256, answer_of, file_of, judged, names

pytestmark = pytest.mark.anyio


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


async def test_a_clip_is_removed_and_is_then_unknown(app: App, archive: Path) -> None:
    answer_of(await app.score(CLIP, keep="true"))
    assert answer_of(await app.client.delete(f"/clips/{SHA256.upper()}"))["forgotten"] is True
    assert names(archive) == [".lock"]
    assert answer_of(await app.client.delete(f"/clips/{SHA256}"), 404)
    assert answer_of(await judged(app, score="70"), 404)
    assert answer_of(await app.client.get("/clips"))["clips"] == []
    allowed = await app.client.request("PUT", f"/clips/{SHA256}")
    assert allowed.headers["allow"] == "DELETE, OPTIONS"


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
