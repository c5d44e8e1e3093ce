"""The network against the paper's figures (on the meta device) and against layers by hand."""

import dataclasses

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model_store.errors import SpecError
from model_store.network import C3DExtractor, FragmentNetwork
from model_store.network_spec import COMPACT, PAPER, NetworkSpec
from model_store.spec import DIVING, SKATING, VAULT, ClipSpec
from tests.checkpoints import TINY, tiny_network, tiny_spec


def pixels(spec: ClipSpec, clips: int = 1, device: str = "cpu") -> Tensor:
    shape = (clips, spec.fragments, spec.fragment_length, *spec.crop, 3)
    if device == "meta":
        return torch.empty(shape, dtype=torch.uint8, device=device)
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def on_meta(network: NetworkSpec, spec: ClipSpec) -> FragmentNetwork:
    with torch.device("meta"):
        return FragmentNetwork(network, spec)


def test_an_extractor_of_full_width_has_the_parameters_of_c3d() -> None:
    with torch.device("meta"):
        extractor = C3DExtractor()
    assert sum(parameter.numel() for parameter in extractor.parameters()) == 27_655_936
    assert [name for name, _ in extractor.named_parameters() if name.endswith("weight")] == [
        f"conv{layer}.weight" for layer in ("1a", "2a", "3a", "3b", "4a", "4b", "5a", "5b")
    ]


@pytest.mark.parametrize(
    ("spec", "shape"),
    [(DIVING, (512, 9, 4, 4)), (VAULT, (512, 6, 4, 4)), (SKATING, (512, 54, 4, 4))],
    ids=["diving", "vault", "skating"],
)
def test_shapes_of_the_paper(spec: ClipSpec, shape: tuple[int, ...]) -> None:
    network = on_meta(PAPER, spec)
    clip = pixels(spec, device="meta")
    assert network.extract(0, clip[:, 0]).shape == (1, 512, shape[1] // spec.fragments, 4, 4)
    assert network.features(clip).shape == (1, *shape)
    assert network.feature_shape == shape
    assert network(clip).shape == (1, 1)
    assert on_meta(dataclasses.replace(PAPER, target="both"), spec)(clip).shape == (1, 2)
    assert network.head.fc1.out_features == network.head.fc2.out_features == 4096


@pytest.mark.parametrize("length", [16, 17, 40, 100])
@pytest.mark.parametrize("crop", [(64, 64), (96, 72), (33, 47)])
def test_the_feature_shape_is_what_comes_out(length: int, crop: tuple[int, int]) -> None:
    spec = dataclasses.replace(
        DIVING.with_size(crop, crop), fragments=2, fragment_length=length, frames=2 * length
    )
    network = on_meta(TINY, spec)
    assert network.features(pixels(spec, device="meta")).shape[1:] == network.feature_shape


def test_the_last_fragment_alone() -> None:
    only_last = dataclasses.replace(PAPER, fragments_used=(8,))
    network = on_meta(only_last, DIVING)
    assert network.features(pixels(DIVING, device="meta")).shape == (1, 512, 1, 4, 4)

    spec = tiny_spec()
    small = tiny_network(spec, dataclasses.replace(TINY, fragments_used=(8,)))
    clip = pixels(spec)
    others, last = clip.clone(), clip.clone()
    others[:, :8] = 0
    last[:, 8] = 0
    assert torch.equal(small(clip), small(others))
    assert not torch.equal(small(clip), small(last))


def test_a_fragment_that_the_clip_lacks_is_refused() -> None:
    with pytest.raises(SpecError, match="9 fragments"):
        on_meta(dataclasses.replace(PAPER, fragments_used=(8, 9)), DIVING)


def by_hand(network: FragmentNetwork, clip: Tensor) -> Tensor:
    """[Li18 Fig. 1] layer by layer, ReLU before each pool as the paper has it."""
    weights = network.state_dict()

    def layer(x: Tensor, name: str) -> Tensor:
        x = F.conv3d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)
        return F.relu(x)

    mean = torch.tensor(network.clip_spec.mean)
    features = []
    for k in range(network.clip_spec.fragments):
        x = (clip[:, k].float() - mean).permute(0, 4, 1, 2, 3)
        at = f"extractors.{k}"
        x = F.max_pool3d(layer(x, f"{at}.conv1a"), (1, 2, 2))
        x = F.max_pool3d(layer(x, f"{at}.conv2a"), 2)
        x = F.max_pool3d(layer(layer(x, f"{at}.conv3a"), f"{at}.conv3b"), 2)
        x = F.max_pool3d(layer(layer(x, f"{at}.conv4a"), f"{at}.conv4b"), 2)
        x = layer(layer(x, f"{at}.conv5a"), f"{at}.conv5b")
        features.append(F.max_pool3d(x, 2, padding=(0, 1, 1)))
    x = torch.cat(features, dim=2)
    x = F.max_pool3d(layer(x, "head.conv1"), 3, stride=2, padding=1)
    x = F.max_pool3d(layer(x, "head.conv2"), 3, stride=2, padding=1).flatten(1)
    x = F.relu(x @ weights["head.fc1.weight"].T + weights["head.fc1.bias"])
    x = F.relu(x @ weights["head.fc2.weight"].T + weights["head.fc2.bias"])
    outputs = x @ weights["head.out.weight"].T + weights["head.out.bias"]
    scores: Tensor = outputs + torch.tensor([70.0, 70.0 / 3])
    return scores


def test_the_forward_pass_is_the_composition_of_its_layers() -> None:
    spec = tiny_spec("vault")
    wider = dataclasses.replace(COMPACT, normalisation="none", target="both")
    network = tiny_network(spec, wider, baseline=70.0)
    clip = pixels(spec, clips=2)
    with torch.inference_mode():
        scores = network(clip)
        torch.testing.assert_close(scores, by_hand(network, clip), rtol=0, atol=1e-3)
    assert (scores[0] - scores[1]).abs().min() > 1e-2


def test_folding_leaves_the_network_and_the_seed_alone() -> None:
    network = FragmentNetwork(COMPACT, tiny_spec()).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    folded = network.folded()
    assert torch.equal(torch.get_rng_state(), state)
    assert network.training
    assert not folded.training
    for parameter in folded.parameters():
        parameter.fill_(1.0)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("network", [PAPER, COMPACT, TINY])
def test_a_network_spec_survives_json(network: NetworkSpec) -> None:
    assert NetworkSpec.from_json(network.to_json()) == network


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 0),
        ("normalisation", "layer"),
        ("head_channels", (0, 4)),
        ("dropout", 1.0),
        ("fragments_used", (3, 1)),
        ("fragments_used", ()),
        ("target", "difficulty"),
        ("other_kind", True),
    ],
)
def test_a_contradictory_network_spec_is_refused(
    field: str, value: float | str | tuple[int, int]
) -> None:
    with pytest.raises(SpecError):
        NetworkSpec.from_json(COMPACT.to_json() | {field: value})


def test_another_kind_of_clips_is_written_down_only_where_there_is_one() -> None:
    both = dataclasses.replace(COMPACT, readout=True, other_kind=True)
    assert both.to_json()["other_kind"] is True
    for spec in (COMPACT, both):
        assert NetworkSpec.from_json(spec.to_json()) == spec
    values = COMPACT.to_json()
    assert "other_kind" not in values
    del values["views"]
    with pytest.raises(SpecError, match=r"lacks \['views'\]"):
        NetworkSpec.from_json(values)
