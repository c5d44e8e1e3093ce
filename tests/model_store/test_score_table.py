"""`python -m model_store score --annotations … --csv …`: a whole meet at once."""

import csv
import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from typer.testing import CliRunner, Result

from model_store import batch_scoring
from model_store.__main__ import app
from model_store.clip import load_clip
from model_store.errors import EngineError
from model_store.scorer import Scorer
from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.clips import clip_bytes

Run = Callable[..., Result]
MEET = """clip;Athlete;difficulty;start_s;score
clips/0.mp4;Müller;3,2;;71,5
clips/none.mp4;Ann;;;60
clips/1.mp4;Ann;;0,5;64,25
clips/bad.mp4;Ben;2;;50
clips/2.mp4;Ben;12;;50
clips/2.mp4;Ben;2,4;;80
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("store"))
    publish_tiny(store, "diving", target="both", calibrated=True)
    return store


@pytest.fixture(scope="module")
def scorer(store: Store) -> Scorer:
    return Scorer(store.load("diving"), "torch")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for seed in range(3):
        content = clip_bytes(frames=60, height=48, width=64, seed=seed)
        (folder / f"{seed}.mp4").write_bytes(content)
    (folder / "bad.mp4").write_bytes(b"not a video")
    return folder


@pytest.fixture
def meet(videos: Path, tmp_path: Path) -> Path:
    (tmp_path / "clips").symlink_to(videos)
    path = tmp_path / "meet.csv"
    path.write_text(MEET, encoding="cp1252")
    return path


@pytest.fixture
def run(store: Store, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SCORING_STORE", str(store.root))
    monkeypatch.setenv("COLUMNS", "200")
    words = ("score", "--engine", "torch")
    return lambda *arguments: CliRunner().invoke(app, [*words, *map(str, arguments)])


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_meet_becomes_a_table_with_a_row_a_clip(
    run: Run, meet: Path, videos: Path, scorer: Scorer
) -> None:
    target = meet.with_name("out.csv")
    result = run("--annotations", meet, "--csv", target)
    assert result.exit_code == 1  # two rows cannot be scored, and the others are
    found = rows(target.read_text())
    given = rows(MEET.replace(",", ".").replace(";", ","))
    assert [row["Athlete"] for row in found] == [row["Athlete"] for row in given]
    assert list(found[0])[:5] == ["clip", "Athlete", "difficulty", "start_s", "score"]
    assert found[0]["difficulty"] == "3,2"  # as it was given
    assert [bool(row["error"]) for row in found] == [False, True, False, True, True, False]
    assert "not a file below" in found[1]["error"]
    assert "not a video" in found[3]["error"]
    assert "need 1 to 5" in found[4]["error"]
    assert not any(found[3][name] for name in ("predicted_score", "checkpoint", "clip_sha256"))
    assert found[3]["judged_score"] == "50.0"

    [expected] = scorer.score([load_clip(videos / "0.mp4", scorer.spec)])
    assert expected.of_execution is not None
    execution = expected.of_execution.score
    first = found[0]
    assert float(first["predicted_score"]) == pytest.approx(3.2 * execution, abs=1e-3)
    assert float(first["predicted_execution"]) == pytest.approx(execution, abs=1e-3)
    assert float(first["predicted_low"]) == pytest.approx(3.2 * (execution - 0.5), abs=1e-3)
    assert float(first["predicted_high"]) == pytest.approx(3.2 * (execution + 0.5), abs=1e-3)
    assert float(first["difference"]) == pytest.approx(3.2 * execution - 71.5, abs=1e-3)
    assert first["scored_by"] == "video and difficulty"
    assert first["needs_review"] == "true"
    assert "mostly_blank" in first["review_reasons"].split()
    assert "padded" in first["warnings"].split()
    assert first["checkpoint"] == "diving@1"
    digest = hashlib.sha256((videos / "0.mp4").read_bytes()).hexdigest()
    assert first["clip_sha256"] == digest
    assert found[2]["scored_by"] == "video"
    assert "6/6" in result.stderr or "100%" in result.stderr


def test_the_part_of_the_file_is_what_is_scored(run: Run, meet: Path) -> None:
    head = "clip,start_s,end_s\n"
    meet.write_text(f"{head}clips/1.mp4,,\nclips/1.mp4,0.5,1.5\nclips/1.mp4,1.5,0.5\n")
    result = run("--annotations", meet, "--csv", "-")
    whole, part, none = rows(result.stdout)
    assert whole["predicted_score"] != part["predicted_score"]
    assert whole["clip_sha256"] == part["clip_sha256"]
    assert "need less than end_s" in none["error"]


def test_the_order_is_compared_with_the_judges(run: Run, meet: Path) -> None:
    scores = {"0": 71.5, "1": 64.25, "2": 64.25}
    meet.write_text(
        "clip,score\n" + "".join(f"clips/{name}.mp4,{each}\n" for name, each in scores.items())
    )
    result = run("--annotations", meet, "--csv", meet.with_name("out.csv"))
    assert result.exit_code == 0
    found = rows(meet.with_name("out.csv").read_text())
    predicted = np.array([float(row["predicted_score"]) for row in found])
    judged = np.array(list(scores.values()))
    rank = spearmanr(predicted, judged).statistic
    distance = np.abs(predicted - judged).mean()
    expected = f"3 judged clips: Spearman {rank:.4f}, mean distance {distance:.4f} points"
    assert expected in result.stdout
    piped = run("--annotations", meet, "--csv", "-")
    assert expected in piped.stderr
    assert rows(piped.stdout) == found  # and nothing else
    meet.write_text("clip,score\nclips/0.mp4,70\nclips/1.mp4,60\n")  # too few to be ranked
    assert "Spearman" not in run("--annotations", meet).output


def test_all_scores_equal_rank_nothing(run: Run, meet: Path) -> None:
    meet.write_text("clip,score\n" + "".join(f"clips/{i}.mp4,70\n" for i in range(3)))
    assert "Spearman is not defined" in run("--annotations", meet).stdout


def test_clips_on_the_command_line_become_a_table_too(run: Run, videos: Path) -> None:
    names = [str(videos / f"{name}.mp4") for name in ("0", "bad", "1")]
    result = run(*names, "--csv", "-", "--difficulty", "3.2")
    assert result.exit_code == 1
    found = rows(result.stdout)
    assert [row["clip"] for row in found] == names
    assert [bool(row["predicted_score"]) for row in found] == [True, False, True]
    assert found[0]["difference"] == ""
    assert {row["scored_by"] for row in found} == {"video and difficulty", ""}


def test_a_table_that_was_written_can_be_scored_again(run: Run, meet: Path) -> None:
    target = meet.with_name("out.csv")
    run("--annotations", meet, "--csv", target)
    again = meet.with_name("again.csv")
    run("--annotations", target, "--csv", again)
    assert again.read_text() == target.read_text()


def test_a_name_that_is_not_in_utf_8_is_written_with_its_bytes(run: Run, videos: Path) -> None:
    name = os.fsencode(videos) + b"/m\xfcller.mp4"
    Path(os.fsdecode(name)).write_bytes((videos / "0.mp4").read_bytes())
    target = videos / "out.csv"
    assert run(os.fsdecode(name), "--csv", target).exit_code == 0
    assert b"\n" + name + b"," in target.read_bytes()


def test_the_table_is_written_whole_or_not_at_all(
    run: Run, meet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = meet.with_name("out.csv")
    target.write_text("of yesterday")
    original = batch_scoring.score_clips

    def interrupted(*arguments: Any) -> Iterator[Any]:
        yield next(original(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(batch_scoring, "score_clips", interrupted)
    assert run("--annotations", meet, "--csv", target).exit_code != 0
    assert target.read_text() == "of yesterday"
    assert {path.name for path in meet.parent.iterdir()} == {"clips", "meet.csv", "out.csv"}


def test_a_pipe_is_written_to_and_stays_one(run: Run, videos: Path, tmp_path: Path) -> None:
    """As /dev/null and /dev/stdout: to put a file in their place would break a machine."""
    pipe = tmp_path / "out.pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    assert run(videos / "0.mp4", "--csv", pipe).exit_code == 0
    reader.join()
    assert pipe.is_fifo()
    assert len(rows(read[0])) == 1


def test_clips_share_a_batch_and_not_its_failure(
    run: Run, meet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = Scorer.score_with_features

    def scored(self: Scorer, clips: list[Any]) -> Any:
        sizes.append(len(clips))
        if len(clips) > 2:
            raise EngineError("out of memory")
        return original(self, clips)

    monkeypatch.setattr(Scorer, "score_with_features", scored)
    monkeypatch.setattr(batch_scoring, "BATCH", 3)
    meet.write_text("clip\n" + "".join(f"clips/{i}.mp4\n" for i in (0, 1, 2, 0, 1)))
    result = run("--annotations", meet, "--csv", "-")
    assert result.exit_code == 0
    assert sizes == [3, 1, 1, 1, 2]
    found = [row["predicted_score"] for row in rows(result.stdout)]
    assert found[:2] == found[3:]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "need either CLIP… or --annotations"),
        (["--annotations", "meet.csv", "clips/0.mp4"], "need either CLIP… or --annotations"),
        (["--annotations", "meet.csv", "--difficulty", "3"], "columns of the table"),
        (["--annotations", "meet.csv", "--dive", "107B", "--height", "3"], "columns of the table"),
        (["--annotations", "meet.csv", "--csv", "meet.csv"], "would be overwritten"),
        (["--annotations", "meet.csv", "--csv", "clips/0.mp4"], "would be overwritten"),
        (["clips/0.mp4", "--csv", "clips/0.mp4"], "would be overwritten"),
        (["clips/0.mp4", "--csv", "-", "--json"], "only one of --json and --csv"),
        (["--annotations", "none.csv"], "does not exist"),
    ],
)
def test_a_bad_command_is_refused_before_anything_is_scored(
    run: Run, meet: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(meet.parent)
    monkeypatch.setattr("model_store.scorer.make_engine", lambda *_, **__: pytest.fail("loaded"))
    before = meet.read_bytes(), (meet.parent / "clips" / "0.mp4").read_bytes()
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.split())
    assert before == (meet.read_bytes(), (meet.parent / "clips" / "0.mp4").read_bytes())


@pytest.mark.parametrize(
    ("target", "message"),
    [("none/out.csv", "none is not a folder"), ("clips", "clips is a folder")],
)
def test_a_place_that_cannot_be_written_is_found_before_anything_is_scored(
    run: Run, meet: Path, monkeypatch: pytest.MonkeyPatch, target: str, message: str
) -> None:
    monkeypatch.chdir(meet.parent)
    monkeypatch.setattr("model_store.scorer.make_engine", lambda *_, **__: pytest.fail("loaded"))
    result = run("--annotations", "meet.csv", "--csv", target)
    assert result.exit_code == 1, result.output
    assert message in result.stderr


@pytest.mark.parametrize("content", ["file\n0.mp4\n", "clip\n", "", "clip\n\0\n"])
def test_a_table_that_cannot_be_read_is_an_error(run: Run, meet: Path, content: str) -> None:
    meet.write_text(content)
    result = run("--annotations", meet, "--csv", meet.with_name("out.csv"))
    assert result.exit_code == 1
    assert result.stderr.startswith("error:")
    assert not meet.with_name("out.csv").exists()


def test_json_has_the_judges_score(run: Run, meet: Path) -> None:
    meet.write_text("clip,score\nclips/0.mp4,70\n")
    assert '"judged_score": 70.0' in run("--annotations", meet, "--json").stdout


def test_strict_holds_for_a_table(run: Run, meet: Path) -> None:
    meet.write_text("clip\nclips/0.mp4\n")
    assert run("--annotations", meet, "--csv", "-", "--strict").exit_code == 3
