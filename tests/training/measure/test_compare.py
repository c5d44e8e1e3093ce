"""Two checkpoints on the same clips: figures and intervals against SciPy, and a known winner."""

import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.clips import write_clip
from tests.training.bright import bright_clip
from tests.training.command_line import call, error_message, succeed
from training.data.datasets.annotations import JudgedClip
from training.measure.compare import Comparison, Scores, verdict
from training.measure.compare_page import page
from training.release.publish import republish

Floats = NDArray[np.float64]


def clips_of(judged: Floats, name: str = "clip") -> list[JudgedClip]:
    return [
        JudgedClip(path=Path(f"{n}"), split="test", score=score, columns={"clip": f"{name} {n}"})
        for n, score in enumerate(judged.tolist())
    ]


def comparison_of(
    judged: Floats, first: Floats, second: Floats, *, half: tuple[float, float] | None = None
) -> Comparison:
    def scores(predicted: Floats, half: float | None) -> Scores:
        interval = None if half is None else (predicted - half, predicted + half)
        return Scores(predicted, interval)

    halves = half or (None, None)
    pair = scores(first, halves[0]), scores(second, halves[1])
    return Comparison(("old@1", "new@1"), clips_of(judged), {"video": pair})


@pytest.fixture
def noisy() -> tuple[Floats, Floats, Floats]:
    """Judged scores, and two predictions of them of which the second is nearer."""
    random = np.random.default_rng(3)
    judged = random.normal(70, 10, 80)
    return judged, judged + random.normal(2, 12, 80), judged + random.normal(0, 4, 80)


def test_figures_and_intervals_are_scipys(noisy: tuple[Floats, Floats, Floats]) -> None:
    judged, first, second = noisy
    figures = comparison_of(judged, first, second, half=(15.0, 6.0)).figures["video"]

    def rank(predicted: Floats, judged: Floats) -> float:
        return float(stats.spearmanr(predicted, judged).statistic)

    def off(predicted: Floats, judged: Floats) -> float:
        return float(np.abs(predicted - judged).mean())

    for name, measure in (("spearman", rank), ("mean_distance", off)):
        found = figures[name]
        assert found.first == pytest.approx(measure(first, judged))
        assert found.second == pytest.approx(measure(second, judged))
        gap = found.difference
        assert gap.value == pytest.approx(found.second - found.first)
        expected = stats.bootstrap(
            (first, second, judged),
            lambda a, b, j, measure=measure: measure(b, j) - measure(a, j),
            paired=True,
            vectorized=False,
            n_resamples=2000,
            method="percentile",
            rng=np.random.default_rng(1),
        ).confidence_interval
        width = expected.high - expected.low
        assert gap.low == pytest.approx(expected.low, abs=0.1 * width)
        assert gap.high == pytest.approx(expected.high, abs=0.1 * width)
    inside = [np.mean(np.abs(each - judged) <= half) for each, half in ((first, 15), (second, 6))]
    assert figures["coverage"].first == pytest.approx(inside[0])
    assert figures["coverage"].second == pytest.approx(inside[1])
    assert (figures["width"].first, figures["width"].second) == pytest.approx((30, 12))
    assert figures["width"].difference.low == pytest.approx(-18)


def test_the_winner_is_named_and_what_is_chance_is_not(
    noisy: tuple[Floats, Floats, Floats],
) -> None:
    judged, first, second = noisy
    ranks, measures = verdict(comparison_of(judged, first, second))
    assert "new@1 ranks better" in ranks
    assert "new@1 measures better" in measures
    ranks, measures = verdict(comparison_of(judged, second, first))
    assert "old@1 ranks better" in ranks
    assert "old@1 measures better" in measures
    random = np.random.default_rng(4)
    alike = judged + random.normal(0, 8, 80), judged + random.normal(0, 8, 80)
    for sentence in verdict(comparison_of(judged, *alike)):
        assert "do not show" in sentence


def test_a_shift_changes_distances_and_no_ranks(noisy: tuple[Floats, Floats, Floats]) -> None:
    """Paired: what both have in common is no part of the interval."""
    judged, first, _ = noisy
    figures = comparison_of(judged, first, first + 1e-9).figures["video"]
    assert figures["spearman"].difference.low == figures["spearman"].difference.high == 0
    assert abs(figures["mean_distance"].difference.high) < 1e-8


