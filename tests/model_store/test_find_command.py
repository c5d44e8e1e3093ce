"""`python -m model_store score --find`"""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_store.__main__ import app
from model_store.store import Store
from tests.checkpoints import publish_tiny, tiny_store
from tests.recordings import FPS, NEAR, uncut_dive, uncut_file


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "recording.mp4"
    path.write_bytes(uncut_file())
    return path


def test_find_prints_where_the_routine_is(store: Store, recording: Path) -> None:
    command = ["score", str(recording), "--store", str(store.root), "--engine", "torch"]
    result = CliRunner().invoke(app, [*command, "--find", "--json"])
    answer = json.loads(result.stdout)
    [routine] = uncut_dive().routines
    for found, at in zip(answer["found_s"], (routine.start, routine.stop), strict=True):
        assert abs(found - at / FPS) <= NEAR / FPS
    begin = answer["found_s"][0]
    assert f"found at {begin:.1f}–" in CliRunner().invoke(app, [*command, "--find"]).stdout

    plain = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert plain["found_s"] is None
    assert plain["second_choice_s"] is None


def test_an_action_that_nobody_can_find_is_a_wrong_command(store: Store, recording: Path) -> None:
    publish_tiny(store, "aqa-7-ski")
    command = ["score", str(recording), "--store", str(store.root), "--action", "aqa-7-ski"]
    result = CliRunner().invoke(app, [*command, "--find"])
    assert result.exit_code == 2
    assert "find knows diving and vault" in result.stderr
