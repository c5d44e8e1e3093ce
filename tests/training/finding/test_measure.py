"""How well the routine is found: the figures, by hand, and one real recording through all of it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from model_store.clip import decode
from model_store.clip_warning import ClipWarning
from model_store.finding.recording import ALL_FRAMES
from model_store.spec import SPECS
from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.clips import clip_of, moving_square
from training.__main__ import app
from training.finding.measure import Finding, figures
from training.finding.strung import strung


def finding(**changed: object) -> Finding:
    fields = {
        "kind": "standing",
        "off_s": (0.1, -0.2),
        "second_off_s": None,
        "points": 0.5,
        "cost": 1.2,
        "warnings": (),
        "warns_of_nothing": None,
    }
    return Finding(**fields | changed)  # type: ignore[arg-type]


def test_figures_by_hand() -> None:
    found = figures(
        [
            finding(),
            finding(off_s=(0.1, 0.4), points=-2.0, cost=1.4, warns_of_nothing=True),
            finding(kind="several", second_off_s=0.2, warnings=(ClipWarning.SEVERAL_ROUTINES,)),
            finding(kind="several", second_off_s=np.inf, off_s=(-0.5, 0.0), warns_of_nothing=False),
        ]
    )
    assert found.keys() == {"all", "standing", "several"}
    every = found["all"]
    assert every["recordings"] == 4
    assert every["near"] == 0.5
    assert every["begins_near"] == every["ends_near"] == 0.75
    assert every["median_off_s"] == pytest.approx(0.3)
    assert every["near_in_points"] == 0.75
    assert every["second_near"] == 0.5
    assert every["cost"] == pytest.approx(1.2)
    assert every["several_routines"] == 0.25
    assert every["no_routine"] == 0
    assert every["nothing_noticed"] == 0.5
    assert found["standing"]["second_near"] is None


WHOLE = dataclasses.replace(SPECS["diving"].with_size((32, 32), (32, 32)), frames=ALL_FRAMES)


def test_clips_in_a_row(tmp_path: Path) -> None:
    paths = []
    for seed in range(3):
        paths.append(tmp_path / f"{seed}.mp4")
        paths[-1].write_bytes(clip_of(moving_square(75, 48, 64, seed=seed)))
    one, other = strung(paths, 0, 2), strung(paths, 0, 2)
    for first, again in zip(one, other, strict=True):
        assert (
            first.routines == again.routines
        )  # the encoder may choose otherwise on a busy machine
        assert decode(first.file, WHOLE).shape == decode(again.file, WHOLE).shape
        stop = 0.0
        for begin, end in first.routines:
            assert begin >= stop
            assert end - begin == pytest.approx(75 / 30)
            stop = end


@pytest.mark.slow
def test_the_command_measures(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    publish_tiny(store, "vault")
    command = ["find", "--checkpoint", "vault", "--recordings", "1", "--engine", "torch"]
    command += ["--store", str(store.root), "--json", str(tmp_path / "found.json")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text())["found"]
    assert found["all"]["recordings"] == 1
    assert found["all"]["cost"] > 1
    assert found["standing"]["near"] in (0.0, 1.0)