def test_intervals_cover_the_true_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 60 draws of 50 clips about 95 % of the intervals hold what is true of all clips."""
    monkeypatch.setattr("training.measure.bootstrap.RESAMPLES", 200)
    random = np.random.default_rng(5)
    truth = 6 * np.sqrt(2 / np.pi) - 9 * np.sqrt(2 / np.pi)  # mean |error| of normal errors
    held = []
    for _ in range(60):
        judged = random.normal(70, 10, 50)
        first, second = judged + random.normal(0, 9, 50), judged + random.normal(0, 6, 50)
        gap = comparison_of(judged, first, second).figures["video"]["mean_distance"].difference
        held.append(gap.low <= truth <= gap.high)
    assert np.mean(held) >= 0.85


def test_the_clips_that_differ_most_come_first(noisy: tuple[Floats, Floats, Floats]) -> None:
    judged, first, _ = noisy
    second = first.copy()
    second[[7, 30]] += (20, -50)
    found = comparison_of(judged, first, second).to_json()["most_different"]
    assert [each["clip"] for each in found[:2]] == ["clip 30", "clip 7"]
    assert found[0]["scores"] == pytest.approx([first[30], first[30] - 50])
    assert len(found) == 15


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_needs_nothing_else_and_quotes_what_a_name_may_hold(
    noisy: tuple[Floats, Floats, Floats],
) -> None:
    judged, first, second = noisy
    pair = comparison_of(judged, first, second).scores
    names = clips_of(judged, name="<script>alert('x')</script>")
    comparison = Comparison(("old@1", "new@1"), names, pair)
    text = page(comparison, ["3 of 80 clips trained <old>"])
    assert text == page(comparison, ["3 of 80 clips trained <old>"])
    tags = Tags()
    tags.feed(text)
    kinds = {tag for tag, _ in tags.found}
    assert {"svg", "table"} <= kinds
    assert not kinds & {"script", "img", "link", "iframe"}
    for _, attributes in tags.found:
        for name in ("href", "xlink:href", "src"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png"))
    assert "&lt;script&gt;" in text
    assert "trained &lt;old&gt;" in text
    assert "new@1 ranks better" in text


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("store"))
    publish_tiny(store, "diving", calibrated=True)
    publish_tiny(store, "diving", seed=1, target="both", calibrated=True)
    publish_tiny(store, "vault")
    return store


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    rows = ["clip,split,score,difficulty"]
    for number in range(8):
        write_clip(folder / f"{number}.mp4", bright_clip(number / 8, random, 40))
        rows.append(f"{number}.mp4,{'test' if number < 6 else 'train'},{60 + number},3.0")
    (folder / "annotations.csv").write_text("\n".join(rows))
    return folder


def test_the_command_writes_the_figures_that_evaluate_has(
    store: Store, data: Path, tmp_path: Path
) -> None:
    both = ("--checkpoint", "diving@1", "--checkpoint", "diving@2")
    files = ("--json", tmp_path / "c.json", "--page", tmp_path / "c.html")
    output = succeed("compare", *both, "--data", data, "--store", store.root, *files)
    words = re.sub(r"\s+", " ", output)
    assert "By video, 6 clips" in words
    assert "By video and difficulty, 6 clips" in words
    assert "Where they differ most" in words
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["checkpoints"] == ["diving@1", "diving@2"]
    assert found["clips"] == 6
    assert "<svg" in (tmp_path / "c.html").read_text()
    for place, reference in (("first", "diving@1"), ("second", "diving@2")):
        single = ("--checkpoint", reference, "--data", data, "--store", store.root)
        succeed("evaluate", *single, "--json", tmp_path / "e.json")
        alone = json.loads((tmp_path / "e.json").read_text())
        for name in ("spearman", "mean_distance", "coverage", "width"):
            assert found["figures"]["video"][name][place] == pytest.approx(alone[name])
    declared, video = found["figures"]["video and difficulty"], found["figures"]["video"]
    for name, figure in alone["with_difficulty"].items():
        if name in declared:
            assert declared[name]["second"] == pytest.approx(figure)
    assert declared["spearman"]["first"] == video["spearman"]["first"]  # it predicts no execution
    again = tmp_path / "again.json"
    succeed("compare", *both, "--data", data, "--store", store.root, "--json", again)
    assert json.loads(again.read_text()) == found


def test_clips_that_trained_one_of_them_are_a_warning(
    store: Store, data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "store" / "diving"
    shutil.copytree(store.root / "diving", folder)
    first = hashlib.sha256((data / "0.mp4").read_bytes()).hexdigest()
    trained = Store(tmp_path / "store").load("diving@2")
    clips = trained.card.clips.trained_on([first])
    newest = republish(Store(tmp_path / "store"), trained, clips=clips).reference
    options = ("--checkpoint", "diving@1", "--checkpoint", newest, "--data", data)
    files = ("--json", tmp_path / "c.json", "--page", tmp_path / "c.html")
    output = succeed("compare", *options, "--store", tmp_path / "store", *files)
    assert "1 of 6 clips are known to diving@3 and trained it" in re.sub(r"\s+", " ", output)
    assert json.loads((tmp_path / "c.json").read_text())["seen"]["diving@3"]["training"] == 1
    assert "trained it: figures on them are too good" in (tmp_path / "c.html").read_text()


def test_what_cannot_be_compared_is_one_message(store: Store, data: Path) -> None:
    where = ("--data", data, "--store", store.root)
    for references, message in (
        (["diving@1"], "1 checkpoints, need --checkpoint twice"),
        (["diving@1", "diving@1"], "both are diving@1"),
        (["diving@1", "vault"], "diving@1 is for diving, vault@1 for vault"),
        (["diving@1", "none"], "no checkpoint"),
    ):
        options = [option for each in references for option in ("--checkpoint", each)]
        assert message in error_message(call("compare", *options, *where))
