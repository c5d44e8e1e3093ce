"""Archives as a service leaves them, and what may be wrong with one."""

import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from model_store.spec import SPECS
from tests.clips import clip_bytes
from training.__main__ import app
from training.choices import Kind
from training.data.datasets.archive import read_archive
from training.data.datasets.drawn_split import TEST_SHARE, drawn_split
from training.data.datasets.kinds import read_clips
from training.data.judged_clips import open_clips
from training.data.split import divide, name_units
from training.errors import DataError

WHEN = "2026-11-28T10:00:00Z"


def keep(
    archive: Path, number: int = 0, *, action: str = "diving", judged: dict[str, Any] | None = None
) -> Path:
    """A clip as the service keeps it."""
    content = clip_bytes(frames=20 + number, height=48, width=64)
    folder = archive / hashlib.sha256(content).hexdigest()
    folder.mkdir(parents=True)
    (folder / "clip.mp4").write_bytes(content)
    answer = {"action": action, "score": 50.0, "difficulty": None, "start_s": None, "end_s": None}
    (folder / "answer.json").write_text(json.dumps(answer | {"scored_at": WHEN, "more": [1]}))
    if judged is not None:
        values = {"action": action, "judged_at": WHEN} | judged
        (folder / "judged.json").write_text(json.dumps(values))
    return folder


def test_clips_that_are_not_judged_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(tmp_path, 0)
    keep(tmp_path, 1, judged={"difficulty": 3.1})  # its score is not known
    keep(tmp_path, 2, judged={"score": 71.4})
    (tmp_path / ".lock").touch()
    (tmp_path / f".{'a' * 64}-12345678.partial").mkdir()
    [clip] = read_archive(tmp_path)
    assert clip.score == 71.4
    assert read_archive(tmp_path) == [clip]
    warned = capsys.readouterr().err
    assert warned.count("2 of 3 kept clips are not judged") == 1
    shutil.rmtree(clip.path.parent)
    with pytest.raises(DataError, match="lacks clips that are judged; 2 are kept"):
        read_archive(tmp_path)
    with pytest.raises(DataError, match="lacks clips that are judged; 0 are kept"):
        read_archive(tmp_path / "..")


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("clip.mp4", None, "0 video files"),
        ("clip.mov", b"more", "2 video files"),
        ("clip.mp4", b"", "not empty"),
        ("clip.mp4", b"others", "other bytes"),
        ("answer.json", None, "answer.json is missing"),
        ("answer.json", b"{", "answer.json"),
        ("answer.json", b'{"score": 1}', "answer.json: action"),
        ("judged.json", b'{"score": 71.4', "judged.json"),
        (
            "judged.json",
            b'{"action": "diving", "score": "x", "judged_at": "2026-11-28T10:00:00Z"}',
            "json: score",
        ),
        (
            "judged.json",
            b'{"action": "diving", "score": 1e999, "judged_at": "2026-11-28T10:00:00Z"}',
            "json: score",
        ),
        (
            "judged.json",
            b'{"action": "diving", "points": 1, "judged_at": "2026-11-28T10:00:00Z"}',
            "json: points",
        ),
        ("judged.json", b"\xff", "judged.json"),
    ],
)
def test_a_damaged_folder_is_named(
    tmp_path: Path, name: str, content: bytes | None, text: str
) -> None:
    keep(tmp_path, 0, judged={"score": 71.4})
    folder = keep(tmp_path, 1, judged={"score": 61.4})
    assert len(read_archive(tmp_path)) == 2
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=f"1 kept clips are damaged: .*{folder.name}") as caught:
        read_archive(tmp_path)
    assert text in str(caught.value)


def test_the_action_is_that_which_was_judged(tmp_path: Path) -> None:
    """The newest answer may be of another one: the score is none on its scale."""
    keep(tmp_path, judged={"action": "vault", "score": 14.2, "difficulty": 5.8})
    [vault] = read_archive(tmp_path)
    assert vault.action == "vault"
    assert vault.execution == pytest.approx(8.4)
    with pytest.raises(DataError, match="no clip of 'diving', only of vault"):
        open_clips(Kind.archive, [tmp_path], SPECS["diving"])


def test_each_command_gets_the_clips_of_its_action(tmp_path: Path) -> None:
    keep(tmp_path, 0, judged={"score": 71.4})
    keep(tmp_path, 1, action="vault", judged={"score": 14.2, "difficulty": 5.8})
    [dive] = open_clips(Kind.archive, [tmp_path], SPECS["diving"])
    [vault] = open_clips(Kind.archive, [tmp_path], SPECS["vault"])
    assert (dive.score, vault.score) == (71.4, 14.2)
    assert vault.execution == pytest.approx(8.4)
    with pytest.raises(DataError, match="no clip of 'skating', only of diving, vault"):
        open_clips(Kind.archive, [tmp_path], SPECS["skating"])
    assert len(read_clips(Kind.archive, tmp_path)) == 2


def test_the_split_leaves_a_fifth_for_testing_and_a_run_its_validation() -> None:
    hashes = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(2000)]
    sides = Counter(drawn_split(digest, None) for digest in hashes)
    assert sides["test"] / len(hashes) == pytest.approx(TEST_SHARE, abs=0.03)
    training = [digest for digest in hashes if drawn_split(digest, None) == "train"]
    units = name_units([None] * len(training), training)
    kept = divide(units, training, share=0.15)
    assert len(kept.validation) / len(training) == pytest.approx(0.15, abs=0.03)
    assert len({drawn_split(digest, "Smith") for digest in hashes}) == 1


def test_the_check_counts_both_actions(tmp_path: Path) -> None:
    for number in range(6):
        keep(tmp_path, number, judged={"score": 70.0 + number, "group": "Smith"})
    keep(tmp_path, 8, action="vault", judged={"score": 14.2, "difficulty": 5.8})
    result = CliRunner().invoke(app, ["datasets", "check", "--kind", "archive", str(tmp_path)])
    assert result.exit_code == 0, result.output
    side = drawn_split("", "Smith")
    assert f"{side}, diving" in result.output
    assert "7 videos" in result.output
    assert "1 groups" in result.output
