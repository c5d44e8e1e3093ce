"""`pretrain --keep`: it learns from one kind of clips, and what it sees of another stays."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from model_store.network import C3DExtractor, FragmentNetwork
from model_store.spec import VAULT
from tests.training.bright import TINY, Quiet
from tests.training.pretraining.test_pretrain import CopyingBar, RecordingBar
from training.data.augment import Augmentation
from training.data.clip_dataset import open_dataset
from training.errors import RunError
from training.learn.extractor_file import extractor_clips, read_extractor
from training.learn.forward import Device
from training.learn.run_folder import RunFolder
from training.pretraining.kept_features import FirstFeatures, KeptClips
from training.pretraining.pretext_tasks import TrackRegression
from training.pretraining.pretrain import Pretrainer
from training.pretraining.pretrain_spec import PretrainSpec
from training.pretraining.pretraining_run import pretrain_extractor
from training.simulator.dataset import write_dataset

SPEC = dataclasses.replace(VAULT, resize=(32, 32), crop=(32, 32))
NETWORK = dataclasses.replace(TINY, head_channels=(4, 4), head_hidden=(8, 8))

pytestmark = pytest.mark.usefixtures("few_fragments_validate")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("others")
    write_dataset("vault", 6, 77, folder, test_share=0.0, workers=1)
    return folder


@pytest.fixture(scope="module")
def start(six_vaults: Path, tmp_path_factory: pytest.TempPathFactory) -> PretrainSpec:
    return PretrainSpec(
        data=(str(six_vaults),),
        clip=SPEC,
        network=NETWORK,
        steps=60,
        batch=8,
        rate=3e-3,
        validation=0.25,
    )


@pytest.fixture(scope="module")
def begun(start: PretrainSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrain_extractor(start, tmp_path_factory.mktemp("start"))


@pytest.fixture
def spec(start: PretrainSpec, begun: Path, others: Path) -> PretrainSpec:
    return dataclasses.replace(
        start, seed=1, steps=40, rate=1e-3, extractor=str(begun), keep=(str(others),), keep_batch=6
    )


def seen_of(folder: Path, extractor: Path) -> torch.Tensor:
    """(N, …): features of the first frames of a folder's clips, by the network as it scores."""
    clips = open_dataset((str(folder),), SPEC, validation=0.25).cache
    network = FragmentNetwork(NETWORK, SPEC).eval()
    network.extractors[0].load_state_dict(read_extractor(extractor))
    frames = np.stack([clips.decoded(n)[: SPEC.fragment_length] for n in range(len(clips.lengths))])
    pixels = torch.from_numpy(frames).permute(0, 4, 1, 2, 3).float() - network.mean
    with torch.no_grad():
        features: torch.Tensor = network.extractors[0](pixels)
    return features


def test_what_it_sees_of_kept_clips_stays(spec: PretrainSpec, others: Path, tmp_path: Path) -> None:
    assert spec.extractor is not None
    before = seen_of(others, Path(spec.extractor))
    changes = {}
    for weight in (0.0, 30.0):
        run = dataclasses.replace(spec, keep_weight=weight)
        extractor = pretrain_extractor(run, tmp_path / f"run-{weight}")
        now = seen_of(others, extractor)
        changes[weight] = float((now - before).square().mean() / before.var(dim=0).mean())
        log = (extractor.parent / "log.csv").read_text().splitlines()
        assert log[0] == "step,loss,rate,change"
        errors = [float(line.split(",")[1]) for line in log[1:]]
        assert np.mean(errors[-10:]) < 0.95 * errors[0]  # it learns all the same
    assert changes[0.0] > 0.05
    assert changes[30.0] < 0.2 * changes[0.0]


