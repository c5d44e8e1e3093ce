"""The extractors alone, beside the rate at which the chip multiplies bf16 matrices."""

import copy
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from model_store.engines.cuda_device import fast_kernels
from model_store.engines.cuda_network import Jobs, in_turn
from model_store.engines.parts import Parts
from model_store.engines.torch_cuda import CudaRuntime
from model_store.network import FragmentNetwork
from tests.bench.gpu_bench import Bench
from tests.bench.grouped import GroupedExtraction

Extractors: TypeAlias = Callable[[Tensor, Jobs], Tensor]

LEAST_SHARE = 0.4  # of the matrix rate
MOST_GROUPED = 8  # clips: with more the first layer's outputs are beyond an int32


def kernels(bench: Bench) -> None:
    """The extractors alone, as the engine sets them up: in three arrangements, and not recorded."""
    page, best = bench.page, 0.0
    with bench.engine() as (_, runtime):
        device, extraction = runtime.device, runtime.network.extraction
        flops, matrix_rate = clip_flops(bench.network), _matrix_rate(bench, runtime)
        ways: dict[str, tuple[Extractors, Jobs, bool]] = {
            "side by side": (extraction, device.side_by_side, True),
            "in turn": (extraction, in_turn, True),
            "grouped": (GroupedExtraction(extraction), in_turn, True),
            "in turn, no graph": (extraction, in_turn, False),
        }
        page.add(f"A bf16 matrix product: {matrix_rate / 1e12:.3g} TFLOP/s. Extractors:\n")
        page.add(f"| batch | {' | '.join(ways)} |")
        page.add("|---|" + "---|" * len(ways))
        for batch in bench.size.kernel_batches:
            clips = torch.from_numpy(bench.clips(batch)).to(device.torch_device)
            cells = []
            for name, way in ways.items():
                if name == "grouped" and batch > MOST_GROUPED:
                    cells.append("–")
                    continue
                rate = batch * flops / _seconds(bench, runtime, *way, clips)
                cells.append(f"{rate / 1e12:.3g} TFLOP/s, {rate / matrix_rate:.0%}")
                if name in ("side by side", "in turn"):  # what the engine does
                    best = max(best, rate)
            page.add(f"| {batch} | {' | '.join(cells)} |")
        share = best / matrix_rate
        page.require(
            share >= LEAST_SHARE, f"{share:.0%} of the matrix rate, wanted {LEAST_SHARE:.0%}"
        )


def _seconds(
    bench: Bench,
    runtime: CudaRuntime,
    extraction: Extractors,
    jobs: Jobs,
    recorded: bool,
    clips: Tensor,
) -> float:
    """With the kernels that the engine would have chosen."""
    device = runtime.device
    with device.on(device.compute), torch.inference_mode(), fast_kernels():
        work = partial(extraction, clips, jobs)
        recording = None
        if recorded:
            extraction(clips, in_turn)  # cuDNN tries its kernels
            recording, _ = device.record(lambda: (work(),))

        def run() -> None:
            if recording is None:
                work()
            else:
                recording.replay()
            device.wait()

        seconds = bench.median_s(run)
    if recording is not None:
        recording.reset()
        device.give_memory_back()
    return seconds


def _matrix_rate(bench: Bench, runtime: CudaRuntime) -> float:
    """Operations a second."""
    side, device = bench.size.matrix, runtime.device
    with device.on(device.compute), torch.inference_mode():
        a, b = torch.randn(2, side, side, device=device.torch_device).to(torch.bfloat16)

        def run() -> None:
            torch.mm(a, b)
            device.wait()

        return 2 * side**3 / bench.median_s(run)


def clip_flops(network: FragmentNetwork) -> float:
    """Of the extractors for one clip, as the network is defined: not with the padded channels."""
    spec = network.clip_spec
    extraction = copy.deepcopy(Parts.of(network).extraction).to("meta")
    clip = torch.zeros(1, spec.frames, *spec.crop, 3, dtype=torch.uint8, device="meta")
    with FlopCounterMode(display=False) as counted, torch.inference_mode():
        extraction(clip)
    return float(counted.get_total_flops())
