"""`bench-gpu`, rehearsed on a CPU: its sections run, and what breaks off is reported."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model_store.engines.cuda_network import HalfExtraction
from model_store.engines.parts import Parts
from tests.bench import gpu, gpu_kernels
from tests.bench.gpu_bench import SMALL, Bench
from tests.bench.grouped import GroupedExtraction
from tests.checkpoints import TINY, tiny_network, tiny_spec
from tests.engine_clips import random_clips


def rehearse(page: Path, *sections: str) -> int:
    only = [word for section in sections for word in ("--only", section)]
    return gpu.main(["--device", "cpu", "--tiny", "--page", str(page), *only])


def test_what_happens_in_the_engine_is_rehearsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_kernels, "LEAST_SHARE", 0.0)
    page = tmp_path / "GPU.md"
    assert rehearse(page, "agreement", "batches", "kernels", "graphs", "memory") == 0
    text = page.read_text()
    assert "no figure means anything" in text
    for found in ("In float16, from", "| 3 |", "| 2 |", "as a CUDA graph", "once closed, 0.00 GB"):
        assert found in text
    assert "| batch | side by side | in turn | grouped | in turn, no graph |" in text


def test_a_section_that_breaks_off_is_reported_and_the_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "GPU.md"

    def fail(bench: Bench) -> None:
        bench.page.add("half of it")
        assert "half of it" in page.read_text()  # as it comes
        raise RuntimeError

    monkeypatch.setitem(gpu.SECTIONS, "graphs", fail)
    assert rehearse(page, "graphs", "memory") == 1
    text = page.read_text()
    assert "`graphs` broke off: RuntimeError." in text
    assert "once closed, 0.00 GB" in text
    assert text.endswith("Missed: graphs.\n")


@pytest.mark.slow
def test_the_service_is_rehearsed(tmp_path: Path) -> None:
    page = tmp_path / "GPU.md"
    assert rehearse(page, "pipeline") == 0
    assert "| 64 |" in page.read_text()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([]) == 3
    assert "no CUDA device" in capsys.readouterr().err


def test_extractors_in_groups_are_the_same_extractors() -> None:
    spec = tiny_spec("vault")
    parts = Parts.of(tiny_network(spec))
    clips = torch.from_numpy(random_clips(spec, 2))
    ours = HalfExtraction.of(parts.extraction, torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        torch.testing.assert_close(
            GroupedExtraction(ours)(clips), ours(clips), rtol=1e-4, atol=1e-3
        )


def test_rates_are_operations_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each arrangement, and the matrix product, by a clock that says half a second."""

    def half_a_second(bench: Bench, work: Callable[[], object], **_: object) -> float:
        work()
        return 0.5

    monkeypatch.setattr(Bench, "median_s", half_a_second)
    monkeypatch.setattr(gpu_kernels, "LEAST_SHARE", 0.0)
    page = tmp_path / "GPU.md"
    assert rehearse(page, "kernels") == 0
    flops, matrix = gpu_kernels.clip_flops(tiny_network(tiny_spec(), TINY)), 2 * SMALL.matrix**3
    for batch in SMALL.kernel_batches:
        cell = f"{batch * flops / 0.5 / 1e12:.3g} TFLOP/s, {batch * flops / matrix:.0%}"
        assert f"| {batch} |{f' {cell} |' * 4}" in page.read_text()


def test_operations_are_counted_for_the_network_as_it_is_defined() -> None:
    network = tiny_network(tiny_spec("vault"))
    [conv1a] = [network.extractors[0].get_parameter("conv1a.weight")]
    first = 2 * 27 * 3 * conv1a.shape[0] * 16 * 32 * 32  # multiplications and additions, 3 channels
    assert gpu_kernels.clip_flops(network) > len(network.used) * first
    assert gpu_kernels.clip_flops(network) < 50 * len(network.used) * first
