"""What a run does on a GPU only, on the CPU: steps read late, and clips made into batches there."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch.optim import swa_utils

from model_store.spec import VAULT
from tests.engine_clips import ON_A_GPU
from tests.training.bright import TINY, log_of, train, train_with_stops
from training.data.cache import ClipCache
from training.data.resident_clips import ResidentClips
from training.learn.device_figures import STEPS_QUEUED
from training.learn.run_spec import RunSpec
from training.pretraining.pretrain_spec import PretrainSpec
from training.pretraining.pretraining_run import pretrain_extractor


@pytest.fixture
def run(run: RunSpec) -> RunSpec:
    """With looks that change no pixel's value, so that the GPU's path has no rounding."""
    return dataclasses.replace(
        run, head_epochs=1, head_variants=2, epochs=2, flip=0.5, low_frame_rate=0.5,
        blanking=0.3, alpha="balance",
    )  # fmt: skip


@pytest.fixture
def gpu_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are read late, clips are on the device, weights are averaged as there."""

    def copied(cache: ClipCache, kind: str) -> ResidentClips:
        return ResidentClips.copied(cache, kind)

    monkeypatch.setitem(STEPS_QUEUED, "cpu", 1)
    monkeypatch.setattr(swa_utils, "_get_foreach_kernels_supported_devices", lambda: ["cpu"])
    monkeypatch.setattr(ResidentClips, "where_they_fit", staticmethod(copied))


@pytest.fixture
def plain(run: RunSpec, tmp_path: Path) -> list[dict[str, str]]:
    folder, _ = train(run, tmp_path / "plain")
    return log_of(folder.path)


def test_a_run_is_the_same(
    run: RunSpec, tmp_path: Path, plain: list[dict[str, str]], gpu_path: None
) -> None:
    folder, _ = train(run, tmp_path / "run")
    assert log_of(folder.path) == plain


def test_a_run_that_is_killed_is_the_same(
    run: RunSpec, tmp_path: Path, plain: list[dict[str, str]], gpu_path: None
) -> None:
    folder, _ = train_with_stops(run, tmp_path / "run")
    assert log_of(folder.path) == plain


@pytest.mark.usefixtures("few_fragments_validate")
@pytest.mark.parametrize("keep", [False, True])
def test_a_pre_training_is_the_same(
    six_vaults: Path, tmp_path: Path, request: pytest.FixtureRequest, keep: bool
) -> None:
    spec = PretrainSpec(
        data=(str(six_vaults),),
        clip=dataclasses.replace(VAULT, resize=(32, 32), crop=(32, 32)),
        network=TINY,
        steps=5,
        batch=8,
        validation=0.25,
        colour=0.0,
        zoom=0.0,
    )
    plain = pretrain_extractor(spec, tmp_path / "plain")
    if keep:
        spec = dataclasses.replace(spec, extractor=str(plain), keep=spec.data, keep_batch=4)
        plain = pretrain_extractor(spec, tmp_path / "going-on")
    request.getfixturevalue("gpu_path")
    ours = pretrain_extractor(spec, tmp_path / "run")
    logs = [(file.parent / "log.csv").read_text() for file in (plain, ours)]
    assert logs[0] == logs[1]
    assert len(logs[0].splitlines()) == 1 + 5


def test_a_step_is_not_read_before_the_next_one_is_queued(
    run: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu_path: None
) -> None:
    """Else the GPU would have nothing to do while the next step is prepared."""
    from training.learn.training_step import StepFigures, TrainingStep

    order: list[str] = []
    begin, read = TrainingStep.begin, StepFigures.read

    def beginning(self: TrainingStep, *arguments: object) -> StepFigures:
        order.append("begin")
        return begin(self, *arguments)  # type: ignore[arg-type]

    def reading(self: StepFigures) -> dict[str, float]:
        order.append("read")
        return read(self)

    monkeypatch.setattr(TrainingStep, "begin", beginning)
    monkeypatch.setattr(StepFigures, "read", reading)
    train(dataclasses.replace(run, head_epochs=0, epochs=1), tmp_path / "run")
    assert order[:4] == ["begin", "begin", "read", "begin"]
    assert order[-2:] == ["read", "read"]


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=ON_A_GPU)])
def test_a_gpu_trains(run: RunSpec, tmp_path: Path, device: str) -> None:
    """Its losses are those of the CPU but for rounding."""
    assert torch.cuda.is_available()
    on_gpu, figures = train(run, tmp_path / device)
    first = log_of(on_gpu.path)[0]
    assert figures["spearman"] > 0.3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.cuda.is_available", lambda: False)
        on_cpu, _ = train(run, tmp_path / "cpu")
    assert float(first["loss"]) == pytest.approx(float(log_of(on_cpu.path)[0]["loss"]), rel=0.02)
