"""`python -m training baseline`: each method from the shell, on clips whose score is to be seen."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

from model_store.card import ClipsCard
from model_store.clip import cut, load_clip
from model_store.network import FragmentNetwork
from model_store.network_spec import COMPACT, PAPER
from model_store.spec import VAULT
from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.training.bright import SHORT_ACTION
from tests.training.command_line import call, error_message, succeed
from training.data.datasets.annotations import JudgedClip, read_annotations
from training.learn.extractor_file import read_extractor, write_extractor
from training.paper.baselines import lstm
from training.paper.baselines.fragments import Extraction, Fragments
from training.paper.baselines.prepared import PreparedClips

SPEC = VAULT.with_size((32, 32), (32, 32))


@pytest.fixture(scope="module")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained one: brightness shows in its features all the same."""
    torch.manual_seed(0)
    network = FragmentNetwork(dataclasses.replace(COMPACT, fragments_used=(0,)), SPEC)
    file = tmp_path_factory.mktemp("extractor") / "extractor.safetensors"
    weights = network.extractors[0].state_dict()
    fc6 = nn.Linear(math.prod(network.fragment_feature_shape), 24).state_dict()
    weights |= {f"fc6.{part}": value for part, value in fc6.items()}
    write_extractor(file, weights, SPEC, clips=ClipsCard.of())
    return file


@pytest.fixture
def without_fc6(extractor: Path, tmp_path: Path) -> Path:
    file = tmp_path / "without.safetensors"
    write_extractor(file, read_extractor(extractor), SPEC, clips=ClipsCard.of())
    return file


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def write_poses(folder: Path, clips: list[JudgedClip]) -> None:
    """The better the clip, the wider the arms swing."""
    folder.mkdir()
    for clip in clips:
        people = []
        for frame in range(30):
            keypoints = np.zeros((17, 3))
            keypoints[:, 2] = 2
            keypoints[9, 0] = clip.score * np.sin(frame / 3)
            people.append({"image_id": frame, "keypoints": keypoints.ravel().tolist()})
        (folder / f"{clip.path.stem}.json").write_text(json.dumps(people))


@pytest.mark.parametrize(
    "method", ["c3d-svr", "c3d-lstm", "c3d-pool5-svr", "c3d-pool5-lstm", "pose-dct"]
)
def test_each_method_learns_and_reports(
    method: str,
    bright: Path,
    extractor: Path,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lstm, "HIDDEN", 64)
    action = tmp_path / "short.toml"
    action.write_text(SHORT_ACTION)
    of_extractor = ["--extractor", extractor, "--action", action, "--resize", "32x32"]
    figures, poses = tmp_path / "figures.json", tmp_path / "poses"
    clips = read_annotations(bright)
    write_poses(poses, clips)
    source = ["--poses", poses] if method == "pose-dct" else of_extractor
    output = succeed(
        "baseline", "--method", method, "--data", bright, *source, "--json", figures,
        "--cache", cache,
    )  # fmt: skip
    measured = json.loads(figures.read_text())
    assert measured["method"] == method
    assert measured["data"] == [str(bright)]
    assert (measured["train_clips"], measured["clips"]) == (60, 12)
    judged, predicted = (np.array(measured["scores"][name]) for name in ("judged", "predicted"))
    assert judged.tolist() == [clip.score for clip in clips if clip.split == "test"]
    assert measured["spearman"] == pytest.approx(spearmanr(predicted, judged).statistic)
    assert measured["mean_distance"] == pytest.approx(np.abs(predicted - judged).mean())
    assert measured["spearman"] > 0.8
    assert measured["mean_distance"] < 0.6 * measured["training_mean"]["mean_distance"]
    assert f"{measured['spearman']:.4f}" in output


def described(extraction: Extraction, clips: list[JudgedClip], cache: Path) -> Fragments:
    prepared = PreparedClips.of([clips], extraction.spec, cache, lambda *_: None)
    return extraction.of_clips(prepared, lambda *_: None)


