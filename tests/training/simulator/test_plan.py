import numpy as np
import pytest
from scipy.stats import spearmanr

from model_store.spec import SPECS
from training.simulator.faults import FAULTS
from training.simulator.plan import Plan, draw_plan
from training.simulator.statistics import real_statistics

ACTIONS = ("diving", "vault")


def column(plans: list[Plan], name: str) -> np.ndarray:
    if name == "difficulty":
        return np.array([plan.routine.difficulty for plan in plans])
    return np.array([getattr(plan, name) for plan in plans])


@pytest.mark.parametrize("name", ["score", "difficulty", "execution"])
@pytest.mark.parametrize("action", ACTIONS)
def test_distributions_follow_the_real_ones(
    action: str, name: str, plans: dict[str, list[Plan]]
) -> None:
    drawn, real = column(plans[action], name), real_statistics()[action][name]
    assert drawn.mean() == pytest.approx(real["mean"], rel=0.10)
    assert drawn.std(ddof=1) == pytest.approx(real["deviation"], rel=0.10)


@pytest.mark.parametrize("action", ACTIONS)
def test_deductions_are_what_separates_a_routine_from_a_perfect_one(
    action: str, plans: dict[str, list[Plan]]
) -> None:
    for plan in plans[action][:50]:
        spotless = draw_plan(
            action, plan.seed, plan.index, faults={f.kind: 0.0 for f in FAULTS[action]}
        )
        lost = sum(plan.deductions.values())
        assert spotless.true_score == pytest.approx(plan.perfect_score)
        assert lost == pytest.approx(spotless.true_score - plan.true_score)
        assert min(plan.deductions.values()) >= 0


@pytest.mark.parametrize("action", ACTIONS)
def test_judges_scatter_around_the_true_score(action: str, plans: dict[str, list[Plan]]) -> None:
    error = column(plans[action], "score") - column(plans[action], "true_score")
    spread = column(plans[action], "score").std()
    assert abs(error.mean()) < 0.03 * spread
    assert 0.04 * spread < error.std() < 0.25 * spread


@pytest.mark.parametrize("action", ACTIONS)
def test_no_single_stage_tells_the_score(action: str, plans: dict[str, list[Plan]]) -> None:
    score = column(plans[action], "score")
    for stage in SPECS[action].stages:
        lost = np.array([plan.deductions[stage] for plan in plans[action]])
        if lost.any():
            assert 0.2 < -spearmanr(lost, score).statistic < 0.65, stage


@pytest.mark.parametrize("action", ACTIONS)
def test_every_fault_occurs_and_most_routines_lack_it(
    action: str, plans: dict[str, list[Plan]]
) -> None:
    for fault in FAULTS[action]:
        severity = np.array([plan.severities[fault.kind] for plan in plans[action]])
        assert severity.min() == 0
        assert severity.max() <= 1
        if fault.kind != "splash":
            assert 0.01 < (severity > 0).mean() < 0.5, fault.kind


@pytest.mark.parametrize("action", ACTIONS)
def test_stages_are_in_order_and_vary(action: str, plans: dict[str, list[Plan]]) -> None:
    spec = SPECS[action]
    for plan in plans[action]:
        bounds = (*plan.stage_starts, plan.frames)
        assert len(plan.stage_starts) == len(spec.stages)
        assert bounds[0] == 0
        assert (np.diff(bounds) >= 8).all()
        assert plan.frames <= spec.frames
        assert [t for stage in spec.stages for t in plan.stage_range(stage)] == list(
            range(plan.frames)
        )
    frames = column(plans[action], "frames")
    assert len(set(frames)) > 15
    assert frames.min() >= {"diving": 100, "vault": 75}[action]


@pytest.mark.parametrize("action", ACTIONS)
def test_one_fault_changes_its_own_stage_and_nothing_else(action: str) -> None:
    for fault in FAULTS[action]:
        indices = (i for i in range(99) if draw_plan(action, 1, i).routine.position == "straight")
        index = next(indices) if action == "vault" else 0
        none = dict.fromkeys((fault.kind, *fault.rivals), 0.0)
        clean = draw_plan(action, 1, index, faults=none)
        faulty = draw_plan(action, 1, index, faults=none | {fault.kind: 0.6})
        assert faulty.stage_starts == clean.stage_starts
        assert faulty.routine == clean.routine
        for stage in SPECS[action].stages:
            assert (faulty.deductions[stage] > clean.deductions[stage]) == (stage == fault.stage)
        assert faulty.true_score < clean.true_score
        assert faulty.score <= clean.score


def test_grave_faults_together_leave_a_score() -> None:
    worst = draw_plan("diving", 0, 0, faults={f.kind: 1.0 for f in FAULTS["diving"]})
    assert 0 < worst.true_score < 0.1 * worst.perfect_score


def test_unknown_names_and_severities_are_refused() -> None:
    with pytest.raises(ValueError, match="'chess'"):
        draw_plan("chess", 0, 0)
    with pytest.raises(KeyError, match="bent_ears"):
        draw_plan("diving", 0, 0, faults={"bent_ears": 0.5})
    with pytest.raises(ValueError, match=r"1\.5"):
        draw_plan("diving", 0, 0, faults={"splash": 1.5})
