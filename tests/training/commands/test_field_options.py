"""Options that come from the fields of a dataclass: a field is all that an option needs."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from model_store.spec import ClipSpec
from tests.training.command_line import call, error_message, succeed
from training.__main__ import app
from training.commands.field_options import options_of
from training.learn.run_spec import RunSpec
from training.pretraining.pretrain_spec import PretrainSpec

GIVEN_OTHERWISE = {
    "data",
    "keep",
    "rehearse",
    "kind",
    "clip",
    "network",
    "extractor",
    "base",
    "regression",
    "processes",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec:
    inner: int = 1
    steps: Annotated[int, typer.Option(min=1, help="How many.")] = 5
    rate: Annotated[float, typer.Option(help="How quick.")]
    kind: Annotated[Literal["slow", "quick"] | None, typer.Option(help="Which.")] = None
    quiet: Annotated[bool, typer.Option("--quiet/--loud", help="Whether.")] = False


def ask(*words: str) -> dict[str, Any]:
    """What a command with the options of `Spec` is given."""
    asked: dict[str, Any] = {}

    @options_of(Spec)
    def command(name: str = "x", **options: Any) -> None:
        asked.update(options, name=name)

    small = typer.Typer()
    small.command()(command)
    result = CliRunner().invoke(small, words)
    assert result.exit_code == 0, result.output
    return asked


def test_a_field_is_an_option() -> None:
    assert ask() == {"name": "x", "steps": 5, "rate": None, "kind": None, "quiet": False}
    words = ("--name", "y", "--steps", "2", "--rate", "0.5", "--kind", "slow", "--quiet")
    assert ask(*words) == {"name": "y", "steps": 2, "rate": 0.5, "kind": "slow", "quiet": True}
    with pytest.raises(AssertionError, match="Invalid value for '--steps'"):
        ask("--steps", "0")
    with pytest.raises(AssertionError, match="No such option"):
        ask("--inner", "2")


@pytest.mark.parametrize(("command", "spec"), [("train", RunSpec), ("pretrain", PretrainSpec)])
def test_every_field_is_asked_for_and_explained(command: str, spec: ClipSpec) -> None:
    """A new field says how it is asked for: `Annotated[int, LOSS(help="…")]`."""
    told_by_help = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    hints = get_type_hints(spec, include_extras=True)
    for field in dataclasses.fields(spec):
        if field.name in GIVEN_OTHERWISE:
            continue
        options = [
            each
            for each in getattr(hints[field.name], "__metadata__", ())
            if isinstance(each, typer.models.OptionInfo)
        ]
        assert options, f"{field.name} has no option"
        assert options[0].help
        assert f"--{field.name.replace('_', '-')}" in told_by_help


def test_options_reach_the_run_as_they_are_given(bright: Path, tmp_path: Path) -> None:
    """Single looks count for more than --no-augment."""
    asked = {
        "margin": 1.5, "decay": 0.5, "decay_every": 7, "schedule": "steps", "warmup": 0.1,
        "head_batch": 8, "flip": 0.25, "colour": 0.1, "zoom": 0.05,
        "low_frame_rate": 0.5,
    }  # fmt: skip
    words = [f"--{name.replace('_', '-')}={value}" for name, value in asked.items()]
    succeed(
        "train", "--action", "vault", "--data", bright, "--out", tmp_path, "--resize", "32x32",
        "--width", 1 / 32, "--epochs", 1, "--batch", 16, "--fragments", "last", "--no-augment",
        *words,
    )  # fmt: skip
    options = json.loads((tmp_path / "run.json").read_text())
    assert asked == {name: options[name] for name in asked}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--alpha much", "need a number or balance"),
        ("--loss mse --alpha 0.5", "does not go with --loss mse"),
        ("--loss ranking --alpha 0", "does not go with --loss ranking"),
        ("--schedule never", "--schedule"),
        ("--decay 2", "--decay"),
        ("--zoom 0.9", "--zoom"),
        ("--blanking 7", "blanking is 7"),
        ("--target both-of-them", "--target"),
        ("--fragments 6", "the clip has 0…5"),
        ("--fragments first", "need all, last, or indices"),
        ("--resize 64", "size is '64'"),
        ("--resize 32x32 --crop 64x64", "does not fit"),
        ("--start 9", "start is 9"),
        ("--epochs 0", "no epochs"),
        ("--width 9", "width is 9"),
        ("--width 0.5 --base diving", "own width"),
        ("--folds 3 --fold 3", "fold is 3 of 3"),
    ],
)
def test_options_that_cannot_be(bright: Path, tmp_path: Path, words: str, message: str) -> None:
    run = tmp_path / "run"
    result = call("train", "--action", "vault", "--data", bright, "--out", run, *words.split())
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert not run.exists()


@pytest.mark.parametrize("target", ["execution", "both"])
def test_an_execution_needs_difficulties(bright: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "clips").symlink_to(bright / "clips")
    text = (bright / "annotations.csv").read_text().replace(",4.0,", ",,")
    (tmp_path / "data" / "annotations.csv").write_text(text)
    words = ("train", "--data", tmp_path / "data", "--out", tmp_path / "run", "--target", target)
    assert "has no execution: no difficulty" in error_message(call(*words))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["train", "pretrain"])
def test_an_action_that_is_not_there(bright: Path, tmp_path: Path, command: str) -> None:
    words = (command, "--data", bright, "--out", tmp_path / "run", "--action")
    output = error_message(call(*words, "rowing"))
    assert "no action 'rowing': need one of aqa-7-diving" in output
    assert "my-action.toml" in output
    assert "cannot be read" in error_message(call(*words, tmp_path / "rowing.toml"))
    (tmp_path / "rowing.toml").write_text("frames = 10")
    assert "lacks" in error_message(call(*words, tmp_path / "rowing.toml"))


def test_fragments_that_c3d_cannot_halve(bright: Path, tmp_path: Path) -> None:
    (tmp_path / "short.toml").write_text(
        "frames = 36\nfragments = 3\nfragment_length = 12\nfps = 30\nstages = []\n"
        'difficulty_rule = "add"\nscore_range = [0, 20]\n'
    )
    words = ("--data", bright, "--out", tmp_path / "run", "--action", tmp_path / "short.toml")
    assert "fragments are 12 frames of 64 x 64 pixels" in error_message(call("train", *words))
