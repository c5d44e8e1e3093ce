"""`python -m training`: one message and exit code 2 for what cannot be done, never a traceback."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.command_line import call, error_message, succeed
from training.commands.evaluate import print_figures
from training.display import bar, warn

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("command", ["train", "pretrain"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "annotations.csv is missing"),
        ("clip,split,score\nannotations.csv,train,5\n", "need at least 2"),
    ],
)
def test_bad_annotations(tmp_path: Path, command: str, text: str | None, message: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    if text is not None:
        (data / "annotations.csv").write_text(text)
    output = error_message(call(command, "--data", data, "--out", tmp_path / "run"))
    assert message in output


def test_a_clip_that_is_no_video(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = "".join(f"{i}.mp4,train,{i}\n" for i in range(4))
    (data / "annotations.csv").write_text("clip,split,score\n" + rows)
    for i in range(4):
        (data / f"{i}.mp4").write_bytes(f"not a video {i}".encode())
    output = error_message(
        call("train", "--data", data, "--out", tmp_path / "run", "--validation", "0.5")
    )
    assert re.search(r"[0-3]\.mp4: not a video", output)


def test_evaluate_needs_a_checkpoint_and_one_source_of_clips(tmp_path: Path, bright: Path) -> None:
    assert "no checkpoint" in error_message(
        call("evaluate", "--checkpoint", "none", "--data", bright, "--store", tmp_path)
    )
    assert "either" in error_message(call("evaluate", "--checkpoint", "none", "--store", tmp_path))


def test_publish_needs_a_run(tmp_path: Path) -> None:
    assert "run.json" in error_message(
        call("publish", "--run", tmp_path, "--name", "x", "--store", tmp_path)
    )


def test_train_evaluate_publish_from_the_shell(
    bright: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands as a user gives them, on a vault contract at a small size."""
    monkeypatch.setattr(sys, "argv", ["training", "train", "--seed", "3"])
    run, store, cache = tmp_path / "run", tmp_path / "store", tmp_path / "cache"
    words = [
        "train", "--action", "vault", "--data", bright, "--out", run, "--cache", cache,
        "--resize", "32x32", "--width", 1 / 32, "--epochs", 1, "--head-epochs", 1,
        "--head-variants", 1, "--batch", 16, "--seed", 3, "--no-augment", "--alpha", "balance",
    ]  # fmt: skip
    output = succeed(*words)
    assert "validation: Spearman" in output
    assert json.loads((run / "run.json").read_text())["clip"]["crop"] == [32, 32]

    succeed("publish", "--run", run, "--name", "bright", "--store", store)
    figures = tmp_path / "figures.json"
    output = succeed(
        "evaluate", "--checkpoint", "bright", "--data", bright, "--store", store,
        "--json", figures, "--engine", "torch",
    )  # fmt: skip
    measured = json.loads(figures.read_text())
    assert measured.keys() >= {"spearman", "mean_distance", "distance_share"}
    assert f"{measured['spearman']:.4f}" in output
    assert measured["clips"] == 12
    assert call(
        "publish", "--run", run, "--name", "bright", "--store", store, "--metrics", figures
    ).exit_code == 0  # fmt: skip


def test_a_place_that_cannot_be_written_is_told(bright: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    output = error_message(call("train", "--data", bright, "--out", tmp_path / "file" / "run"))
    assert "Not a directory" in output


def test_help_is_quick() -> None:
    """It must not wait for PyTorch."""
    code = (
        "import sys; import training.__main__;"
        "sys.exit(', '.join({'torch', 'openvino', 'tensorboard'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.stderr == "\n"
    for command in (
        "simulate", "pretrain", "train", "evaluate", "publish", "baseline", "import-c3d",
        "datasets check", "report",
    ):  # fmt: skip
        told_by_help = call(*command.split(), "--help")
        assert told_by_help.exit_code == 0
        assert "Example" in told_by_help.output


@pytest.mark.parametrize("name", ["meet [old] 2024", "quals [bold red]", "[", "a:dash:b [/]"])
def test_a_path_is_shown_as_it_is(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rich would take brackets for a style, and colons for a picture."""
    monkeypatch.setenv("COLUMNS", "400")
    data = tmp_path / name
    data.mkdir(parents=True)
    row = "clip,split,score\nclips/0.mp4,train,5\n"
    (data / "annotations.csv").write_text(row)
    words = {
        "train": ("--data", data, "--out", tmp_path / "run"),
        "datasets": ("check", data),
        "report": ("--run", data, "--out", tmp_path / "report"),
    }
    for command, options in words.items():
        assert str(data) in error_message(call(command, *options))


def test_a_value_is_shown_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"video")
    for value in ("[/b]", "[red]", ":dash:"):
        (tmp_path / "annotations.csv").write_text(f"clip,split,score\na.mp4,train,{value}\n")
        assert f"score is '{value}', need" in error_message(call("datasets", "check", tmp_path))


def test_tables_and_lines_show_names_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    measured = {"pairs": 4, "ordered": 0.5, "gain": 0.75, "agreement": None}
    stages = {"[take]-off :dash:": 0.5}
    figures = {"clips": 3, "stage_agreement_by_stage": stages}
    figures["pairs_by_kind"] = {"[bent] :knees:": measured}
    print_figures("[base]@1", figures)
    with bar("clips") as shown:
        shown.update(1, 2, phase="[phase]", figures={"[figure]": 1.0})
        shown.log("epoch [1/2]: :dash:")
    warn("clip [a] :dash:")
    written = capsys.readouterr()
    assert "[base]@1 on 3 clips" in written.out
    assert "stage agreement by stage: [take]-off :dash:" in written.out
    assert re.search(r"\[bent\] :knees: +│ 4 +│ 0\.500 +│ 0\.75", written.out)
    for text in ("[phase]", "[figure] 1", "epoch [1/2]: :dash:", "warning: clip [a] :dash:"):
        assert text in written.err


def test_of_several_processes_the_first_warns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        warn(f"from {rank}")
    assert capsys.readouterr().err == "warning: from 0\n"