def test_the_change_of_features_is_a_share_of_their_variance() -> None:
    torch.manual_seed(0)
    network = FragmentNetwork(NETWORK, SPEC)
    device = Device("cpu", torch.float32)
    extractor = network.extractors[0].eval()
    assert isinstance(extractor, C3DExtractor)
    first = FirstFeatures.of(extractor, network.mean, device)
    fragments = torch.randint(0, 256, (5, SPEC.fragment_length, 32, 32, 3), dtype=torch.uint8)
    with torch.no_grad():
        seen = extractor(fragments.permute(0, 4, 1, 2, 3).float() - network.mean)
    assert float(first.change(seen, fragments)) == pytest.approx(0, abs=1e-9)
    values = seen.flatten(1).numpy()
    mean = seen.mean(dim=0, keepdim=True).expand_as(seen)
    assert float(first.change(mean, fragments)) == pytest.approx(1, rel=1e-4)
    wanted = np.mean(0.01**2) / values.var(axis=0).mean()
    assert float(first.change(seen + 0.01, fragments)) == pytest.approx(wanted, rel=1e-3)
    for parameter in extractor.parameters():  # what it began with does not follow
        parameter.data.zero_()
    assert float(first.change(seen, fragments)) == pytest.approx(0, abs=1e-9)


def test_kept_clips_are_fragments_of_their_own_side(others: Path) -> None:
    dataset = open_dataset((str(others),), SPEC, validation=0.25)
    kept = KeptClips(dataset)
    assert not {*dataset.training} & {*dataset.validation}
    clip = int(dataset.validation[0])
    (fragment,) = kept.batch(np.array([clip]), np.random.default_rng(0), Augmentation()).numpy()
    whole = dataset.cache.decoded(clip)
    assert any(
        np.array_equal(fragment, whole[n : n + len(fragment)])
        for n in range(len(whole) - len(fragment) + 1)
    )


def test_it_goes_on_after_a_kill_says_what_is_kept_and_lists_no_kept_clip(
    spec: PretrainSpec, begun: Path, tmp_path: Path
) -> None:
    def run(path: Path, bar: Quiet, **options: float) -> Path:
        folder = RunFolder(path)
        folder.open(spec.to_json())
        own, others = (
            open_dataset(folders, SPEC, validation=spec.validation)
            for folders in (spec.data, spec.keep)
        )
        task, kept = TrackRegression(own, spec.seed), KeptClips(others)
        return Pretrainer(spec, task, folder, kept=kept, **options).train(bar)

    spec = dataclasses.replace(spec, steps=50)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    bar = CopyingBar(whole, killed)
    extractor = run(whole, bar, save_every=0.0)
    assert run(killed, RecordingBar()).read_bytes() == extractor.read_bytes()
    assert (killed / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()
    line, number = bar.lines[-1].split("kept ")
    assert line.startswith("step 50: R² of state ")
    assert 0.5 < float(number) < 1

    first = read_extractor(begun)
    for name, value in read_extractor(extractor).items():
        stays = "running" in name or "tracked" in name
        assert torch.equal(value, first[name]) == stays, name
    seen = extractor_clips(extractor)
    hashes = open_dataset(spec.keep, SPEC, validation=0.0).hashes
    assert not {*seen.training, *seen.validation} & {*hashes}


def test_a_run_of_other_kept_clips_is_another_run(
    spec: PretrainSpec, others: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "others"
    folder.mkdir()
    for path in others.iterdir():
        (folder / path.name).symlink_to(path)
    spec = dataclasses.replace(spec, keep=(str(folder),), steps=2)
    cache = tmp_path / "cache"
    pretrain_extractor(spec, tmp_path / "run", cache=cache)
    table = folder / "annotations.csv"
    rows = table.read_text().splitlines()
    table.unlink()
    table.write_text("\n".join(rows[:-1]) + "\n")
    with pytest.raises(RunError, match=r"a run of other data, .*00005.mp4 is missing"):
        pretrain_extractor(spec, tmp_path / "run", cache=cache)


def test_there_must_be_an_extractor_whose_features_are_kept(spec: PretrainSpec) -> None:
    with pytest.raises(RunError, match="--keep needs an --extractor"):
        dataclasses.replace(spec, extractor=None)
