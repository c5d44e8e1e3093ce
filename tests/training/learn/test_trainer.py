"""Training learns, keeps the mean of its last weights, and does not mind being killed."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from model_store.clip import cut, load_clip
from model_store.network import FragmentNetwork
from model_store.network_spec import PAPER
from model_store.spec import SPECS, ClipSpec
from model_store.store import Store
from tests.checkpoints import tiny_card, tiny_network
from tests.clips import clip_bytes
from tests.training.bright import (
    TINY,
    Quiet,
    beside_a_readout,
    bright_run,
    dataset_of,
    train,
)
from training.choices import Precision
from training.data.batches import full
from training.errors import RunError
from training.learn.first_weights import bring_to_scale, load_extractor, new_network
from training.learn.forward import Device
from training.learn.frozen_features import compute_features
from training.learn.head_phase import HeadPhase
from training.learn.run_folder import RunFolder, State
from training.learn.run_spec import PRESETS, RunSpec, preset_clip
from training.learn.schedule import rate_factor
from training.learn.summary import summarise, write_summary
from training.learn.trainer import Precomputed, Trainer
from training.learn.whole_phase import WholePhase
from training.metrics import spearman
from training.release.publish import publish_run
from training.simulator.dataset import write_dataset


@pytest.fixture
def run(bright: Path) -> RunSpec:
    return bright_run(bright, max_gradient=100.0)


def network_of(folder: RunFolder) -> dict[str, Tensor]:
    """The weights in the state of a run, which are not those that it keeps."""
    state = folder.load_state()
    assert state is not None
    weights: dict[str, Tensor] = state["network"]
    return weights


def stop_at(run: RunSpec, path: Path, position: dict[str, int], **options: Any) -> RunFolder:
    """As if killed when a state of this position has just been saved."""

    class Stopped(Exception):
        pass

    class Stopping(RunFolder):
        def save_state(self, state: State) -> None:
            super().save_state(state)
            if position.items() <= state["position"].items():
                raise Stopped

    folder = Stopping(path)
    folder.open(run.to_json())
    with pytest.raises(Stopped):
        Trainer(run, dataset_of(run), folder, **options).train(Quiet())
    return folder


def batches_of(run: RunSpec) -> int:
    """Steps of an epoch of the whole network."""
    return full(len(dataset_of(run).training), run.batch)


def log_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_it_learns_that_brighter_is_better(run: RunSpec, tmp_path: Path) -> None:
    """In the usual precision, with fragments hidden."""
    run = dataclasses.replace(
        run, head_epochs=2, epochs=8, rate=1e-2, blanking=0.3, precision="auto"
    )
    folder, figures = train(run, tmp_path / "run")
    assert figures["spearman"] > 0.8
    assert figures["distance_share"] < 0.8

    weights, _ = folder.load_weights()
    network = FragmentNetwork(run.network, run.clip)
    network.load_state_dict(weights)
    network.eval()
    dataset = dataset_of(run)
    clips = [dataset.clips[i] for i in dataset.validation]
    with torch.no_grad():
        served = [
            network(cut(torch.from_numpy(load_clip(clip.path, run.clip))[None], run.clip)).item()
            for clip in clips
        ]
    again = spearman(served, [clip.score for clip in clips])
    assert again == pytest.approx(figures["spearman"], abs=0.05)  # half precision may swap two

    steps = log_of(folder.path)
    assert [int(row["step"]) for row in steps] == list(range(1, (2 + 8) * batches_of(run) + 1))
    assert float(steps[0]["extractor_rate"]) == 0  # the head alone
    assert float(steps[-1]["extractor_rate"]) > 0
    assert sorted((folder.path / "tensorboard").iterdir())


@pytest.mark.parametrize("alpha", ["balance", 0.1])
def test_the_ranking_loss_trains_too(run: RunSpec, tmp_path: Path, alpha: Any) -> None:
    run = dataclasses.replace(run, alpha=alpha, beta=1e-4, epochs=1)
    folder, _ = train(run, tmp_path / "run")
    for row in log_of(folder.path):
        expected = (
            float(row["regression"])
            + float(row["alpha"]) * float(row["ranking"])
            + run.beta * float(row["penalty"])
        )
        assert float(row["loss"]) == pytest.approx(expected, rel=1e-5)
        assert float(row["alpha"]) > 0


def test_auxiliary_heads_learn_beside_the_score(run: RunSpec, tmp_path: Path) -> None:
    folder, _ = train(dataclasses.replace(run, auxiliary=1.0, epochs=4), tmp_path / "run")
    values = [float(row["auxiliary"]) for row in log_of(folder.path)]
    assert sum(values[-4:]) < 0.9 * sum(values[:4])
    assert "auxiliary" not in " ".join(folder.load_weights()[0])


def test_frozen_layers_stay_as_they_are(run: RunSpec, tmp_path: Path) -> None:
    run = dataclasses.replace(run, frozen_layers=2, frozen_norm=True, epochs=2)
    dataset = dataset_of(run)
    torch.manual_seed(run.seed)
    before = new_network(run, dataset).state_dict()
    folder, _ = train(run, tmp_path / "run")
    after, _ = folder.load_weights()
    changed = {
        name.split(".")[2]
        for name, value in after.items()
        if name.startswith("extractors.") and not torch.equal(value, before[name])
    }
    assert not changed & {"conv1a", "conv1a_norm", "conv2a", "conv2a_norm"}
    assert {"conv3a", "conv5b", "conv5b_norm"} <= changed


def test_a_killed_run_ends_as_if_it_had_not_been(run: RunSpec, tmp_path: Path) -> None:
    """In the middle of an epoch; every loss and every weight is the same afterwards."""
    run = dataclasses.replace(
        run,
        network=dataclasses.replace(TINY, dropout=0.3),
        head_epochs=1,
        epochs=3,
        alpha="balance",
        blanking=0.3,
        flip=0.5,
        colour=0.1,
        zoom=0.1,
    )
    whole, _ = train(run, tmp_path / "whole")
    position = {"phase": 2, "epoch": 1, "batch": 3}
    folder = stop_at(run, tmp_path / "stopped", position, save_every=0.0)
    train(run, folder.path)
    assert log_of(folder.path) == log_of(whole.path)
    for ours, theirs in (
        (network_of(folder), network_of(whole)),
        (folder.load_weights()[0], whole.load_weights()[0]),
    ):
        assert ours.keys() == theirs.keys()
        for name, tensor in theirs.items():
            assert torch.equal(ours[name], tensor), name


@pytest.mark.parametrize("epochs", [1, 2, 3])  # until the end of an epoch, a phase, the run
def test_a_run_stopped_before_it_validates_goes_on(
    run: RunSpec, tmp_path: Path, epochs: int
) -> None:
    run = dataclasses.replace(run, head_epochs=2, epochs=1)
    step = epochs * batches_of(run)
    whole, figures = train(run, tmp_path / "whole")

    stopped = stop_at(run, tmp_path / "stopped", {"step": step}, save_every=0.0)
    folder, again = train(run, stopped.path)
    assert log_of(folder.path) == log_of(whole.path)
    assert {**again, "hours": 0} == {**figures, "hours": 0}


@pytest.mark.parametrize("phase", [1, 2])
def test_a_run_stopped_after_the_last_epoch_of_a_phase_goes_on_from_the_mean(
    run: RunSpec, tmp_path: Path, phase: int
) -> None:
    run = dataclasses.replace(run, head_epochs=2, epochs=2, average=0.5)
    whole, figures = train(run, tmp_path / "whole")

    stopped = stop_at(run, tmp_path / "stopped", {"phase": phase, "epoch": 2}, save_every=1e9)
    folder, again = train(run, stopped.path)
    assert log_of(folder.path) == log_of(whole.path)
    assert {**again, "hours": 0} == {**figures, "hours": 0}
    found = network_of(folder)
    for name, tensor in network_of(whole).items():
        assert torch.equal(found[name], tensor), name


def test_a_state_older_than_the_log_cuts_the_log(
    run: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = dataclasses.replace(run, epochs=2)
    whole, _ = train(run, tmp_path / "run")
    before = log_of(whole.path)
    state = whole.load_state()
    assert state is not None
    steps = state["position"]["step"]
    assert steps == 2 * batches_of(run)
    # As if killed in the second epoch with the state of the first, and a line half written.
    folder = RunFolder(tmp_path / "again")
    folder.open(run.to_json())
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save_state", lambda *_: None)  # nothing is ever saved
        Trainer(run, dataset_of(run), folder).train(Quiet())
    with (folder.path / "log.csv").open("a") as file:
        file.write(f"{steps + 1},0.1")
    train(run, folder.path)
    assert log_of(folder.path) == before


def test_a_finished_run_is_left_alone(run: RunSpec, tmp_path: Path) -> None:
    run = dataclasses.replace(run, epochs=1)
    folder, figures = train(run, tmp_path / "run")
    before = (folder.path / "weights.safetensors").read_bytes()
    assert train(run, tmp_path / "run")[1] == figures
    assert (folder.path / "weights.safetensors").read_bytes() == before


def test_a_folder_of_another_run_is_refused(run: RunSpec, tmp_path: Path) -> None:
    train(dataclasses.replace(run, epochs=1), tmp_path / "run")
    with pytest.raises(RunError, match="epochs was 1, is 2"):
        train(dataclasses.replace(run, epochs=2), tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        train(run, tmp_path / "other")


def test_one_extractor_goes_into_every_fragment(run: RunSpec, tmp_path: Path) -> None:
    network = FragmentNetwork(run.network, run.clip)
    weights = {
        n: torch.randn_like(t.float()) for n, t in network.extractors[0].state_dict().items()
    }
    weights = {n: t.long() if n.endswith("tracked") else t for n, t in weights.items()}
    save_file(weights, tmp_path / "extractor.safetensors")
    load_extractor(network, tmp_path / "extractor.safetensors")
    for extractor in network.extractors:
        for name, tensor in extractor.state_dict().items():
            assert torch.equal(tensor, weights[name])
    weights.pop("conv1a.weight")
    save_file(weights, tmp_path / "short.safetensors")
    for name in ("short.safetensors", "missing.safetensors"):
        with pytest.raises(RunError, match="not an extractor"):
            load_extractor(network, tmp_path / name)


def test_a_run_goes_on_from_a_published_checkpoint(run: RunSpec, tmp_path: Path) -> None:
    network = tiny_network(run.clip, run.network)
    base = Store(tmp_path / "store").publish(
        tiny_card(run.clip, run.network),
        network,
        golden_clip=clip_bytes(frames=36, height=48, width=64),
        readme="",
        half=False,
    )
    begun = new_network(run, dataset_of(run), base).state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(begun[name], tensor), name

    last = dataclasses.replace(
        run, network=dataclasses.replace(TINY, fragments_used=(1,)), base="x@1", new_head=True
    )
    fewer = new_network(last, dataset_of(run), base)
    for name, tensor in fewer.extractors[0].state_dict().items():
        assert torch.equal(tensor, network.extractors[1].state_dict()[name]), name
    assert fewer.head.baseline != network.head.baseline
    with pytest.raises(RunError, match="another network"):
        new_network(dataclasses.replace(last, new_head=False), dataset_of(run), base)

    wider = dataclasses.replace(run, network=dataclasses.replace(TINY, head_channels=(5, 4)))
    padded = dataclasses.replace(run, clip=dataclasses.replace(run.clip, pad="start"))
    for other, message in ((wider, "another network"), (padded, "sees clips of")):
        with pytest.raises(RunError, match=message):
            new_network(other, dataset_of(run), base)


def test_what_is_known_is_taught_for_what_is_shown(tmp_path: Path) -> None:
    """In both phases, on real simulated clips: the targets are those of `PartialScores`."""
    data = tmp_path / "vault"
    write_dataset("vault", 5, 1, data, test_share=0, workers=1)
    preset = PRESETS["compact"] | {"epochs": 1, "network": TINY, "batch": 2, "blanking": 1.0}
    run = RunSpec(
        data=(str(data),),
        clip=SPECS["vault"].with_size((32, 32), (32, 32)),
        teach="known",
        head_epochs=1,
        head_batch=3,
        head_variants=2,
        validation=0.4,
        **preset,
    )
    dataset = dataset_of(run)
    learner = Trainer(run, dataset, RunFolder(tmp_path / "run")).learner
    frozen = compute_features(learner, run.head_variants, Quiet())
    for phase in (HeadPhase(learner, frozen), WholePhase(learner)):
        for batch in phase.micro_batches(0, 0):
            scores = learner.target_scores(batch.clips, batch.starts, batch.shown.numpy())
            for row, clip in enumerate(batch.clips):
                shown = np.array([bool(fragment) for fragment in batch.shown[row]])
                expected = dataset.partial_scores.at(int(clip), int(batch.starts[row]), shown)
                assert not shown.all()
                assert scores[row].item() == pytest.approx(expected, rel=1e-6)


def test_a_phase_has_to_be_better_than_what_was_kept_before_it(
    run: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head's epochs are, the whole network's are not; the card says what made the weights."""
    run = dataclasses.replace(
        beside_a_readout(run, tmp_path),
        head_epochs=1,
        epochs=1,
        head_rate=1e-2,
        extractor_rate=1e-4,
        rate=1e-3,
    )
    compared, answers = [], iter([True, False])

    def better(
        predicted: NDArray[Any], before: NDArray[Any], judged: NDArray[Any], **_: object
    ) -> bool:
        compared.append((predicted.copy(), before.copy()))
        return next(answers)

    monkeypatch.setattr("training.learn.trainer.surely_better", better)
    folder, figures = train(run, tmp_path / "run")
    assert figures["phase"] == "head"
    (of_head, of_start), (of_all, before_all) = compared
    assert np.array_equal(before_all, of_head)
    assert not np.array_equal(of_head, of_start)
    assert not np.array_equal(of_all, of_head)
    monkeypatch.undo()
    learner = Trainer(run, dataset_of(run), RunFolder(tmp_path / "other")).learner
    learner.network.load_state_dict(folder.load_weights()[0])
    predicted = WholePhase(learner).predict(learner.dataset.validation).whole
    np.testing.assert_allclose(predicted, of_head, rtol=1e-4)

    write_summary(folder, summarise(learner.dataset, run.data, folder))
    card = publish_run(folder, Store(tmp_path / "store"), "kept").card
    assert (card.training.options["head_epochs"], card.training.options["epochs"]) == (1, 0)


