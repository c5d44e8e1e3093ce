"""From a finished run to a checkpoint that the scorer loads, and what its card says."""

import dataclasses
import io
import json
import shutil
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from model_store.card import ClipsCard, TrainedOn
from model_store.checkpoint import Checkpoint
from model_store.clip import ClipWarning
from model_store.errors import CheckpointExists
from model_store.scorer import Scorer
from model_store.store import Store
from tests.forked import CONTEXT
from tests.training.bright import Quiet, bright_run, dataset_of
from training.data.datasets.annotations import read_annotations
from training.data.split import Origin
from training.errors import DataError, RunError
from training.learn.run_folder import RunFolder
from training.learn.run_spec import RunSpec
from training.learn.summary import (
    record_command,
    simulation_command,
    summarise,
    trained_on,
    write_summary,
)
from training.learn.trainer import Trainer
from training.measure.evaluate import measures, score_clips
from training.measure.reliability import fragment_figures
from training.metrics import mean_distance, spearman
from training.release.publish import promote, publish_run, republish, score_shifts


@pytest.fixture(scope="module")
def run(bright: Path) -> RunSpec:
    return bright_run(bright, epochs=2)


@pytest.fixture(scope="module")
def folder(run: RunSpec, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "bright")
    folder.open(run.to_json())
    dataset = dataset_of(run)
    write_summary(folder, summarise(dataset, run.data, folder))
    record_command(folder)
    Trainer(run, dataset, folder).train(Quiet())
    return folder


