import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from model_store.__main__ import app
from model_store.store import SHIPPED, Store
from tests.checkpoints import publish_tiny, tiny_store
from tests.clips import clip_bytes

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def run(store: Store, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SCORING_STORE", str(store.root))
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def dive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "dive.mp4"
    path.write_bytes(clip_bytes(frames=151, height=48, width=64))
    return path


def test_list_shows_every_version(run: Run) -> None:
    result = run("list")
    assert result.exit_code == 0
    assert "diving@1" in result.output
    assert "vault@1" in result.output


def test_show_prints_the_card(run: Run, store: Store) -> None:
    card = json.loads(run("show", "diving").output)
    whole = json.loads(store.load("diving").card.model_dump_json())
    del whole["clips"]  # thousands of hashes
    assert card == whole


def test_score_as_json_adds_up(run: Run, dive: Path) -> None:
    result = run("score", dive, "--engine", "torch", "--difficulty", "3.2", "--json")
    answer = json.loads(result.stdout)
    contributions = [fragment["contribution"] for fragment in answer["fragments"]]
    assert answer["baseline"] + sum(contributions) == pytest.approx(answer["score"], abs=1e-3)
    assert answer["execution"] == pytest.approx(answer["score"] / 3.2)


def test_a_dive_by_its_number_has_its_difficulty(run: Run, dive: Path) -> None:
    words = ("score", dive, "--engine", "torch")
    named = json.loads(run(*words, "--dive", "107b", "--height", "3", "--json").stdout)
    plain = json.loads(run(*words, "--difficulty", "3,1", "--json").stdout)  # a decimal comma
    assert named.pop("dive") == {
        "number": "107B",
        "height_m": 3.0,
        "name": "forward 3½ somersaults, pike",
        "difficulty": 3.1,
    }
    assert plain.pop("dive") is None
    assert named == plain
    assert "107B from 3 m: forward 3½" in run(*words, "--dive", "107B", "--height", "3").output


def test_a_score_says_what_it_rests_on(
    run: Run, dive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Store(tmp_path / "both")
    publish_tiny(both, "diving", target="both", calibrated=True)
    monkeypatch.setenv("SCORING_STORE", str(both.root))
    scores = []
    for words, scored_by in (((), "video"), (("--difficulty", "3.2"), "video and difficulty")):
        answer = json.loads(run("score", dive, "--engine", "torch", "--json", *words).stdout)
        assert answer["scored_by"] == scored_by
        contributions = [fragment["contribution"] for fragment in answer["fragments"]]
        assert answer["baseline"] + sum(contributions) == pytest.approx(answer["score"])
        shown = run("score", dive, "--engine", "torch", *words).output
        assert f"(by {scored_by}; diving@1, trained on simulated clips)" in shown
        scores.append((answer["score"], answer["execution"]))
    (video, none), (by_both, execution) = scores
    assert none is None
    assert by_both == pytest.approx(execution * 3.2)
    assert abs(by_both - video) > 1


def test_score_as_a_table_with_bars(run: Run, dive: Path) -> None:
    result = run("score", dive, "--engine", "torch")
    assert result.exit_code == 0
    assert "trained on simulated clips" in result.output
    answer = json.loads(run("score", dive, "--engine", "torch", "--json").stdout)
    largest = max(answer["fragments"], key=lambda fragment: abs(fragment["contribution"]))
    [row] = [line for line in result.output.splitlines() if "█" * 12 in line]
    assert f"{largest['contribution']:+.2f}" in row
    assert f"{largest['start_s']:.1f}–{largest['end_s']:.1f}" in row
    added = largest["contribution"] > 0
    assert ("│" + "█" * 12 if added else "█" * 12 + "│") in row


def test_several_clips_get_a_line_each_and_a_progress_bar(
    run: Run, dive: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"not a video")
    result = run("score", dive, tmp_path / "bad.mp4", dive, "--engine", "torch")
    assert result.exit_code == 1
    assert "3/3" in result.stderr or "100%" in result.stderr
    assert "not a video" in result.stderr
    lines = [line for line in result.stdout.splitlines() if ".mp4" in line]
    assert len(lines) == 3
    assert "cannot be scored" in lines[1]


def test_strict_exits_with_3_where_somebody_should_look(run: Run, dive: Path) -> None:
    assert run("score", dive, "--engine", "torch").exit_code == 0
    result = run("score", dive, "--engine", "torch", "--strict")
    assert result.exit_code == 3
    assert "not_calibrated" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--action", "rowing"),
        ("--difficulty", "-1"),
        ("--difficulty", "9"),
        ("--dive", "101E", "--height", "3"),
        ("--dive", "107B"),
        ("--height", "3"),
        ("--dive", "107B", "--height", "x"),
        ("--dive", "626C", "--height", "3"),
        ("--dive", "107B", "--height", "3", "--difficulty", "3.0"),
        ("--action", "vault", "--dive", "107B", "--height", "3"),
        ("--checkpoint", "diving@7"),
    ],
)
def test_a_bad_command_is_refused(run: Run, dive: Path, arguments: tuple[str, ...]) -> None:
    result = run("score", dive, *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error:")


def test_the_difficulty_is_checked_before_anything_is_loaded(
    run: Run, dive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("load", "names", "versions"):
        monkeypatch.setattr(Store, name, lambda *_: pytest.fail("the store was asked"))
    for bad in ("nan", "0", "x"):
        assert run("score", dive, "--difficulty", bad).exit_code == 2
    monkeypatch.undo()
    monkeypatch.setattr("model_store.scorer.make_engine", lambda *_, **__: pytest.fail("loaded"))
    assert run("score", dive, "--difficulty", "9").exit_code == 2


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "dive.fifo"
    os.mkfifo(path)
    return path


def test_a_pipe_is_scored_like_the_file(run: Run, dive: Path, fifo: Path) -> None:
    words = ("--engine", "torch", "--json")
    answer = json.loads(run("score", dive, *words).stdout)
    writer = threading.Thread(target=lambda: fifo.write_bytes(dive.read_bytes()))
    writer.start()
    piped = json.loads(run("score", fifo, *words).stdout)
    writer.join()
    assert piped | {"clip": None} == answer | {"clip": None}


@pytest.mark.parametrize(
    "shell", ["score <(cat {})", "score /dev/stdin < <(cat {})", "score /dev/stdin < {}"]
)
def test_what_a_shell_makes_of_a_file_is_scored(store: Store, dive: Path, shell: str) -> None:
    command = shell.format(dive).replace("score", f"{sys.executable} -m model_store score", 1)
    environment = os.environ | {"SCORING_STORE": str(store.root)}
    done = subprocess.run(
        ["bash", "-c", f"{command} --engine torch --json"],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "score" in json.loads(done.stdout)


def test_what_is_no_clip_is_one_line_each(run: Run, dive: Path, fifo: Path) -> None:
    writer = threading.Thread(target=lambda: fifo.write_bytes(b""))
    writer.start()
    result = run("score", "/dev/null", fifo, dive, "--engine", "torch", "--json")
    writer.join()
    null, empty, scored = map(json.loads, result.stdout.splitlines())
    assert result.exit_code == 1
    assert null["error"] == "neither a file nor a pipe"
    assert empty["error"] == "0 bytes, need a video file"
    assert "score" in scored


def test_a_pipe_without_end_is_left(run: Run, fifo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_store.batch_scoring.MOST_PIPED", 1 << 20)

    def pour() -> None:
        with contextlib.suppress(BrokenPipeError), fifo.open("wb") as file:
            while True:
                file.write(bytes(1 << 16))

    writer = threading.Thread(target=pour)
    writer.start()
    result = run("score", fifo, "--engine", "torch", "--json")
    writer.join()
    assert "more than 1048576 bytes" in json.loads(result.stdout)["error"]


def test_an_execution_needs_its_difficulty(run: Run, dive: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    publish_tiny(store, target="execution")
    result = run("score", dive, "--engine", "torch", "--store", tmp_path)
    assert result.exit_code == 2
    assert "needs --difficulty" in result.stderr
    arguments = ("--engine", "torch", "--store", tmp_path, "--difficulty", "3.2")
    assert run("score", dive, *arguments).exit_code == 0


def test_a_name_with_brackets_is_shown_as_it_is(run: Run, dive: Path, tmp_path: Path) -> None:
    odd = tmp_path / "dive [" / "x] [final].mp4"
    odd.parent.mkdir()
    odd.write_bytes(dive.read_bytes())
    result = run("score", odd, "--engine", "torch")
    assert result.exit_code == 0
    assert "dive[/x][final].mp4" in "".join(result.stdout.split())  # wrapped


@pytest.mark.parametrize("name", ["notes [old]", "a:dash:b [red]"])
def test_names_in_errors_are_shown_as_they_are(run: Run, tmp_path: Path, name: str) -> None:
    """Rich would take brackets for a style, and colons for a picture."""
    store = tiny_store(tmp_path / "store").root
    (store / "vault" / "1" / name).touch()
    for words in (["list"], ["verify", "--engine", "torch"], ["show", "vault"], ["use", "vault@1"]):
        result = run(*words, "--store", store)
        assert result.exit_code == 1
        assert f"does not list: ['{name}']" in result.output
    empty = tmp_path / name
    assert str(empty) in run("verify", "--store", empty).output
    assert str(empty) in run("install", "--store", empty).output
    bad = tmp_path / f"{name}.mp4"
    bad.write_bytes(b"not a video")
    assert str(bad) in run("score", bad, "--engine", "torch").output


def test_verify_finds_what_was_damaged(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tiny_store(tmp_path)
    monkeypatch.setenv("SCORING_STORE", str(tmp_path))
    assert run("verify", "--engine", "torch").exit_code == 0
    with (store.path("vault@1") / "weights.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    result = run("verify", "--engine", "torch")
    assert result.exit_code == 1
    assert "weights.safetensors differs" in result.output
    assert run("list").exit_code == 1


def test_a_checkpoint_that_cannot_be_read_is_named_and_the_others_are_listed(
    run: Run, tmp_path: Path
) -> None:
    store = tiny_store(tmp_path).root
    path = store / "vault" / "1" / "card.json"
    path.unlink()
    path.symlink_to(path.name)  # to itself: not even root can read it
    for words in (["list"], ["verify", "--engine", "torch"]):
        result = run(*words, "--store", store)
        assert result.exit_code == 1
        assert "diving@1" in result.output
        assert "cannot be read: Too many levels" in " ".join(result.output.split())
    result = run("score", path.with_name("golden.mp4"), "--action", "vault", "--store", store)
    assert result.exit_code == 2
    assert f"error: {path} cannot be read" in result.stderr


def test_use_rolls_back(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    publish_tiny(store)
    publish_tiny(store, seed=1)
    monkeypatch.setenv("SCORING_STORE", str(tmp_path))
    assert run("use", "diving@1").exit_code == 0
    assert store.current("diving") == 1
    assert run("use", "diving@9").exit_code == 1


def test_install_fills_a_store_with_what_is_shipped(run: Run, tmp_path: Path) -> None:
    added = run("install", "--store", tmp_path)
    assert added.exit_code == 0
    assert f"diving@{Store(SHIPPED).current('diving')}" in added.output
    assert "nothing added" in run("install", "--store", tmp_path).output
    assert Store(tmp_path).current("diving") == Store(SHIPPED).current("diving")