@pytest.mark.parametrize("raised", [1.0, 3.0])
def test_the_first_predictions_are_on_the_scale_of_the_scores(
    bright: Path, spec: ClipSpec, tmp_path: Path, raised: float
) -> None:
    """Whatever random extractors make of the pixels without normalisation."""
    network = dataclasses.replace(PAPER, width=1 / 32, head_hidden=(64, 64), dropout=0.5)
    run = RunSpec(
        **PRESETS["paper"]
        | {"data": (str(bright),), "clip": spec, "network": network, "validation": 0.2, "epochs": 1}
    )
    dataset = dataset_of(run)
    trainer = Trainer(run, dataset, RunFolder(tmp_path / "run"))
    with torch.no_grad():
        for extractor in trainer.learner.network.extractors:
            extractor.get_parameter("conv1a.weight").mul_(raised * 1e3)
    phase = WholePhase(trainer.learner)
    bring_to_scale(trainer.learner, phase)
    torch.manual_seed(0)
    with torch.no_grad():
        features = [phase.features(batch) for batch in phase.micro_batches(0, 0)]
        predicted = torch.cat([trainer.learner.score(each) for each in features])
    stray = (predicted - dataset.mean).square().mean().sqrt().item()
    assert 0.2 * dataset.deviation < stray < 2 * dataset.deviation