@pytest.fixture(scope="module")
def published(folder: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    store = Store(tmp_path_factory.mktemp("store"))
    return publish_run(folder, store, "bright")


def test_the_card_tells_how_it_was_made(
    published: Checkpoint, run: RunSpec, folder: RunFolder
) -> None:
    card = published.card
    assert (card.name, card.version) == ("bright", 1)
    assert (card.spec, card.network) == (run.clip, run.network)
    assert card.data.trained_on == "real"
    dataset = dataset_of(run)
    kept = [dataset.clips[i].score for i in dataset.training]
    assert card.data.judged_mean == pytest.approx(np.mean(kept))
    assert card.data.judged_deviation == pytest.approx(np.std(kept), rel=1e-5)
    assert card.splits == {"train": len(kept), "validation": 60 - len(kept)}
    assert card.clips == dataset.seen
    assert [len(card.clips.training), len(card.clips.validation)] == [len(kept), 60 - len(kept)]
    assert card.stage_of_fragment == ["start", "support"]  # 8 of 16 frames each; then 8, 6 and 2
    assert RunSpec.from_json(card.training.options) == run
    assert card.training.hours > 0
    assert card.metrics["validation"] == folder.load_weights()[1]
    assert {"torch", "av", "ffmpeg", "python"} <= card.versions.keys()
    readme = (published.path / "README.md").read_text()
    assert "judged" in readme
    assert card.training.commands[-1].startswith("python -m training")


def test_published_weights_are_the_best_ones_within_half_precision(
    published: Checkpoint, folder: RunFolder
) -> None:
    weights, _ = folder.load_weights()
    matrices = {name for name, p in published.network.named_parameters() if p.ndim >= 2}
    for name, tensor in published.network.state_dict().items():
        expected = weights[name]
        if name in matrices:
            expected = expected.half().float()
        np.testing.assert_array_equal(tensor.numpy(), expected.numpy())
    assert Scorer(published, "torch").check_golden() < 0.01


def test_versions_count_up_and_a_run_without_weights_is_refused(
    folder: RunFolder, run: RunSpec, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    metrics = {
        "clips": 5, "spearman": 0.5, "mean_distance": 1.0, "distance_share": 0.5,
        "training_mean": {"mean_distance": 2.0}, "difficulty_alone": {"spearman": 0.3},
    }  # fmt: skip
    assert publish_run(folder, store, "bright").version == 1
    second = publish_run(folder, store, "bright", metrics=metrics, half=False)
    assert second.version == 2
    assert second.card.metrics["test"] == metrics
    text = (second.path / "README.md").read_text()
    assert "| test, 5 clips | 0.500 | 1.00 | 0.50 |" in text
    _, front, _ = text.split("---\n", 2)
    for_hubs = yaml.safe_load(front)
    assert (for_hubs["license"], for_hubs["library_name"]) == ("other", "fragment-scorer")
    [model] = for_hubs["model-index"]
    assert model["name"] == "bright@2"
    assert model["results"][0]["metrics"] == [{"type": "spearmanr", "value": 0.5}]
    assert store.current("bright") == 2

    empty = RunFolder(tmp_path / "empty")
    empty.open(run.to_json())
    with pytest.raises(RunError, match=r"summary\.json"):
        publish_run(empty, store, "bright")
    with pytest.raises(RunError, match="golden clip"):
        publish_run(folder, store, "bright", golden=tmp_path / "none.mp4")


def publish_again(root: Path, reference: str, rounds: int, together: Barrier) -> None:
    store = Store(root)
    checkpoint = store.load(reference)
    for _ in range(rounds):
        together.wait(60)
        republish(store, checkpoint)
        together.wait(60)
        assert store.current(checkpoint.name) == store.versions(checkpoint.name)[-1]


def test_those_who_publish_at_once_each_get_a_version(
    published: Checkpoint, tmp_path: Path
) -> None:
    store = Store(shutil.copytree(published.path.parents[1], tmp_path / "store"))
    before = len(store.versions("bright"))
    rounds, together = 5, CONTEXT.Barrier(3)
    processes = [
        CONTEXT.Process(target=publish_again, args=(store.root, "bright@1", rounds, together))
        for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    versions = store.versions("bright")
    assert versions == list(range(1, before + 3 * rounds + 1))
    for version in versions:
        assert store.load(f"bright@{version}").card.version == version
        card = (store.path(f"bright@{version}") / "README.md").read_text()
        assert f"\n# bright, version {version}\n" in card
    assert store.current("bright") == versions[-1]
    assert not list((store.root / "bright").glob(".*"))


def test_what_is_in_the_way_and_no_version_is_named(published: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "bright").mkdir()
    (tmp_path / "bright" / "1").write_text("a file")
    with pytest.raises(CheckpointExists, match="bright@1"):
        republish(Store(tmp_path), published)


def test_a_measured_checkpoint_has_pictures_and_keeps_them(
    folder: RunFolder, published: Checkpoint, bright: Path, tmp_path: Path
) -> None:
    evaluation = score_clips(Scorer(published, "torch"), read_annotations(bright, "test"))
    metrics = json.loads(json.dumps(measures(evaluation) | fragment_figures(evaluation)))
    store = Store(tmp_path / "store")
    metrics["moved_by"] = {"interlaced": 0.7}
    shipped = promote(store, published, metrics, score_shifts(metrics))
    assert shipped.card.moved_by == {ClipWarning.INTERLACED: 0.7}
    assert "moved_by" not in shipped.card.metrics["test"]
    assert shipped.pictures.keys() == {"scores.png", "fragments.png"}
    for content in shipped.pictures.values():
        assert np.asarray(Image.open(io.BytesIO(content)).convert("L")).std() > 20
    text = (shipped.path / "README.md").read_text()
    for name in shipped.pictures:
        assert f"]({name})" in text
    assert "scores" not in shipped.card.metrics["test"]
    assert shipped.card.metrics["test"]["by_fragment"]["stage"] == ["start", "support"]
    again = republish(store, shipped)
    assert again.version == 2
    assert again.pictures == shipped.pictures
    assert again.card.moved_by == shipped.card.moved_by


def test_evaluation_is_the_service_path(published: Checkpoint, bright: Path) -> None:
    clips = read_annotations(bright, "test")
    calls = []
    evaluation = score_clips(Scorer(published, "torch"), clips, lambda *c: calls.append(c))
    figures = measures(evaluation)
    judged = [clip.score for clip in clips]
    assert figures["clips"] == 12
    assert figures["spearman"] == spearman(evaluation.predicted, judged)
    assert figures["mean_distance"] == mean_distance(evaluation.predicted, judged)
    mean = published.card.data.judged_mean
    always = np.mean([abs(score - mean) for score in judged])
    assert figures["training_mean"]["mean_distance"] == pytest.approx(always)
    assert figures["distance_share"] == pytest.approx(figures["mean_distance"] / always)
    assert figures["difficulty_alone"]["spearman"] == 0  # it is the same for all
    assert calls[-1] == (12, 12)
    json.dumps(figures)
    [alone] = score_clips(Scorer(published, "torch"), clips[3:4]).scores
    assert alone.score == pytest.approx(evaluation.scores[3].score, abs=1e-3)
    assert alone.execution == pytest.approx(alone.score - 4.0)  # vault: score = difficulty + it


def test_a_clip_that_cannot_be_scored_is_named(
    published: Checkpoint, bright: Path, tmp_path: Path
) -> None:
    [clip, *_] = read_annotations(bright, "test")
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video")
    with pytest.raises(DataError, match=r"bad\.mp4"):
        score_clips(Scorer(published, "torch"), [dataclasses.replace(clip, path=bad)])


def test_what_trained_the_base_trained_it_too() -> None:
    def base(kind: TrainedOn | None) -> Origin:
        return Origin("base@1", ClipsCard.of(), kind)

    assert trained_on(None, [True, True]) == "simulated"
    assert trained_on(base("simulated"), [True]) == "simulated"
    assert trained_on(base("simulated"), [False]) == "both"
    assert trained_on(base("real"), [False]) == "real"
    assert trained_on(base("both"), [False]) == "both"
    assert trained_on(base(None), [False]) == "real"  # an extractor's file does not say


def test_simulated_clips_are_called_so(bright: Path, run: RunSpec, tmp_path: Path) -> None:
    dataset = dataset_of(run)
    assert summarise(dataset, run.data, RunFolder(tmp_path)).trained_on == "real"
    made = tmp_path / "made"
    made.mkdir()
    (made / "simulation.json").write_text(
        '{"simulator": 1, "action": "vault", "clips": 9, "seed": 4, "first": 0, "test_share": 0.0}'
    )
    summary = summarise(dataset, (str(bright), str(made)), RunFolder(tmp_path))
    assert summary.trained_on == "both"
    assert summarise(dataset, (str(made),), RunFolder(tmp_path)).trained_on == "simulated"
    assert "9 simulated clips of vault" in summary.description
    assert simulation_command(bright) is None
    assert simulation_command(made) == (
        "python -m training simulate --action vault --clips 9 --seed 4 --first 0 --test-share 0.0"
        f" --out {made}"
    )


@pytest.mark.parametrize("measured", [{}, {"moved_by": {"sunshine": 1.0}}, {"moved_by": [1]}])
def test_moves_that_were_not_measured(measured: dict[str, dict[str, float] | list[int]]) -> None:
    with pytest.raises(RunError, match="evaluate --storage"):
        score_shifts(measured)
