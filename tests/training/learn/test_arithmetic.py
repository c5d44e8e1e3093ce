"""A precision that is wrong on a machine, as a kernel that returns wrong gradients makes it."""

import pytest
import torch
from torch import Tensor, nn

from model_store.network import C3DExtractor
from tests.training.bright import SPEC
from training.learn.arithmetic import TOLERANCE, disagreement, trusted_device
from training.learn.forward import Device

HALF = Device("cpu", torch.bfloat16)


class Rounded(nn.Conv3d):
    """Half precision as it should be, whatever this machine's own kernels do."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not torch.is_autocast_enabled("cpu"):
            return super()._conv_forward(input, weight, bias)
        with torch.autocast("cpu", enabled=False):
            halved = (each.bfloat16().float() for each in (input, weight))
            return super()._conv_forward(*halved, bias).bfloat16()


class WrongGradient(Rounded):
    """In half precision the gradient of the weights is twice what it should be."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if torch.is_autocast_enabled("cpu"):
            weight = weight + (weight - weight.detach())
        return super()._conv_forward(input, weight, bias)


class UnwrittenOutput(Rounded):
    """In half precision one value of the answer is memory that nobody wrote."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        output = super()._conv_forward(input, weight, bias)
        if torch.is_autocast_enabled("cpu"):
            output = output.clone()
            output[0, 0, 0, 0, 0] = torch.inf
        return output


def extractor(conv4b: type[Rounded] = Rounded) -> C3DExtractor:
    torch.manual_seed(0)
    made = C3DExtractor(1 / 32, "batch")
    for name, module in made.named_children():
        if isinstance(module, nn.Conv3d):
            module.__class__ = conv4b if name == "conv4b" else Rounded
    return made


def test_rounding_is_no_disagreement() -> None:
    assert disagreement(HALF, extractor(), SPEC, batches={4}) is None


def test_a_wrong_gradient_is_named_with_its_layer() -> None:
    found = disagreement(HALF, extractor(WrongGradient), SPEC, batches={4})
    assert found is not None
    assert found.what.startswith("gradient of the weight of conv4b on ")
    assert found.difference == pytest.approx(1.0, abs=TOLERANCE)


def test_an_answer_that_is_not_finite_is_a_disagreement() -> None:
    found = disagreement(HALF, extractor(UnwrittenOutput), SPEC, batches={4})
    assert found is not None
    assert found.what.startswith("output of conv4b")
    assert found.difference == torch.inf


@pytest.mark.parametrize("wrong", [WrongGradient, UnwrittenOutput])
def test_a_wrong_precision_is_replaced_by_float32_with_a_warning(
    wrong: type[torch.autograd.Function], capsys: pytest.CaptureFixture[str]
) -> None:
    device = trusted_device("bfloat16", extractor(wrong), SPEC, {4})
    assert device.dtype == torch.float32
    warning = capsys.readouterr().err
    assert warning.startswith("warning: bfloat16 is wrong on this machine: the ")
    assert "conv4b" in warning


def test_a_right_one_is_used_and_nothing_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert trusted_device("bfloat16", extractor(), SPEC, {4}) == Device.best("bfloat16")
    assert trusted_device("float32", extractor(WrongGradient), SPEC, {4}).dtype == torch.float32
    assert capsys.readouterr().err == ""


def test_the_check_leaves_the_extractor_as_it_was() -> None:
    checked = extractor().train()
    before = {name: value.clone() for name, value in checked.state_dict().items()}
    disagreement(HALF, checked, SPEC, batches={4})
    assert checked.training
    assert all(parameter.grad is None for parameter in checked.parameters())
    for name, value in checked.state_dict().items():
        assert torch.equal(value, before[name]), name
