"""What contributions of stages are worth, against scores that are made of known parts."""

import numpy as np
import pytest

from training.measure.stage_worth import stage_worth

STAGES = ("flight", "entry", "splash")


def scored(clips: int, worth: list[float], noise: float = 1.0) -> dict[str, np.ndarray]:
    """Six fragments, two of each stage, the last of them half in padding."""
    random = np.random.default_rng(0)
    contributions = random.normal(0, [1, 2, 1, 1, 3, 1], (clips, 6))
    shares = np.zeros((clips, 6, 3))
    shares[:, [0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 2, 2]] = [1, 1, 1, 1, 1, 0.5]
    by_stage = np.einsum("nk,nks->ns", contributions, shares)
    base = random.normal(70, 5, clips)
    rest = 0.5 * contributions[:, 5]
    return {
        "contributions": contributions,
        "shares": shares,
        "predicted": base + contributions.sum(axis=1),
        "judged": 3 + base + rest + by_stage @ worth + random.normal(0, noise, clips),
    }


def test_a_stage_is_worth_what_it_is_to_the_judges() -> None:
    found = stage_worth(STAGES, **scored(400, [1.0, 0.4, 0.0]))
    assert list(found) == list(STAGES)
    for stage, wanted in zip(STAGES, (1.0, 0.4, 0.0), strict=True):
        assert found[stage]["worth"] == pytest.approx(wanted, abs=0.1)
        assert found[stage]["low"] < wanted < found[stage]["high"]
        assert found[stage]["high"] - found[stage]["low"] < 0.4
    assert found["flight"]["deviation"] == pytest.approx(np.sqrt(1 + 4), rel=0.1)
    assert found["flight"]["spearman"] > 0.8
    assert abs(found["splash"]["spearman"]) < 0.15


def test_noise_widens_the_interval() -> None:
    quiet, loud = (stage_worth(STAGES, **scored(200, [1, 1, 1], noise)) for noise in (0.5, 5.0))
    for stage in STAGES:
        widths = [each[stage]["high"] - each[stage]["low"] for each in (quiet, loud)]
        assert widths[1] > 5 * widths[0]


def test_few_clips_tell_nothing_and_neither_does_a_stage_that_never_contributes() -> None:
    assert stage_worth(STAGES, **scored(23, [1, 1, 1])) == {}
    silent = scored(100, [1, 1, 1])
    silent["contributions"][:, 2:4] = 0
    assert list(stage_worth(STAGES, **silent)) == ["flight", "splash"]


def test_stages_that_always_share_their_fragments_are_not_told_apart() -> None:
    """In all clips each half of a fragment: its contribution could be the one's or the other's."""
    alike = scored(100, [1, 1, 1])
    alike["shares"][:, :4] = [0.5, 0.5, 0]
    assert stage_worth(STAGES, **alike) == {}
