"""`python -m training baseline`: each method from the shell, on clips whose score is to be seen."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy.stats import spearmanr
from torch import Tensor

from model_store.card import ClipsCard
from model_store.clip import cut, load_clip
from model_store.network import FragmentNetwork
from model_store.network_spec import COMPACT
from model_store.spec import VAULT
from model_store.store import Store
from tests.checkpoints import publish_tiny
from tests.training.command_line import call, error_message, succeed
from training.data.datasets.annotations import JudgedClip, read_annotations
from training.learn.extractor_file import write_extractor
from training.paper.baselines import lstm
from training.paper.baselines.fragments import Extraction, Fragments
from training.paper.baselines.prepared import PreparedClips

SPEC = VAULT.with_size((32, 32), (32, 32))
SHORT = """
frames = 36
fragments = 2
fragment_length = 16
fps = 30
stages = []
difficulty_rule = "add"
score_range = [0, 20]
"""  # an action that is over when the clips are


@pytest.fixture(scope="module")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained one: brightness shows in its features all the same."""
    torch.manual_seed(0)
    network = FragmentNetwork(dataclasses.replace(COMPACT, fragments_used=(0,)), SPEC)
    file = tmp_path_factory.mktemp("extractor") / "extractor.safetensors"
    write_extractor(file, network.extractors[0].state_dict(), SPEC, clips=ClipsCard.of())
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


@pytest.mark.parametrize("method", ["c3d-svr", "c3d-lstm", "pose-dct"])
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
    action.write_text(SHORT)
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
    network.extractors[0].load_state_dict(load_file(extractor))
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
        "baseline", "--method", "c3d-svr", "--data", bright, "--checkpoint", "vault",
        "--store", tmp_path, "--json", tmp_path / "figures.json",
    )  # fmt: skip
    assert json.loads((tmp_path / "figures.json").read_text())["features"] == "vault"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "c3d-svr"], "give --checkpoint NAME or --extractor FILE"),
        (["--method", "pose-dct"], "need --poses FOLDER"),
        (["--method", "c3d-lstm", "--extractor", "none"], "not an extractor's file"),
        (["--method", "c3d-lstm", "--extractor", "none", "--checkpoint", "x"], "either"),
        (["--method", "c3d-svr", "--checkpoint", "none"], "no checkpoint"),
    ],
)
def test_what_cannot_be_done_is_said(bright: Path, options: list[str], message: str) -> None:
    assert message in error_message(call("baseline", "--data", bright, *options))


def test_too_few_clips(tmp_path: Path, bright: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = "".join(f"{i}.mp4,{'test' if i else 'train'},{i}\n" for i in range(4))
    (data / "annotations.csv").write_text("clip,split,score\n" + rows)
    for i in range(4):
        (data / f"{i}.mp4").write_bytes(b"%d" % i)
    output = error_message(call("baseline", "--method", "pose-dct", "--data", data))
    assert "1 clips to learn from, need at least 8" in output
