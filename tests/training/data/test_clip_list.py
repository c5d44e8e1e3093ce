"""A run is its data and its options: what changed under it is listed, and nothing is touched."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import Result

from tests.training.bright import rows_of, write_bright_dataset, write_rows
from tests.training.command_line import call, error_message
from training.data.clip_list import ClipRecord, Content, changes
from training.errors import RunError
from training.learn.run_folder import RunFolder

Rows = list[dict[str, str]]


def row(name: str, **values: str) -> ClipRecord:
    fields = {"sha256": name, "judged": "8.0", "difficulty": "", "group": "", "labels": "a"}
    return ClipRecord(name, Content(**(fields | {"side": "training"} | values)))


def test_what_changed_is_named() -> None:
    before = [row("a"), row("b"), row("c", group="Ann"), row("d"), row("e")]
    now = [
        row("b", judged="4.0"), row("a"), row("c", sha256="x", labels="b"), row("f"),
        row("d", side="validation"),
    ]  # fmt: skip
    assert changes(before, before[::-1]) == []
    assert changes(before, now) == [
        "b: the score was 8.0, is 4.0",
        "c: the bytes, group was Ann, is none, execution, stages, deductions or tracks",
        "d: side was training, is validation",
        "e is missing",
        "f is new",
    ]


def test_another_name_is_no_other_clip() -> None:
    assert changes([row("a"), row("b")], [ClipRecord("z", row("b").content), row("a")]) == []
    assert changes([row("a")], [row("a"), ClipRecord("z", row("a").content)]) == ["z is new"]


def test_processes_compare_with_the_first_one(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    clips = [row('a "b",\n c'), row("b", difficulty="3.2")]
    with pytest.raises(RunError, match=r"no readable clips\.csv"):
        folder.check_clips(clips, first=False)
    folder.check_clips(clips)
    assert folder.clips() == clips
    folder.check_clips(clips, first=False)
    with pytest.raises(RunError, match=r"1 clips changed: b is missing\. --restart starts anew"):
        folder.check_clips(clips[:1], first=False)
    folder.check_clips(clips[:1])  # there are no steps yet
    assert folder.clips() == clips[:1]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with `data` and `run`."""
    place = tmp_path_factory.mktemp("begun")
    write_bright_dataset(place / "data", 30)
    with contextlib.chdir(place):
        result = train()
    assert result.exit_code == 0, result.output
    return place


@pytest.fixture
def _place(begun: Path, tmp_path: Path) -> Iterator[None]:
    """A copy to work in; relative paths lead to the same data."""
    shutil.copytree(begun, tmp_path / "place")
    with contextlib.chdir(tmp_path / "place"):
        yield


def train(*words: object) -> Result:
    return call(
        "train", "--action", "vault", "--data", "data", "--out", "run", "--cache", "cache",
        "--resize", "32x32", "--head-epochs", 1, "--head-variants", 1, "--epochs", 0,
        "--fragments", "last", "--width", 1 / 32, "--batch", 4, "--validation", 0.3, *words,
    )  # fmt: skip


RUN, DATA = Path("run"), Path("data")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def edit(data: Path, change: Callable[[Rows], Rows]) -> None:
    write_rows(data, change(rows_of(data)))


def halved(rows: Rows) -> Rows:
    return [row | {"score": str(float(row["score"]) / 2)} for row in rows]


def with_test_clip(rows: Rows) -> Rows:
    return [*rows[:-1], rows[-1] | {"split": "train"}]


def other_bytes() -> None:
    path = DATA / "clips" / "000.mp4"
    path.write_bytes(path.read_bytes() + b"\0")


CHANGES: dict[str, tuple[Callable[[], object], str, str]] = {
    "corrected": (lambda: edit(DATA, halved), "25 clips changed", "the score was"),
    "added": (lambda: edit(DATA, with_test_clip), "1 clips changed", "029.mp4 is new"),
    "removed": (lambda: edit(DATA, lambda rows: rows[1:]), "1 clips", "000.mp4 is missing"),
    "bytes": (other_bytes, "1 clips changed", "000.mp4: the bytes"),
    "difficulty": (
        lambda: edit(DATA, lambda rows: [r | {"difficulty": "5"} for r in rows]),
        "25 clips changed", "difficulty was 4.0, is 5.0",
    ),
    "older": (lambda: (RUN / "clips.csv").unlink(), "", "no readable clips.csv"),
}  # fmt: skip


