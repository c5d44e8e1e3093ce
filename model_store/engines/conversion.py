"""From a torch module to a model for OpenVINO."""

import warnings
from threading import Lock
from typing import Any

import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder
from torch import Tensor, nn

ONE_AT_A_TIME = Lock()  # torch.export has one state for the whole process


def convert_module(module: nn.Module, example: Tensor) -> Any:
    """An OpenVINO model for inputs of exactly this shape.

    Not `openvino.convert_model`, which reports to Google Analytics and configures the root logger.
    """
    with ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations between torch and OpenVINO
        program = torch.export.export(module.eval(), (example,)).run_decompositions()
        decoder = TorchFXPythonDecoder(program.module(), dynamic_shapes=False)
        frontend = FrontEndManager().load_by_framework("pytorch")
        return frontend.convert(frontend.load(decoder))


def convert_clips(module: nn.Module, shape: tuple[int, ...]) -> Any:
    """One whose input is a prepared clip, (T, H, W, 3) uint8."""
    return convert_module(module, torch.zeros(1, *shape, dtype=torch.uint8))