def expected(
    network: FragmentNetwork, clip: JudgedClip, extractor_of: dict[int, int]
) -> torch.Tensor:
    """(K, P) of one clip, each fragment k by the extractor `extractor_of` names for it."""
    cuts = cut(torch.from_numpy(load_clip(clip.path, SPEC))[None], SPEC)
    with torch.no_grad():
        features = [network.extract(i, cuts[:, k]) for k, i in extractor_of.items()]
    return torch.cat(features).flatten(1)


def assert_close(features: NDArray[np.float32], wanted: Tensor) -> None:
    scale = float(wanted.abs().max())  # the device may compute in bfloat16
    np.testing.assert_allclose(features, wanted, atol=0.03 * scale)


def test_a_file_describes_all_fragments(bright: Path, extractor: Path, tmp_path: Path) -> None:
    clips = read_annotations(bright)[:2]
    fragments = described(Extraction.of_file(extractor, COMPACT, SPEC), clips, tmp_path)
    network = FragmentNetwork(dataclasses.replace(COMPACT, fragments_used=(0,)), SPEC).eval()
    network.extractors[0].load_state_dict(read_extractor(extractor))
    for n, clip in enumerate(clips):
        assert_close(fragments.features[n], expected(network, clip, dict.fromkeys(range(6), 0)))
    assert fragments.shown[0].tolist() == [True, True, True, False, False, False]  # 36 frames


@pytest.mark.parametrize("used", [None, (1, 2, 4)])
def test_a_checkpoint_describes_each_fragment_by_its_own_extractor(
    bright: Path, tmp_path: Path, used: tuple[int, ...] | None
) -> None:
    torch.manual_seed(1)
    network = FragmentNetwork(dataclasses.replace(COMPACT, fragments_used=used), SPEC).eval()
    clips = read_annotations(bright)[:9]  # more than one batch
    fragments = described(Extraction.of_network(network), clips, tmp_path)
    own = {k: i for i, k in enumerate(network.used)}
    assert fragments.features.shape[:2] == fragments.shown.shape == (9, len(own))
    for n, clip in enumerate(clips):
        assert_close(fragments.features[n], expected(network, clip, own))
    assert fragments.shown[0].tolist() == [k < 3 for k in own]


def test_the_command_takes_the_extractors_of_a_checkpoint(bright: Path, tmp_path: Path) -> None:
    publish_tiny(Store(tmp_path), "vault", used=(0, 1))
    succeed(
        "baseline", "--method", "c3d-pool5-svr", "--data", bright, "--checkpoint", "vault",
        "--store", tmp_path, "--json", tmp_path / "figures.json",
    )  # fmt: skip
    assert json.loads((tmp_path / "figures.json").read_text())["features"] == "vault"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "c3d-svr"], "give --extractor FILE"),
        (["--method", "c3d-pool5-svr"], "give --checkpoint NAME or --extractor FILE"),
        (["--method", "c3d-lstm", "--checkpoint", "x"], "or take c3d-pool5-lstm"),
        (["--method", "pose-dct"], "need --poses FOLDER"),
        (["--method", "c3d-lstm", "--extractor", "none"], "not an extractor's file"),
        (["--method", "c3d-lstm", "--extractor", "none", "--checkpoint", "x"], "either"),
        (["--method", "c3d-pool5-svr", "--checkpoint", "none"], "no checkpoint"),
    ],
)
def test_what_cannot_be_done_is_said(bright: Path, options: list[str], message: str) -> None:
    assert message in error_message(call("baseline", "--data", bright, *options))