@pytest.mark.usefixtures("_place")
@pytest.mark.parametrize("name", CHANGES)
def test_the_same_command_after_a_change_is_refused(name: str) -> None:
    change, count, what = CHANGES[name]
    change()
    before = contents(RUN)
    output = error_message(train())
    assert count in output
    assert what in output
    assert "--restart" in output
    assert contents(RUN) == before


@pytest.mark.usefixtures("_place")
def test_rows_in_another_order_are_the_same_run() -> None:
    before = (RUN / "weights.safetensors").read_bytes()
    edit(DATA, lambda rows: rows[::-1])
    assert train().exit_code == 0
    assert train("--restart").exit_code == 0
    assert (RUN / "weights.safetensors").read_bytes() == before


@pytest.mark.usefixtures("_place")
def test_restart_removes_what_a_run_writes_and_nothing_else() -> None:
    (RUN / "notes.txt").write_text("mine")
    (RUN / "tensorboard" / "mine").write_text("too")
    edit(DATA, halved)
    weights = (RUN / "weights.safetensors").read_bytes()
    result = train("--restart", "--seed", 1)
    assert result.exit_code == 0, result.output
    assert (RUN / "weights.safetensors").read_bytes() != weights
    assert (RUN / "notes.txt").read_text() == "mine"
    assert (RUN / "tensorboard" / "mine").read_text() == "too"
    assert len([*(RUN / "tensorboard").iterdir()]) == 2
    judged = [float(clip.content.judged) for clip in RunFolder(RUN).clips()]
    assert max(judged) < 8
    (RUN / "run.json").unlink()
    assert "not empty" in error_message(train("--restart"))


@pytest.mark.usefixtures("_place")
def test_nothing_of_worth_is_removed_by_a_command_that_cannot_run() -> None:
    before = contents(RUN)
    assert "is not a folder" in error_message(train("--restart", "--data", "elsewhere"))
    assert contents(RUN) == before
    (RUN / "state.pt").unlink()  # as where a finished run was copied without its large file
    del before["run/state.pt"]
    assert "seed was 0, is 1" in error_message(train("--seed", 1))
    assert contents(RUN) == before
    assert train().exit_code == 0


@pytest.mark.usefixtures("_place")
def test_what_a_kill_leaves_of_a_file_is_in_nobodys_way() -> None:
    for words in (["--restart"], []):
        for name in (".state.pt-0.partial", ".run.json-1.partial"):
            (RUN / name).write_bytes(b"half")
        assert train(*words).exit_code == 0
        assert not [*RUN.glob(".*.partial")]
    Path("other").mkdir()
    (Path("other") / ".run.json.partial").write_bytes(b"half")
    assert train("--out", "other").exit_code == 0


@pytest.mark.usefixtures("_place")
def test_the_state_of_another_version_is_said_to_be_one() -> None:
    state = torch.load(RUN / "state.pt", weights_only=True)
    del state["precision"]
    torch.save(state, RUN / "state.pt")
    assert "another version of this software, it has no precision: --restart" in error_message(
        train()
    )


@pytest.mark.usefixtures("few_fragments_validate")
def test_pretraining_goes_on_with_the_same_clips_only(six_vaults: Path, tmp_path: Path) -> None:
    shutil.copytree(six_vaults, tmp_path / "vault")

    def pretrain(*words: object) -> Result:
        return call(
            "pretrain", "--action", "vault", "--data", tmp_path / "vault", "--out",
            tmp_path / "out", "--resize", "32x32", "--steps", 2, "--batch", 4, *words,
        )  # fmt: skip

    assert pretrain().exit_code == 0
    before = contents(tmp_path / "out")
    assert pretrain().exit_code == 0
    edit(tmp_path / "vault", halved)
    assert "6 clips changed" in error_message(pretrain())
    assert contents(tmp_path / "out") == before
    edit(tmp_path / "vault", lambda rows: [r | {"score": str(2 * float(r["score"]))} for r in rows])
    assert pretrain().exit_code == 0
    tracks = tmp_path / "vault/tracks/00000.npz"
    kept = tracks.read_bytes()
    np.savez(tracks, **np.load(tracks))
    assert "1 clips changed" in (output := error_message(pretrain()))
    assert "tracks" in output
    tracks.write_bytes(kept)
    edit(tmp_path / "vault", halved)
    result = pretrain("--restart")
    assert result.exit_code == 0, result.output
    assert contents(tmp_path / "out") != before
