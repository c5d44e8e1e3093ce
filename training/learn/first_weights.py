"""
The weights that a run begins with: random ones, those of an extractor's file, or a checkpoint's.
"""

from pathlib import Path

import torch

from model_store.checkpoint import Checkpoint
from model_store.network import FragmentNetwork
from model_store.network_spec import Output
from training.data.clip_dataset import ClipDataset
from training.data.targets import TargetScale
from training.errors import RunError
from training.learn.auxiliary import AuxiliaryHeads
from training.learn.extractor_file import read_extractor
from training.learn.learner import Learner, Phase
from training.learn.run_spec import RunSpec
from training.learn.tied import tie

READOUT = "head.readout"
OTHER_KIND = ("head.other.difference", "head.other.constant")
OF_OUTPUTS = ("head.out.weight", "head.out.bias", "head.baseline", READOUT, *OTHER_KIND)
"""What has a row for each output."""
OUTPUT_SCALE = 0.5  # of the scores' deviation: how far the first predictions stray


def new_network(
    run: RunSpec, dataset: ClipDataset, base: Checkpoint | None = None
) -> FragmentNetwork:
    """Initialised by the run's seed, around the means of the training clips or 0; or as `base`.

    The extractors of a tied run are one from the start, as nothing changes them before the whole
    phase: random ones become the first of them, a base's their mean. Raises RunError for an
    extractor or a base of another network.
    """
    torch.manual_seed(run.seed)
    network = FragmentNetwork(run.network, run.clip)
    if run.from_mean:
        network.head.baseline.copy_(torch.from_numpy(dataset.means))
    with torch.no_grad():
        # Each of two dropouts divides what it keeps by its share, and so raises the variance by it.
        kept = 1 - run.network.dropout
        strays = torch.from_numpy(OUTPUT_SCALE * dataset.deviations * kept)
        network.head.out.weight.mul_(strays[:, None])
    if run.extractor is not None:
        load_extractor(network, Path(run.extractor))
    if base is not None:
        load_base(network, base, new_head=run.new_head)
    if run.tied and run.epochs:
        if base is None:
            for extractor in network.extractors:
                extractor.load_state_dict(network.extractors[0].state_dict())
        tie(network)
    return network


def load_base(network: FragmentNetwork, base: Checkpoint, *, new_head: bool = False) -> None:
    """Begin with the weights of a published checkpoint, or of its extractors.   Raises RunError.

    Where only the network has a linear path beside the head's layers, it begins at 0. An output
    that only the network has begins as the base's first one, in the unit of that.
    """
    name = base.reference
    if base.spec != network.clip_spec:
        raise RunError(f"{name} sees clips of {base.spec}, the run {network.clip_spec}")
    try:
        if new_head:
            theirs = dict(zip(base.network.used, base.network.extractors, strict=True))
            for k, extractor in zip(network.used, network.extractors, strict=True):
                extractor.load_state_dict(theirs[k].state_dict())
        else:
            weights = base.network.state_dict()
            if network.head.readout is not None:
                shape = (len(base.card.network.outputs), *network.head.readout.shape[1:])
                weights.setdefault(READOUT, torch.zeros(shape))
            rows = rows_of_base(base.card.network.outputs, network.network_spec.outputs)
            weights |= {name: weights[name][rows] for name in OF_OUTPUTS if name in weights}
            network.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        raise RunError(f"{name} is another network: {error}") from error


def rows_of_base(theirs: tuple[Output, ...], ours: tuple[Output, ...]) -> list[int]:
    """For each output of ours the one of theirs that it begins as: of the same name, or first."""
    return [theirs.index(output) if output in theirs else 0 for output in ours]


def load_extractor(network: FragmentNetwork, path: Path) -> None:
    """Copy one pre-trained extractor into every fragment.   Raises RunError."""
    weights = read_extractor(path)
    try:
        for extractor in network.extractors:
            extractor.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(f"{path} is not an extractor of this network: {error}") from error


def new_auxiliary(
    run: RunSpec, dataset: ClipDataset, network: FragmentNetwork
) -> AuxiliaryHeads | None:
    if not run.auxiliary:
        return None
    torch.manual_seed(run.seed + 1)
    scale = TargetScale.measure(dataset.targets, dataset.training, run.seed)
    return AuxiliaryHeads(len(network.used), network.fragment_feature_shape, scale)


def bring_to_scale(learner: Learner, phase: Phase) -> None:
    """Make the first predictions stray no further from their mean than what is to be predicted.

    Without normalisation random extractors can raise what passes through them a hundredfold, and a
    head that was made for inputs of unit variance with it. Measured on the first micro-batch.
    """
    network, head = learner.network, learner.network.head
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    torch.manual_seed(learner.run.seed)
    with torch.no_grad():
        predicted = learner.score(phase.features(next(phase.micro_batches(0, 0))))
        predicted = phase.processes.gather(predicted)
        for name, buffer in network.named_buffers():  # running statistics have followed
            buffer.copy_(before[name])
        stray = (predicted - head.baseline).square().mean(dim=0).sqrt()  # (O,)
        deviations = torch.from_numpy(learner.dataset.deviations).to(stray)
        factor = torch.where(stray > deviations, OUTPUT_SCALE * deviations / stray, 1.0)
        head.out.weight.mul_(factor[:, None])
        head.out.bias.mul_(factor)