def test_a_run_goes_on_in_the_precision_that_it_began_with(
    run: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that another check would trust does not change its numbers half way."""
    asked = []

    def device(precision: Precision, *_: object) -> Device:
        asked.append(precision)
        return Device("cpu", torch.float32)

    monkeypatch.setattr("training.learn.run_device.trusted_device", device)
    run = dataclasses.replace(run, precision="bfloat16", epochs=1)
    folder, _ = train(run, tmp_path / "run")
    train(run, tmp_path / "run")  # has ended, and computes nothing
    state = folder.load_state()
    assert state is not None
    state["position"]["phase"] = 2
    folder.save_state(state)
    train(run, tmp_path / "run")
    folder = RunFolder(tmp_path / "other")
    folder.open(run.to_json())
    Trainer(run, dataset_of(run), folder, precomputed=Precomputed("float32", None))
    assert asked == ["bfloat16", "float32", "float32"]


def test_the_precision_is_checked_on_the_batches_of_the_run(
    run: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []

    def device(*values: Any) -> Device:
        checked.append(values[-2:])
        return Device("cpu", torch.float32)

    monkeypatch.setattr("training.learn.run_device.trusted_device", device)
    run = dataclasses.replace(run, head_epochs=1)
    trainer = Trainer(run, dataset_of(run), RunFolder(tmp_path / "run"))
    monkeypatch.undo()
    [(learnt, forward_only)] = checked
    assert {len(batch.clips) for batch in WholePhase(trainer.learner).micro_batches(0, 0)} <= learnt
    clips = len(trainer.learner.dataset.clips)
    assert {len(part) for part in np.array_split(np.arange(clips), -(-clips // 32))} <= forward_only
    assert len(trainer.learner.dataset.validation) in forward_only


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


@pytest.fixture
def small(bright: Path, spec: ClipSpec) -> dict[str, object]:
    """The paper's head, whole, on narrow extractors."""
    network = dataclasses.replace(PAPER, width=1 / 32)
    return {"data": (str(bright),), "clip": spec, "network": network, "validation": 0.2}


@pytest.mark.parametrize("head", ["narrow", pytest.param("whole", marks=pytest.mark.slow)])
def test_the_papers_preset_trains(head: str, small: dict[str, object], tmp_path: Path) -> None:
    """The 26 million weights of the whole head take most of the time."""
    if head == "narrow":
        small["network"] = dataclasses.replace(
            PAPER, width=1 / 32, head_channels=(64, 64), head_hidden=(512, 512)
        )
    run = RunSpec(**PRESETS["paper"] | small | {"epochs": 4})
    _, figures = train(run, tmp_path / "run")
    assert figures["spearman"] > 0.7


def test_the_literal_one_is_reported_as_unable_to_learn(
    small: dict[str, object], tmp_path: Path
) -> None:
    run = RunSpec(**PRESETS["paper-literal"] | small | {"epochs": 4})
    with pytest.raises(RunError, match=r"the loss is .* at step 2: the run cannot learn"):
        train(run, tmp_path / "run")


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
     {"teach": "known", "network": dataclasses.replace(TINY, target="execution")},
     {"new_head": True}, {"accumulate": 0}, {"folds": 1}, {"fold": 1}, {"readout": True},
     {"average": 0.0}, {"frozen_layers": 2},
     {"folds": 3, "fold": 3}, {"checkpointing": True}, {"regression": False, "alpha": 0.0}],
)  # fmt: skip
def test_impossible_options_are_refused(run: RunSpec, wrong: dict[str, Any]) -> None:
    with pytest.raises(RunError):
        dataclasses.replace(run, **wrong)
