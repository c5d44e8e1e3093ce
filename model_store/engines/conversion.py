"""
From a network to models for OpenVINO: each part is converted from its torch module.
"""

import warnings
from threading import Lock
from typing import Any

import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder
from torch import Tensor, nn

from model_store.engines.parts import Parts

ONE_AT_A_TIME = Lock()  # torch.export has one state for the whole process


def models_of(parts: Parts) -> dict[str, Any]:
    """Extraction and coalition head, by name, each for one clip."""
    spec = parts.network.clip_spec
    clip = torch.zeros(1, spec.frames, *spec.crop, 3, dtype=torch.uint8)
    features = torch.zeros(1, *parts.coalition_head.blank.shape)
    return {
        "extraction": convert_module(parts.extraction, clip),
        "coalition_head": convert_module(parts.coalition_head, features),
    }


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