class PublishedC3D(nn.Module):
    """Written out as its publishers have it, with fewer channels and values of fc6."""

    def __init__(self) -> None:
        super().__init__()
        whole, half = nn.MaxPool3d((1, 2, 2), (1, 2, 2)), nn.MaxPool3d((2, 2, 2), (2, 2, 2))
        pool5 = nn.MaxPool3d((2, 2, 2), (2, 2, 2), padding=(0, 1, 1))
        self.conv1 = nn.Conv3d(3, 2, (3, 3, 3), padding=(1, 1, 1))
        self.conv2 = nn.Conv3d(2, 4, (3, 3, 3), padding=(1, 1, 1))
        self.conv3a = nn.Conv3d(4, 8, (3, 3, 3), padding=(1, 1, 1))
        self.conv3b = nn.Conv3d(8, 8, (3, 3, 3), padding=(1, 1, 1))
        self.conv4a = nn.Conv3d(8, 16, (3, 3, 3), padding=(1, 1, 1))
        self.conv4b = nn.Conv3d(16, 16, (3, 3, 3), padding=(1, 1, 1))
        self.conv5a = nn.Conv3d(16, 16, (3, 3, 3), padding=(1, 1, 1))
        self.conv5b = nn.Conv3d(16, 16, (3, 3, 3), padding=(1, 1, 1))
        self.fc6 = nn.Linear(16 * 4 * 4, 24)
        self.whole = nn.Sequential(
            self.conv1, nn.ReLU(), whole, self.conv2, nn.ReLU(), half,
            self.conv3a, nn.ReLU(), self.conv3b, nn.ReLU(), half,
            self.conv4a, nn.ReLU(), self.conv4b, nn.ReLU(), half,
            self.conv5a, nn.ReLU(), self.conv5b, nn.ReLU(), pool5,
            nn.Flatten(), self.fc6, nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 16, 112, 112) -> (B, 24)"""
        features: Tensor = self.whole(x)
        return features


@pytest.mark.parametrize(("length", "parts"), [(16, 2), (32, 3)])
def test_fc6_is_that_of_the_published_network(
    bright: Path, tmp_path: Path, length: int, parts: int
) -> None:
    """Of every 16 frames, also where the action's fragments are longer (skating)."""
    torch.manual_seed(3)
    published = PublishedC3D().eval()
    spec = dataclasses.replace(
        VAULT, frames=36 if length == 16 else 52, fragments=1, fragment_length=length, start=0
    )
    weights = {
        {"conv1": "conv1a", "conv2": "conv2a"}.get(name.split(".")[0], name.split(".")[0])
        + f".{name.split('.')[1]}": value
        for name, value in published.state_dict().items()
        if not name.startswith("whole")
    }
    file = tmp_path / "extractor.safetensors"
    write_extractor(file, weights, spec, clips=ClipsCard.of())
    network = dataclasses.replace(PAPER, width=1 / 32)
    clips = read_annotations(bright)[:3]
    fragments = described(Extraction.by_fc6(file, network, spec), clips, tmp_path)
    assert fragments.features.shape == (3, parts, 24)
    assert fragments.shown.tolist() == [[True, True, True][:parts]] * 3
    mean = torch.tensor(spec.mean).view(3, 1, 1, 1)
    for clip, features in zip(clips, fragments.features, strict=True):
        frames = torch.from_numpy(load_clip(clip.path, spec)).permute(3, 0, 1, 2) - mean
        cuts = torch.stack([frames[:, 16 * k : 16 * (k + 1)] for k in range(parts)])
        with torch.no_grad():
            wanted = published(cuts)
        assert (wanted > 0).any()
        assert (wanted == 0).any()
        assert_close(features, wanted)


def test_what_has_no_fc6_of_this_size_is_named(
    bright: Path, extractor: Path, without_fc6: Path
) -> None:
    words = ("baseline", "--method", "c3d-svr", "--data", bright, "--action", "vault")
    output = error_message(call(*words, "--extractor", without_fc6, "--resize", "32x32"))
    assert "has the convolutions conv1a … conv5b and no fc6" in " ".join(output.split())
    output = error_message(call(*words, "--extractor", extractor, "--resize", "64x64"))
    wanted = "has an fc6 of 256 values, pool5 of 64×64 pixels has 576"
    assert wanted in " ".join(output.split())


def test_too_few_clips(tmp_path: Path, bright: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = "".join(f"{i}.mp4,{'test' if i else 'train'},{i}\n" for i in range(4))
    (data / "annotations.csv").write_text("clip,split,score\n" + rows)
    for i in range(4):
        (data / f"{i}.mp4").write_bytes(b"%d" % i)
    output = error_message(call("baseline", "--method", "pose-dct", "--data", data))
    assert "1 clips to learn from, need at least 8" in output
