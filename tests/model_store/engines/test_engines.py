"""Engines against the reference, and the reference against whole passes of blanked clips."""

import dataclasses
import gc
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_store.clip import cut
from model_store.contributions import shapley
from model_store.engines import Engine, EngineOutput, make_engine
from model_store.errors import EngineError
from model_store.network import FragmentNetwork
from model_store.network_spec import Target
from model_store.spec import ClipSpec
from tests.checkpoints import TINY, tiny_network, tiny_spec
from tests.cpu_device import cuda_on_cpu
from tests.engine_clips import ON_A_GPU, random_clips, scores_of

NAMES = ["torch", "openvino", "cuda on a CPU", pytest.param("cuda", marks=ON_A_GPU)]


@pytest.fixture(scope="module")
def reference(network: FragmentNetwork) -> Engine:
    return make_engine(network, name="torch")


@pytest.fixture(scope="module", params=NAMES)
def engine(request: pytest.FixtureRequest, network: FragmentNetwork, cache: Path) -> Engine:
    if request.param == "cuda on a CPU":
        with cuda_on_cpu():
            return make_engine(network, name="cuda")
    return make_engine(network, name=request.param, cache=cache)


@pytest.mark.parametrize(("readout", "other"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("target", ["final", "execution", "both"])
def test_the_reference_is_brute_force_over_all_coalitions(
    target: Target, readout: bool, other: bool, spec: ClipSpec
) -> None:
    # Whole forward passes of the network as trained, not folded, on clips with blanked frames.
    shape = dataclasses.replace(TINY, target=target, readout=readout, other_kind=other)
    network = tiny_network(spec, shape, seed=2)
    [clip] = random_clips(spec, 1)
    table = np.empty((1, 2**spec.fragments, len(shape.outputs)))
    with torch.inference_mode():
        for mask in range(2**spec.fragments):
            shown = clip.copy()
            for k in range(spec.fragments):
                if not mask >> k & 1:
                    frames = spec.fragment_frames(k)
                    shown[frames.start : frames.stop] = 0
            table[0, mask] = network(cut(torch.from_numpy(shown[None]), spec))

    answers = make_engine(network, name="torch").score(clip[None]).contributions
    everyone, bit = 2**spec.fragments - 1, 1 << np.arange(spec.fragments)
    assert len(answers) == len(shape.outputs)
    for answer, values in zip(answers, np.moveaxis(table, 2, 0), strict=True):
        assert values.std() > 0.1
        assert answer.baseline == pytest.approx(values[0, 0], abs=1e-3)
        np.testing.assert_allclose(answer.score, values[:, everyone], atol=1e-3)
        np.testing.assert_allclose(answer.contribution, shapley(values), atol=1e-3)
        np.testing.assert_allclose(answer.alone, values[:, bit], atol=1e-3)
        np.testing.assert_allclose(answer.without, values[:, everyone - bit], atol=1e-3)
    if len(answers) == 2:
        assert np.abs(answers[0].contribution - answers[1].contribution).max() > 0.05


def test_engines_agree_with_the_reference(
    engine: Engine, reference: Engine, spec: ClipSpec
) -> None:
    clips = random_clips(spec, 3)
    clips[1, :40] = 0
    ours, theirs = engine.score(clips), reference.score(clips)
    atol = engine.runtime.tolerance
    relative = 0.03 if engine.name == "cuda" else 1e-4
    np.testing.assert_allclose(
        ours.features, theirs.features, atol=relative * np.abs(theirs.features).max()
    )
    assert ours.features.dtype == np.float32
    for one, other in zip(ours.contributions, theirs.contributions, strict=True):
        for field in ("score", "contribution", "alone", "without"):
            mine, expected = getattr(one, field), getattr(other, field)
            np.testing.assert_allclose(mine, expected, atol=atol, err_msg=field)


@pytest.mark.parametrize("count", [2, 3, 9])
def test_a_batch_is_its_clips_one_by_one(engine: Engine, spec: ClipSpec, count: int) -> None:
    clips = random_clips(spec, count, seed=count)
    # A GPU takes other kernels for other sizes, which add up half-precision numbers otherwise.
    tolerance = engine.runtime.tolerance / (1 if engine.name == "cuda" else 10)
    together = engine.score(clips)
    for index in range(count):
        alone = engine.score(clips[index : index + 1])
        for one, other in zip(together.contributions, alone.contributions, strict=True):
            for field in ("score", "contribution", "alone", "without"):
                np.testing.assert_allclose(
                    getattr(one, field)[index], getattr(other, field)[0], atol=tolerance
                )
        np.testing.assert_allclose(together.features[index], alone.features[0], atol=0.05)


def test_what_is_blank_contributes_exactly_nothing(engine: Engine, spec: ClipSpec) -> None:
    clips = random_clips(spec, 2)
    clips[0, : spec.fragment_frames(1).stop] = 0
    clips[1] = 0
    for answer in engine.score(clips).contributions:
        assert (answer.contribution[0, :2] == 0).all()
        assert (answer.alone[0, :2] == answer.baseline).all()
        assert (answer.without[0, :2] == answer.score[0]).all()
        assert (answer.contribution[0, 2:] != 0).all()
        assert answer.score[1] == answer.baseline
        assert (answer.contribution[1] == 0).all()


def test_frames_outside_the_fragments_are_not_seen(engine: Engine, spec: ClipSpec) -> None:
    clips = random_clips(spec, 1)
    changed = clips.copy()
    changed[:, : spec.start] = 0
    np.testing.assert_array_equal(scores_of(engine.score(changed)), scores_of(engine.score(clips)))


def test_an_engine_works_in_a_thread_of_its_own(engine: Engine, spec: ClipSpec) -> None:
    clips = random_clips(spec, 3)
    answers: list[EngineOutput] = []
    thread = threading.Thread(target=lambda: answers.append(engine.score(clips)))
    thread.start()
    thread.join()
    for ours, expected in zip(
        answers[0].contributions, engine.score(clips).contributions, strict=True
    ):
        np.testing.assert_allclose(ours.contribution, expected.contribution)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_an_engine_keeps_nothing_of_a_batch(engine: Engine, spec: ClipSpec, count: int) -> None:
    gc.collect()
    gc.disable()
    try:
        clips = random_clips(spec, count)
        kept: list[weakref.ref[Any]] = [weakref.ref(clips)]
        output = engine.score(clips)
        kept.append(weakref.ref(output.features))
        del clips, output
        assert [each() for each in kept] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "clips",
    [
        np.zeros((1, 99, 32, 32, 3), np.uint8),
        np.zeros((1, 100, 32, 32, 3), np.float32),
        np.zeros((100, 32, 32, 3), np.uint8),
        np.zeros((0, 100, 32, 32, 3), np.uint8),
    ],
)
def test_other_clips_are_refused(reference: Engine, clips: Any) -> None:
    with pytest.raises(EngineError, match="need"):
        reference.score(clips)


def test_clips_need_not_be_contiguous(engine: Engine, spec: ClipSpec) -> None:
    clips = random_clips(spec, 2)
    view = np.asfortranarray(clips)
    np.testing.assert_array_equal(scores_of(engine.score(view)), scores_of(engine.score(clips)))


def test_threads_may_be_set(
    network: FragmentNetwork, spec: ClipSpec, cache: Path, reference: Engine
) -> None:
    from model_store.engines.openvino_cpu import OpenVinoRuntime  # absent on some GPU machines

    clips = random_clips(spec, 3)
    expected = scores_of(reference.score(clips))
    engine = make_engine(network, name="openvino", cache=cache, threads=1)
    assert isinstance(engine.runtime, OpenVinoRuntime)
    assert engine.runtime.streams == 1
    np.testing.assert_allclose(scores_of(engine.score(clips)), expected, atol=0.01)


def test_fragments_that_are_not_used(cache: Path) -> None:
    spec = tiny_spec("vault")
    network = tiny_network(spec, dataclasses.replace(TINY, fragments_used=(5,)), seed=4)
    clips = random_clips(spec, 2)
    for name in ("torch", "openvino"):
        output = make_engine(network, name=name, cache=cache).score(clips)
        assert output.features.shape[:2] == (2, 1)
        [answer] = output.contributions
        assert (answer.contribution[:, :5] == 0).all()
        np.testing.assert_allclose(answer.baseline + answer.contribution[:, 5], answer.score)


def test_an_engine_that_computes_something_else_is_refused(
    network: FragmentNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model_store.engines.torch_cpu import TorchRuntime

    monkeypatch.setattr(
        TorchRuntime,
        "values",
        lambda self, clips, looks: (None, np.full((len(clips), 1, 2), [70, np.nan])),
    )
    with pytest.raises(EngineError, match="off by nan points"):
        make_engine(network, name="torch")


def test_nothing_is_reported_to_anyone(network: FragmentNetwork, cache: Path) -> None:
    make_engine(network, name="openvino", cache=cache)
    assert sys.modules["openvino_telemetry"] is None
