"""Actions from files: the shipped ones, any other, and one message for what is wrong."""

import tomllib
from fractions import Fraction
from pathlib import Path

import pytest

from model_store.errors import SpecError
from model_store.spec import ACTIONS, SPECS, ClipSpec, read_action

TRAMPOLINE = {
    "frames": "103",
    "fragments": "6",
    "fragment_length": "16",
    "fps": "29.97",
    "stages": '["mount", "flight", "landing"]',
    "difficulty_rule": '"add"',
    "score_range": "[0, 65.5]",
}
AQA_7 = ("diving", "vault", "ski", "snowboard", "sync-3m", "sync-10m")


def write(folder: Path, name: str = "trampoline.toml", **changes: str | None) -> Path:
    lines = [f"{key} = {value}" for key, value in (TRAMPOLINE | changes).items() if value]
    (folder / name).write_text("\n".join(lines))
    return folder / name


def test_a_file_is_an_action(tmp_path: Path) -> None:
    spec = read_action(write(tmp_path))
    assert (spec.action, spec.frames, spec.fragments, spec.slack) == ("trampoline", 103, 6, 7)
    assert spec.fps == Fraction(2997, 100)
    assert spec.stages == ("mount", "flight", "landing")
    assert (spec.difficulty_rule, spec.score_range) == ("add", (0.0, 65.5))
    assert (spec.pad, spec.start, spec.resize, spec.crop) == ("end", 0, (128, 171), (112, 112))
    assert ClipSpec.from_json(spec.to_json()) == spec


def test_what_is_optional_goes_before_the_preset(tmp_path: Path) -> None:
    assert read_action(write(tmp_path), (64, 64), (48, 48)).crop == (48, 48)
    file = write(tmp_path, pad='"start"', start="7", resize="[64, 86]", crop="[60, 70]")
    spec = read_action(file, (32, 32), (32, 32))
    assert (spec.pad, spec.start, spec.resize, spec.crop) == ("start", 7, (64, 86), (60, 70))
    whole = read_action(write(tmp_path, resize="[64, 86]"), (32, 32), (32, 32))
    assert whole.crop == (64, 86)


def test_a_file_of_a_windows_editor_is_read(tmp_path: Path) -> None:
    file = write(tmp_path, fps='"24/5"')
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert read_action(file).fps == Fraction(24, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": None}, r"lacks \['frames'\]"),
        ({"colour": '"red"'}, r"has unknown \['colour'\], it may have"),
        ({"frames": '"many"'}, "frames is 'many', need a whole number"),
        ({"frames": "103.0"}, "frames is 103.0, need a whole number"),
        ({"fragments": "true"}, "fragments is True, need a whole number"),
        ({"fps": '"fast"'}, "fps is 'fast', need a number above 0, or a fraction"),
        ({"fps": '"30/0"'}, "fps is '30/0', need"),
        ({"fps": "-30"}, "fps is -30, need"),
        ({"fps": "nan"}, "fps is nan, need"),
        ({"stages": '"flight"'}, "stages is 'flight', need a list of words"),
        ({"stages": '["up", "up"]'}, "need names that differ"),
        ({"stages": "[1]"}, "need a list of words"),
        ({"score_range": "[0]"}, "need lowest and highest score"),
        ({"score_range": "[10, 0]"}, "need the lowest score and then the highest"),
        ({"score_range": "[0, inf]"}, "need the lowest score and then the highest"),
        ({"difficulty_rule": '"times"'}, "difficulty_rule is 'times', need one of"),
        ({"difficulty_rule": "1"}, "difficulty_rule is 1, need a word"),
        ({"fragments": "7"}, "do not fit into 103 frames"),
        ({"start": "8"}, "start is 8, need 0…7"),
        ({"resize": "[64]"}, "need height and width"),
        ({"crop": "[200, 200]"}, "does not fit into resize"),
    ],
)
def test_what_is_wrong_is_reported_once(
    tmp_path: Path, changes: dict[str, str | None], message: str
) -> None:
    file = write(tmp_path, **changes)
    with pytest.raises(SpecError, match=message) as error:
        read_action(file)
    assert str(error.value).startswith(str(file))


@pytest.mark.parametrize("name", ["Trampoline.toml", "my action.toml", "7-up.toml", "jumps.txt"])
def test_a_name_that_no_action_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match="named as its file is, need a-z, 0-9 and -"):
        read_action(write(tmp_path, name))


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read: No such file"):
        read_action(tmp_path / "none.toml")
    for content in (b"frames: 103", b"\xff\xfe\x00"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(SpecError, match="is not TOML"):
            read_action(tmp_path / "bad.toml")


def test_a_shipped_name_stays_what_it_is(tmp_path: Path) -> None:
    copy = tmp_path / "diving.toml"
    copy.write_bytes((ACTIONS / "diving.toml").read_bytes())
    assert read_action(copy) == SPECS["diving"]
    with pytest.raises(SpecError, match="shipped action whose frames is 151, here it is 103"):
        read_action(write(tmp_path, "diving.toml"))


@pytest.mark.parametrize("action", AQA_7)
def test_the_actions_of_aqa_7_have_103_frames(action: str) -> None:
    spec = SPECS[f"aqa-7-{action}"]
    assert (spec.frames, spec.fragments, spec.fragment_length, spec.fps) == (103, 6, 16, 30)


def test_what_is_shipped_is_packaged() -> None:
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["model_store"]
    packaged = {file for pattern in patterns for file in (root / "model_store").glob(pattern)}
    assert {*ACTIONS.iterdir(), *(root / "model_store").rglob("judging/*.json")} <= packaged
