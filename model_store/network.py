"""
The network: one C3D extractor a fragment, features joined along time, a small head.   [Li18 §3]

Normalisation happens inside, from buffers, so nobody can forget it: the input is uint8.

Shapes: B clips, K fragments, L frames a fragment, H W pixels, C channels (3 in, D in features),
O outputs (`NetworkSpec.outputs`).

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
[Jacobs91] R. Jacobs, M. Jordan, S. Nowlan, G. Hinton. Adaptive Mixtures of Local Experts. 1991.
[Tran15] D. Tran et al. Learning Spatiotemporal Features with 3D Convolutional Networks. ICCV 2015.
"""

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from model_store.network_spec import NetworkSpec, Normalisation
from model_store.spec import ClipSpec


class C3DExtractor(nn.Module):
    """The first 13 layers of C3D, conv1a…pool5.   [Tran15; Li18 Fig. 1]

    (B, 3, L, H, W) float -> (B, D, ⌊L/16⌋, H', W'), D = 512 · width. 3×16×112×112 gives
    512×1×4×4. Where a pool follows, it comes before the ReLU: max and ReLU commute, so the
    values are the paper's and the ReLU sees an eighth of them.
    """

    LAYERS = (  # name, channels at width 1, pool after it: (kernel = stride, padding)
        ("conv1a", 64, ((1, 2, 2), 0)),
        ("conv2a", 128, ((2, 2, 2), 0)),
        ("conv3a", 256, None),
        ("conv3b", 256, ((2, 2, 2), 0)),
        ("conv4a", 512, None),
        ("conv4b", 512, ((2, 2, 2), 0)),
        ("conv5a", 512, None),
        ("conv5b", 512, ((2, 2, 2), (0, 1, 1))),
    )

    def __init__(self, width: float = 1.0, normalisation: Normalisation = "none") -> None:
        super().__init__()
        self.channels = scaled(512, width)
        incoming = 3
        for name, full, _ in self.LAYERS:
            conv = nn.Conv3d(incoming, incoming := scaled(full, width), 3, padding=1)
            self.add_module(name, conv)
            self.add_module(f"{name}_norm", norm_layer(normalisation, incoming))

    def forward(self, x: Tensor) -> Tensor:
        for name, _, pool in self.LAYERS:
            x = self.get_submodule(f"{name}_norm")(self.get_submodule(name)(x))
            if pool is not None:
                x = F.max_pool3d(x, pool[0], pool[0], pool[1])
            x = F.relu(x)
        return x


