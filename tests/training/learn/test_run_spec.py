"""The options of a run: what they may be, the presets, the rates that follow from them."""

import dataclasses
from typing import Any

import pytest

from training.errors import RunError
from training.learn.run_spec import PRESETS, RunSpec, preset_clip
from training.learn.schedule import rate_factor


def test_rates_of_the_paper_and_of_a_cosine(run: RunSpec) -> None:
    paper = dataclasses.replace(run, schedule="steps", warmup=0.0)
    assert [rate_factor(paper, step, 2000) for step in (0, 599, 600, 1200)] == pytest.approx(
        [1, 1, 0.45, 0.45**2]
    )
    rising = dataclasses.replace(paper, warmup=0.05)
    assert [rate_factor(rising, step, 80) for step in (0, 3, 4)] == [0.25, 1, 1]
    assert rate_factor(rising, 699, 20_000) == pytest.approx(0.7 * 0.45)
    factors = [rate_factor(run, step, 100) for step in range(100)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[5:] == sorted(factors[5:], reverse=True)
    assert factors[-1] == pytest.approx(0.01, abs=0.01)


def test_the_literal_preset_is_the_papers_numbers() -> None:
    paper = PRESETS["paper-literal"]
    assert (paper["extractor_rate"], paper["rate"]) == (0.001, 0.01)
    defaults = {field.name: field.default for field in dataclasses.fields(RunSpec)}
    assert (defaults["decay"], defaults["decay_every"], defaults["margin"]) == (0.45, 600, 2)
    assert paper["schedule"] == "steps"
    assert defaults["shift"]
    assert paper["alpha"] == "balance"
    network = paper["network"]
    assert (network.dropout, network.width, network.normalisation) == (0.8, 1.0, "none")
    # Nothing that the paper does not have.
    assert defaults["regression"]
    assert (defaults["head_epochs"], defaults["accumulate"], paper["blanking"]) == (0, 1, 0)
    assert not paper.keys() & {"flip", "colour", "zoom", "auxiliary", "max_gradient", "teach"}
    assert (defaults["flip"], defaults["colour"], defaults["zoom"]) == (0, 0, 0)
    assert defaults["low_frame_rate"] == 0
    assert (defaults["auxiliary"], defaults["max_gradient"]) == (0, None)
    assert paper["warmup"] == 0
    clip = preset_clip("paper-literal", "diving")
    assert clip == preset_clip("paper", "diving")
    assert (clip.crop, clip.frames, clip.max_start) == ((112, 112), 151, 5)


def test_options_of_something_else_are_refused(run: RunSpec) -> None:
    values = run.to_json()
    for wrong in ({**values, "steps": 4000}, {k: v for k, v in values.items() if k != "data"}):
        with pytest.raises(RunError, match="no options of `train`"):
            RunSpec.from_json(wrong)


def test_a_record_without_a_newer_option_has_its_default(run: RunSpec) -> None:
    values = run.to_json()
    del values["low_frame_rate"]
    assert RunSpec.from_json(values) == run


@pytest.mark.parametrize(
    "wrong",
    [{"alpha": -1.0}, {"blanking": 2.0}, {"validation": 0.0}, {"epochs": 0}, {"batch": 1},
     {"zoom": 0.9}, {"low_frame_rate": 1.5}, {"auxiliary": -1.0}, {"extractor": "a", "base": "b@1"},
     {"new_head": True}, {"accumulate": 0}, {"folds": 1}, {"fold": 1}, {"readout": True},
     {"average": 0.0}, {"frozen_layers": 2},
     {"folds": 3, "fold": 3}, {"checkpointing": True}, {"regression": False, "alpha": 0.0},
     {"from_mean": False, "base": "a@1"}, {"apart": True}, {"apart": True, "rehearse": ("a",)}],
)  # fmt: skip
def test_impossible_options_are_refused(run: RunSpec, wrong: dict[str, Any]) -> None:
    with pytest.raises(RunError):
        dataclasses.replace(run, **wrong)
