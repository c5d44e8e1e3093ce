import numpy as np
import pytest

from model_store.spec import SKATING
from training.simulator.dataset import draw_ladder
from training.simulator.elements import elements, parse_elements
from training.simulator.faults import ELEMENT_FAULTS, Fault
from training.simulator.programme import FACTOR, PERFECT, Programme, draw_programme


@pytest.fixture(scope="module")
def programmes() -> list[Programme]:
    return [draw_programme(20, index) for index in range(500)]


def test_a_score_is_the_base_values_plus_the_panels_mark() -> None:
    programme = draw_programme(0, 0, code="3Lo CSp 2A ChSp CoSp 1Lo StSq")
    assert programme.difficulty == pytest.approx(4.9 + 2.6 + 3.3 + 3.0 + 3.5 + 0.5 + 3.3)
    middle = sorted(programme.marks)[1:-1]
    assert len(middle) == 7
    assert programme.execution == pytest.approx(FACTOR * sum(middle) / 7, abs=0.003)
    assert programme.score == pytest.approx(programme.difficulty + programme.execution, abs=1e-3)


def test_scores_are_those_of_the_spec(programmes: list[Programme]) -> None:
    score = np.array([programme.score for programme in programmes])
    low, high = SKATING.score_range
    assert low < score.min()
    assert (score < high).mean() > 0.97
    assert 60 < score.mean() < 80
    assert 7 < score.std() < 14
    execution = np.array([programme.execution for programme in programmes])
    assert np.corrcoef(execution, score)[0, 1] > 0.4  # not the difficulty alone


def test_seven_to_twelve_elements_of_every_kind_in_their_places(
    programmes: list[Programme],
) -> None:
    for programme in programmes[:100]:
        items = programme.items
        assert 7 <= len(items) <= 12
        kinds = [item.element.kind for item in items]
        assert (kinds.count("jump"), kinds.count("spin"), kinds.count("glide")) >= (3, 2, 1)
        assert programme.frames == SKATING.frames == 900
        bounds = [0, *(b for item in items for b in (item.frames.start, item.frames.stop)), 900]
        assert (np.diff(bounds) > 0).all()
        for item in items:
            assert item.frames.start < item.core.start < item.core.stop < item.frames.stop
    assert len({len(programme.items) for programme in programmes}) == 6
    starts = [programme.items[2].frames.start for programme in programmes]
    assert len(set(starts)) > 100
    shown = {item.element.code for programme in programmes for item in programme.items}
    assert shown == elements().keys()


def test_deductions_are_what_separates_a_programme_from_a_perfect_one(
    programmes: list[Programme],
) -> None:
    for programme in programmes[:50]:
        none = dict.fromkeys(programme.severities, 0.0)
        spotless = draw_programme(programme.seed, programme.index, faults=none)
        assert spotless.true_score == pytest.approx(spotless.perfect_score)
        assert spotless.true_score == pytest.approx(programme.difficulty + FACTOR * PERFECT)
        lost = sum(programme.deductions.values())
        assert spotless.true_score - programme.true_score == pytest.approx(lost)
        assert programme.deductions.keys() == programme.parts.keys()


def test_judges_scatter_around_the_true_score(programmes: list[Programme]) -> None:
    error = np.array([p.score - p.true_score for p in programmes])
    assert abs(error.mean()) < 0.1
    assert 0.2 < error.std() < 1.0


@pytest.mark.parametrize("fault", ELEMENT_FAULTS, ids=lambda f: f.kind)
def test_a_fault_costs_its_element_and_nothing_else(fault: Fault) -> None:
    programme = draw_programme(1, 2)
    item = next(item for item in programme.items if item.element.kind == fault.stage)
    kinds = [item.fault(kind) for kind in (fault.kind, *fault.rivals)]
    none = dict.fromkeys(kinds, 0.0)
    clean = draw_programme(1, 2, faults=none)
    faulty = draw_programme(1, 2, faults=none | {kinds[0]: 0.6})
    assert faulty.items == clean.items
    for name, deduction in faulty.deductions.items():
        assert (deduction > clean.deductions[name]) == (name == item.name)
    difference = clean.true_score - faulty.true_score
    assert difference == pytest.approx(FACTOR * fault.weight * 0.6)
    assert faulty.score <= clean.score


def test_a_landing_goes_wrong_in_one_way_only() -> None:
    code = "3Lo " * 3 + "USp SSp ChSp StSq"
    faults = {"1.stumble": 0.5, "1.fall": 0.9}
    programme = draw_programme(0, 0, faults=faults, code=code)
    assert programme.severities["1.fall"] == 0.9
    assert programme.severities["1.stumble"] == 0


def test_pairs_are_drawn_from_every_kind_of_fault() -> None:
    drawn = [draw_ladder("skating", 0, i)[0] for i in range(150)]
    assert {fault.kind.partition(".")[2] for fault in drawn} == {f.kind for f in ELEMENT_FAULTS}
    assert all(fault.kind.split(".")[0] == fault.stage.split(".")[0] for fault in drawn)


def test_what_is_known_stands_in_the_columns() -> None:
    programme = draw_programme(0, 3, faults={"1.slow": 0.0}, code="USp 3Lo SSp 2A ChSp 1A CSp")
    columns = programme.columns()
    assert columns["elements"].split() == [
        "1.USp", "2.3Lo", "3.SSp", "4.2A", "5.ChSp", "6.1A", "7.CSp",
    ]  # fmt: skip
    assert sum(map(float, columns["element_values"].split())) == pytest.approx(programme.difficulty)
    named = dict(fault.split("=") for fault in columns["faults"].split())
    shown = {kind: s for kind, s in programme.severities.items() if s}
    assert {kind: float(s) for kind, s in named.items()} == pytest.approx(shown, abs=1e-4)
    falls = [s for kind, s in programme.severities.items() if kind.endswith(".fall")]
    assert float(columns["fault_fall"]) == pytest.approx(max(falls), abs=1e-4)


def test_unknown_names_severities_and_too_much_are_refused() -> None:
    with pytest.raises(KeyError, match="5Lo"):
        parse_elements("3Lo 5Lo")
    with pytest.raises(KeyError, match=r"1\.splash"):
        draw_programme(0, 0, faults={"1.splash": 0.5})
    with pytest.raises(ValueError, match=r"1\.5"):
        draw_programme(0, 0, faults={"1.fall": 1.5}, code="3Lo USp")
    with pytest.raises(ValueError, match="30 elements"):
        draw_programme(0, 0, code="CoSp " * 30)
