"""Runs find their cells; tables and figures say what was measured, by hand."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from model_store.card import ClipsCard
from tests.training.bright import SPEC, TINY
from tests.training.data.datasets.layouts import write_aqa7
from training.data.datasets.annotations import read_annotations
from training.data.datasets.matlab import matrix
from training.data.seen_clips import seen_among
from training.errors import RunError
from training.learn.run_spec import RunSpec
from training.learn.summary import RunSummary
from training.paper.report.baseline_file import Baseline
from training.paper.report.document import numbers, text, write_report
from training.paper.report.examples import at_quantiles, enlarged
from training.paper.report.gathered import gather
from training.paper.report.measured import MeasuredRun
from training.paper.report.tables import (
    curve_table,
    differences_table,
    losses_table,
    methods_table,
)

pytestmark = pytest.mark.usefixtures("few_resamples")

LOSSES: dict[str, dict[str, Any]] = {
    "MSE": {"alpha": 0.0},
    "ranking": {"alpha": 1.0, "regression": False},
    "ranking, from 0": {"alpha": 1.0, "regression": False, "from_mean": False},
    "MSE + ranking": {"alpha": "balance"},
}


@pytest.fixture
def measured(bright: Path) -> Callable[..., MeasuredRun]:
    """A run as if measured: half the clips predicted as judged, the others 1 point higher."""
    clips = read_annotations(bright, "test")
    judged = np.array([clip.score for clip in clips])

    def made(
        name: str,
        *,
        loss: str = "MSE",
        used: tuple[int, ...] | None = None,
        off: float = 1.0,
        declared: float | None = None,
        fold: tuple[int, ...] | None = None,
        **changes: Any,
    ) -> MeasuredRun:
        options = RunSpec(
            data=(str(bright),), clip=SPEC, network=dataclasses.replace(TINY, fragments_used=used),
            epochs=1, batch=8, extractor_rate=1e-2, rate=1e-2, schedule="cosine", beta=0.0,
            blanking=0.0, **LOSSES[loss],
        )  # fmt: skip
        options = dataclasses.replace(options, **changes)
        return MeasuredRun(
            path=Path("runs") / name,
            options=options,
            summary=RunSummary(
                trained_on="simulated", description="", judged_mean=12.0, judged_deviation=1.0,
                splits={"train": 48, "validation": 12}, stage_of_fragment=["start", "landing"],
                clips=ClipsCard.of().model_dump(), golden="", machine="", versions={},
            ),
            best={"spearman": 0.5},
            clips=clips,
            seen=seen_among(name, ClipsCard.of(), clips),
            predicted=judged + off * (np.arange(len(judged)) % 2),
            declared=None if declared is None else judged + declared,
            fold=None if fold is None else np.array(fold),
            alone=np.stack([judged, -judged], axis=1),
        )  # fmt: skip

    return made


def baseline(bright: Path, method: str = "C3D+SVR") -> Baseline:
    return Baseline(
        method=method, data=(str(bright),), spearman=0.4321, mean_distance=1.0, clips=12
    )


def test_runs_find_their_cells(measured: Callable[..., MeasuredRun], bright: Path) -> None:
    runs = [
        measured("a"),
        measured("b", loss="ranking", used=(1,)),
        measured("c", loss="MSE + ranking", used=(1,)),
        measured("d", loss="MSE + ranking", used=(0,)),
    ]
    assert [run.options.terms for run in runs] == ["MSE", "ranking", *["MSE + ranking"] * 2]
    assert [run.options.fragments for run in runs] == [(0, 1), (1,), (1,), (0,)]
    [data] = gather(runs, [baseline(bright)])
    cell = data.cell("ranking", data.last)
    assert cell is not None
    assert cell.runs == (runs[1],)
    assert data.cell("MSE", data.last) is None
    loss, singles = data.singles()
    assert (loss, sorted(singles)) == ("MSE + ranking", [0, 1])
    assert data.preferred(data.all, data.last) == ("MSE", (0, 1))
    assert data.name == "bright"
    scores = [clip.score for clip in read_annotations(bright, "train")]
    assert data.training_mean == pytest.approx(np.mean(scores))


def test_figures_by_hand(measured: Callable[..., MeasuredRun]) -> None:
    [data] = gather([measured("a"), measured("b", seed=1, off=3.0)], [])
    cell = data.cell("MSE", data.all)
    assert cell is not None
    assert cell.mean_distance.value == pytest.approx((0.5 + 1.5) / 2)  # half the clips are off
    assert cell.alone is not None
    assert [round(each.value, 6) for each in cell.alone] == [1, -1]
    distance = np.abs(data.judged - data.training_mean).mean()
    assert data.always_the_mean.value == pytest.approx(distance)
    assert data.difficulty_alone is not None
    assert data.difficulty_alone.value == 0  # all of these clips have the same


def test_what_differs_in_more_than_its_seed_is_not_averaged(
    measured: Callable[..., MeasuredRun],
) -> None:
    with pytest.raises(RunError, match="differ in batch, rate"):
        gather([measured("a"), measured("b", rate=0.5, batch=4)], [])


def test_a_baseline_of_other_data_is_refused(
    measured: Callable[..., MeasuredRun], bright: Path
) -> None:
    with pytest.raises(RunError, match=r"C3D\+SVR is of data/other"):
        gather([measured("a")], [dataclasses.replace(baseline(bright), data=("data/other",))])
    [data] = gather([measured("a")], [dataclasses.replace(baseline(bright), data=("old/bright",))])
    assert len(data.baselines) == 1  # moved, but the folder has the same name


def test_all_runs_of_a_data_set_are_measured_alike(measured: Callable[..., MeasuredRun]) -> None:
    folded = measured("a", fold=(0, 1, 2) * 4, folds=3)
    with pytest.raises(RunError, match=r"a is measured by cross-validation and .*b on the test"):
        gather([measured("b"), folded], [])
    with pytest.raises(RunError, match="other folds: 3 and 2"):
        gather([folded, measured("b", fold=(0, 1) * 6, folds=2)], [])
    with pytest.raises(RunError, match="other folds: 2 of 12 clips are in another"):
        gather([folded, measured("b", fold=(1, 0, 2, *(0, 1, 2) * 3), folds=3)], [])
    other = dataclasses.replace(folded, clips=folded.clips[1:])
    with pytest.raises(RunError, match=r"other clips: 1 differ, as 005\.mp4"):
        gather([folded, other], [])


def test_a_baseline_of_the_test_split_is_not_put_beside_folds(
    measured: Callable[..., MeasuredRun], bright: Path
) -> None:
    with pytest.raises(RunError, match=r"C3D\+SVR is measured on the test split of bright"):
        gather([measured("a", fold=(0, 1, 2) * 4, folds=3)], [baseline(bright)])


def test_by_folds_the_training_mean_is_that_of_the_other_folds(
    measured: Callable[..., MeasuredRun],
) -> None:
    fold = (0, 1, 2) * 4
    [data] = gather([measured("a", fold=fold, folds=3)], [])
    for mean, own in zip(data.training_mean, fold, strict=True):
        others = [s for s, each in zip(data.judged, fold, strict=True) if each != own]
        assert mean == pytest.approx(sum(others) / 8)
    assert data.measured_on == "by 3-fold cross-validation on 12 clips"
    assert "bright by 3-fold cross-validation on 12 clips" in text([data], set())
    assert "test split" not in text([data], set())


def test_two_outputs_are_two_rows(measured: Callable[..., MeasuredRun]) -> None:
    [data] = gather([measured("a", declared=0.25), measured("b", loss="ranking", declared=2.0)], [])
    table = rows(losses_table(data))
    assert table["MSE, video alone"][3].startswith("0.50 [")
    assert table["MSE, difficulty declared"][3].startswith("0.25 [")
    assert table["MSE, difficulty declared"][4:] == ["–", "–"]  # the paper does not use it
    assert table["ranking, difficulty declared"][3].startswith("2.00 [")
    different = [line.split(" | ") for line in differences_table(data).splitlines()[2:]]
    assert [line[2] for line in different] == ["video alone", "difficulty declared"]
    assert [line[1] for line in different] == ["MSE minus ranking"] * 2
    assert different[1][4].startswith("-1.75 [-1.75, -1.75]")


def test_runs_of_fewer_clips_make_a_curve_and_no_cell(
    measured: Callable[..., MeasuredRun],
) -> None:
    based = {"base": "diving@4"}
    runs = [
        measured("a", clips=20),
        measured("b", clips=20, seed=1),
        measured("c", clips=50),
        measured("d", clips=20, new_head=True, **based),
        measured("e", clips=50, **based),
        measured("f"),
    ]
    [data] = gather(runs, [])
    assert [run.path.name for run in data.cells["MSE", (0, 1)].runs] == ["f"]
    found = {
        line.start: {clips: len(cell.runs) for clips, cell in line.cells.items()}
        for line in data.curve
    }
    assert found == {
        "random extractors: 1 epochs end to end": {20: 2, 50: 1},
        "extractors of diving@4, new head: 1 epochs end to end": {20: 1},
        "diving@4 with its head: 1 epochs end to end": {50: 1},
    }
    table = rows(curve_table(data))
    assert table["start"] == ["scored by", "seeds", "20 clips", "50 clips"]
    assert table["diving@4 with its head: 1 epochs end to end"][2] == "–"
    with pytest.raises(RunError, match="differ in batch"):
        gather([measured("a", clips=20), measured("b", clips=20, batch=4)], [])


def test_single_fragments_stand_beside_all_of_the_same_loss(
    measured: Callable[..., MeasuredRun],
) -> None:
    [data] = gather(
        [
            measured("a", used=(0,)),
            measured("b", used=(1,)),
            measured("c"),
            measured("d", loss="MSE + ranking"),
        ],
        [],
    )
    found = data.beside_singles()
    assert found is not None
    assert found[0] == "MSE"


def test_frames_of_people_are_never_shown(
    measured: Callable[..., MeasuredRun], bright: Path, tmp_path: Path
) -> None:
    # Its rows say that it is simulated; the folder has not the simulator's mark.
    [data] = gather([measured("a", used=(1,))], [])
    assert data.trained_on == "simulated"
    written = write_report([data], tmp_path / "report").read_text()
    assert not list((tmp_path / "report").glob("figure-3*"))
    assert "Fig. 3" not in written


def rows(table: str) -> dict[str, list[str]]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {line[0]: line[1:] for line in lines}


def test_table_1_has_the_paper_beside_it(measured: Callable[..., MeasuredRun]) -> None:
    [data] = gather([measured("a", loss="MSE + ranking", used=(1,))], [])
    table = rows(losses_table(data))
    assert table["MSE"][:2] == ["–", "–"]
    assert table["MSE"][4:] == ["0.6325", "1.33"]  # a vault
    assert table["MSE + ranking"][1].startswith("0.50 [")
    assert table["MSE + ranking"][4:] == ["0.7028", "2.60"]
    assert table["always the training mean"][0] == "0"
    assert table["declared difficulty alone"][4] == "0.858"


def test_table_2_has_methods_in_rows_and_data_sets_in_columns(
    measured: Callable[..., MeasuredRun], bright: Path
) -> None:
    baselines = [baseline(bright, "c3d-svr"), baseline(bright, "mine")]
    sets = gather([measured("a", used=(1,)), measured("b")], baselines)
    table = rows(methods_table(sets))
    assert table["method"] == ["bright, 12 clips", "published, UNLV-Vault"]
    assert table["C3D+SVR"] == ["0.432", "0.66"]
    assert table["mine"] == ["0.432", "–"]
    assert table["ConvISA"] == ["–", "–"]
    assert table["fragments network, last fragment, MSE"][1] == "0.6325"
    assert table["fragments network, all fragments, MSE"][1] == "–"
    assert "fragments network, all fragments, ranking" not in table
    assert table["always the training mean"] == ["0", "0"]


def test_table_1_has_a_row_for_scores_in_no_unit_where_there_are_some(
    measured: Callable[..., MeasuredRun],
) -> None:
    runs = [measured("a", loss="ranking", used=(1,)), measured("b", used=(1,))]
    zero = measured("c", loss="ranking, from 0", used=(1,), off=-30.0)
    assert "ranking, from 0" not in losses_table(gather(runs, [])[0])
    [data] = gather([*runs, zero], [])
    table = rows(losses_table(data))
    assert table["ranking"][1].startswith("0.50 [")
    assert table["ranking, from 0"][1].startswith("15.00 [")  # half the clips
    assert table["ranking, from 0"][4:] == table["ranking"][4:] == ["0.6648", "14.63"]
    assert [each.losses for each in data.differences] == [("MSE", "ranking")]
    assert rows(methods_table([data]))["fragments network, last fragment, ranking, from 0"]


def test_table_2_has_what_was_published_beside_each_data_set(
    measured: Callable[..., MeasuredRun], bright: Path
) -> None:
    skating, diving = (dataclasses.replace(SPEC, action=name) for name in ("skating", "diving"))
    sets = gather(
        [measured("a", clip=diving), measured("b", clip=skating), measured("c", clip=skating)],
        [dataclasses.replace(baseline(bright, "conv-isa"), action="skating")],
    )
    table = rows(methods_table(sets))
    assert table["method"] == [
        "bright, diving, 12 clips", "published, UNLV-Dive",
        "bright, skating, 12 clips", "published, MIT-Skate",
    ]  # fmt: skip
    assert table["ConvISA"] == ["–", "–", "0.432", "0.45"]
    assert table["Pose+DCT"] == ["–", "0.53", "–", "0.35"]
    assert table["fragments network, last fragment, MSE + ranking"][1::2] == ["0.8009", "0.5753"]
    assert "C3D pool5+SVR" not in table
    sets[0].baselines.append(baseline(bright, "c3d-pool5-svr"))
    assert rows(methods_table(sets))["C3D pool5+SVR"] == ["0.432", "–", "–", "–"]


@pytest.fixture
def aqa7(tmp_path: Path) -> Path:
    """Three of its actions, in one folder as published."""
    lists: dict[str, list[NDArray[np.float64]]] = {"train": [], "test": []}
    for action, number in (("gym_vault", 2), ("ski_big_air", 3), ("snowboard_big_air", 4)):
        write_aqa7(tmp_path / action, action, number)
        shutil.copytree(tmp_path / action / "Actions", tmp_path / "aqa-7", dirs_exist_ok=True)
        for split, rows in lists.items():
            path = tmp_path / action / "Split_4" / f"split_4_{split}_list.mat"
            every = matrix(path, f"consolidated_{split}_list")
            rows.append(every[every[:, 0] == number])
    (tmp_path / "aqa-7" / "Split_4").mkdir()
    for split, rows in lists.items():
        savemat(
            tmp_path / "aqa-7" / "Split_4" / f"split_4_{split}_list.mat",
            {f"consolidated_{split}_list": np.concatenate(rows)},
        )
    return tmp_path / "aqa-7"


def test_actions_of_one_folder_are_data_sets_with_an_average_by_fishers_z(
    measured: Callable[..., MeasuredRun], aqa7: Path
) -> None:
    def shuffled(kind: str, *, seed: int) -> MeasuredRun:
        clip = dataclasses.replace(SPEC, action=kind)
        run = measured(kind, data=(str(aqa7),), kind=kind, clip=clip)
        random = np.random.default_rng(seed)
        return dataclasses.replace(run, predicted=random.permutation(run.predicted))

    kinds = ("aqa-7-vault", "aqa-7-ski", "aqa-7-snowboard")
    runs = [shuffled(kind, seed=seed) for seed, kind in enumerate(kinds)]
    svr = baseline(aqa7)
    given = [dataclasses.replace(svr, kind=kinds[0], action=kinds[0], spearman=0.5)]
    given += [dataclasses.replace(svr, kind=kind, spearman=26 / 28) for kind in kinds[1:]]
    sets = gather(runs, given)
    assert [data.name for data in sets] == [f"aqa-7, {kind}" for kind in kinds]
    table = rows(methods_table(sets))
    assert table["method"][-2:] == [
        "AQA-7, average of 3 actions by Fisher's z",
        "published, AQA-7, average of 3 actions by Fisher's z",
    ]
    # artanh is half of ln 3, of ln 27 and of ln 27: the mean is half of ln 9^(7/6)
    odds = 9 ** (7 / 6)
    assert table["C3D+SVR"][-2] == f"{(odds - 1) / (odds + 1):.3f}"
    one, two, three = (np.arctanh(each) for each in (0.6824, 0.5209, 0.4006))
    assert table["C3D+SVR"][-1] == f"{np.tanh((one + two + three) / 3):.4f}"
    ours = [data.cells["MSE", (0, 1)].spearman.value for data in sets]
    by_hand = np.tanh(np.mean([0.5 * np.log((1 + each) / (1 - each)) for each in ours]))
    assert table["fragments network, all fragments, MSE"][-2] == f"{by_hand:.3f}"
    assert table["ConvISA"][-2:] == ["–", "–"]
    averages = numbers(sets)["average over AQA-7"]
    [of_vault] = numbers(sets)["aqa-7, aqa-7-vault"]["baselines"]
    assert (of_vault["spearman"], "judged" in of_vault) == (0.5, False)
    assert averages["fragments network, all fragments, MSE"] == pytest.approx(by_hand)
    assert "average" not in methods_table(sets[:1])
    with pytest.raises(RunError, match=r"C3D\+SVR is of .*aqa-7, the runs of aqa-7, aqa-7-vault"):
        gather(runs, [svr])  # which of them it is of is not known


def test_an_action_of_which_nothing_was_published(measured: Callable[..., MeasuredRun]) -> None:
    clip = dataclasses.replace(SPEC, action="trampoline")
    [data] = gather([measured("a", clip=clip), measured("b", used=(1,), clip=clip)], [])
    assert rows(losses_table(data))["MSE"][4:] == ["–", "–"]
    assert rows(methods_table([data]))["method"] == ["bright, 12 clips", "published, trampoline"]


def test_the_document_names_its_pictures_and_says_what_is_simulated(
    measured: Callable[..., MeasuredRun], tmp_path: Path
) -> None:
    sets = gather([measured("a"), measured("b", used=(1,))], [])
    sets[0].simulated = True
    written = write_report(sets, tmp_path / "report", note="Only a try.").read_text()
    assert "\n\nOnly a try.\n\n" in written
    assert "**Simulated clips.**" in written
    pictures = sorted(path.name for path in (tmp_path / "report").glob("*.png"))
    assert pictures == [f"figure-{n}-bright.png" for n in (2, 3, 5)]
    for name in pictures:
        assert f"({name})" in written
        assert (tmp_path / "report" / name).read_bytes().startswith(b"\x89PNG")
    sets[0].simulated = False
    assert "Simulated" not in text(sets, set())


def test_examples_are_cut_as_the_network_sees_them_and_chosen_by_rank() -> None:
    assert at_quantiles(np.array([5.0, 1, 4, 2, 3, 9, 8, 7, 6])) == [1, 4, 0, 7, 5]
    assert at_quantiles(np.array([5.0, 1.0])) == [1, 0]
    spec = dataclasses.replace(SPEC, resize=(72, 96), crop=(64, 64))
    assert (enlarged(spec).resize, enlarged(spec).crop) == ((144, 192), (128, 128))