class Head(nn.Module):
    """Two convolutions with pooling, two fully connected layers, O outputs.   [Li18 §3, Fig. 1]

    (B, D, T', H', W') -> (B, O) points, T' = K·⌊L/16⌋; the paper has one output. `baseline` (O,) is
    a buffer added to the outputs, in points: training sets it to the mean judged score, so that
    the network learns deviations.

    With `NetworkSpec.readout` a linear function of the features is added, at first 0: what can be
    learned from a few dozen clips. With `NetworkSpec.other_kind` clips of another kind get more.
    """

    baseline: Tensor
    readout: nn.Parameter | None
    """(O, D, T', H', W') points a unit of a feature."""
    other: "OtherKind | None"

    def __init__(self, network: NetworkSpec, feature_shape: tuple[int, int, int, int]) -> None:
        super().__init__()
        channels = feature_shape[0]
        extent = list(feature_shape[1:])
        first, second = network.head_channels
        for _ in range(2):
            extent = [(size - 1) // 2 + 1 for size in extent]  # kernel 3, stride 2, padding 1
        flat = second * extent[0] * extent[1] * extent[2]
        self.conv1 = nn.Conv3d(channels, first, 3, padding=1)
        self.conv1_norm = norm_layer(network.normalisation, first)
        self.conv2 = nn.Conv3d(first, second, 3, padding=1)
        self.conv2_norm = norm_layer(network.normalisation, second)
        self.fc1 = nn.Linear(flat, network.head_hidden[0])
        self.fc2 = nn.Linear(network.head_hidden[0], network.head_hidden[1])
        outputs = len(network.outputs)
        self.out = nn.Linear(network.head_hidden[1], outputs)
        self.dropout = nn.Dropout(network.dropout)
        self.register_buffer("baseline", torch.zeros(outputs))
        readout = nn.Parameter(torch.zeros(outputs, *feature_shape)) if network.readout else None
        self.register_parameter("readout", readout)
        self.other = OtherKind(outputs, feature_shape) if network.other_kind else None

    def forward(self, features: Tensor) -> Tensor:
        x = F.relu(F.max_pool3d(self.conv1_norm(self.conv1(features)), 3, 2, 1))
        x = F.relu(F.max_pool3d(self.conv2_norm(self.conv2(x)), 3, 2, 1))
        x = self.dropout(F.relu(self.fc1(x.flatten(1))))
        x = self.dropout(F.relu(self.fc2(x)))
        score: Tensor = self.out(x) + self.baseline
        return score if self.readout is None else score + self.linear_path(features)

    def linear_path(self, features: Tensor) -> Tensor:
        """Points that the lines add, (B, D, T', H', W') -> (B, O)."""
        if self.readout is None:
            return features.new_zeros(len(features), len(self.baseline))
        line = features.flatten(1) @ self.readout.flatten(1).T
        return line if self.other is None else line + self.other(features)


class OtherKind(nn.Module):
    """What clips of another kind get beside the readout: the difference to a line of their own.

        (B, D, T', H', W') -> σ(gate · features − threshold) · (difference · features + constant)

    The gate is 0 for clips of the kind that the readout is for, 1 for those of the other kind. A
    blank fragment tells nothing of the kind: it is the others that decide.   [Jacobs91]
    """

    def __init__(self, outputs: int, feature_shape: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.difference = nn.Parameter(torch.zeros(outputs, *feature_shape))
        """(O, D, T', H', W') points a unit of a feature."""
        self.constant = nn.Parameter(torch.zeros(outputs))
        """(O,) points."""
        self.gate = nn.Parameter(torch.zeros(feature_shape))
        self.threshold = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        flat = features.flatten(1)
        share = torch.sigmoid(flat @ self.gate.flatten() - self.threshold)  # (B,)
        return share[:, None] * (flat @ self.difference.flatten(1).T + self.constant)


class FragmentNetwork(nn.Module):
    """K extractors with weights of their own, and the head.   [Li18 §3, Fig. 1]

    Fragments (B, K, L, H, W, 3) uint8 -> scores (B, O) in points. The same clip gives the same
    score alone and in any batch once the module is in evaluation mode.
    """

    mean: Tensor

    def __init__(self, network: NetworkSpec, clip: ClipSpec) -> None:
        super().__init__()
        self.network_spec, self.clip_spec = network, clip
        self.used = network.used(clip)
        self.extractors = nn.ModuleList(
            C3DExtractor(network.width, network.normalisation) for _ in self.used
        )
        self.head = Head(network, self.feature_shape)
        self.register_buffer("mean", torch.tensor(clip.mean).view(3, 1, 1, 1))
        self.apply(initialise)

    @property
    def fragment_feature_shape(self) -> tuple[int, int, int, int]:
        """(D, T', H', W') of one fragment's features; 512×1×4×4 for 16 frames of 112×112."""
        time = self.clip_spec.fragment_length // 16
        height, width = (size // 16 // 2 + 1 for size in self.clip_spec.crop)  # pool5 pads by 1
        return scaled(512, self.network_spec.width), time, height, width

    @property
    def feature_shape(self) -> tuple[int, int, int, int]:
        """(D, K·T', H', W') of the whole clip's features."""
        channels, time, height, width = self.fragment_feature_shape
        return channels, len(self.used) * time, height, width

    def extract(self, index: int, fragments: Tensor) -> Tensor:
        """Features of one fragment of every clip: (B, L, H, W, 3) uint8 -> (B, D, T', H', W').

        `index` counts the extractors, 0…len(used) − 1.
        """
        x = fragments.permute(0, 4, 1, 2, 3).to(self.mean.dtype) - self.mean  # (B, 3, L, H, W)
        features: Tensor = self.extractors[index](x)
        return features

    def features(self, fragments: Tensor) -> Tensor:
        """(B, K, L, H, W, 3) uint8 -> (B, D, K·T', H', W'), joined along time."""
        return torch.cat([self.extract(i, fragments[:, k]) for i, k in enumerate(self.used)], dim=2)

    def blank_features(self) -> Tensor:
        """What each extractor makes of a black fragment: (K, D, T', H', W'), K = len(used)."""
        length, picture = self.clip_spec.fragment_length, self.clip_spec.crop
        black = torch.zeros(1, length, *picture, 3, dtype=torch.uint8, device=self.mean.device)
        return torch.cat([self.extract(i, black) for i in range(len(self.used))])

    def forward(self, fragments: Tensor) -> Tensor:
        score: Tensor = self.head(self.features(fragments))
        return score

    def folded(self) -> "FragmentNetwork":
        """A copy in evaluation mode with batch normalisation folded into the convolutions."""
        spec = dataclasses.replace(self.network_spec, normalisation="none")
        weights = {
            name: value.clone() for name, value in self.state_dict().items() if "_norm." not in name
        }
        for name, module in self.named_modules():
            if isinstance(module, nn.BatchNorm3d):
                conv, norm = name.removesuffix("_norm"), module.state_dict()
                weights[f"{conv}.weight"], weights[f"{conv}.bias"] = fuse_conv_bn_weights(
                    weights[f"{conv}.weight"],
                    weights[f"{conv}.bias"],
                    norm["running_mean"],
                    norm["running_var"],
                    module.eps,
                    norm["weight"],
                    norm["bias"],
                )
        with torch.device("meta"):  # random weights would be drawn in vain, and change the seed
            folded = FragmentNetwork(spec, self.clip_spec)
        folded.load_state_dict(weights, assign=True)
        return folded.eval().requires_grad_(False)


def scaled(channels: int, width: float) -> int:
    """Channels at a width factor, at least 1."""
    return max(1, round(channels * width))


def norm_layer(normalisation: Normalisation, channels: int) -> nn.Module:
    return nn.BatchNorm3d(channels) if normalisation == "batch" else nn.Identity()


def initialise(module: nn.Module) -> None:
    """He initialisation; conv1a, whose input is 0–255 and not of unit variance, made for it."""
    if isinstance(module, (nn.Conv3d, nn.Linear)) and not module.weight.is_meta:
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, C3DExtractor):
        with torch.no_grad():
            module.get_parameter("conv1a.weight").mul_(1 / 64)  # pixels spread by about 64
