"""
Where training begins: the base brought to the scale of the clips' scores, and a linear readout.

Each output of the network gets a line of its own, from the head's prediction and from features. A
base that was trained on other scores keeps its order and gets the scale of these. It is compared
with a ridge regression on the features of the extractors: training must beat both to be worth it.
"""

import numpy as np
import torch
from torch import Tensor

from training.data.clip_dataset import ClipDataset
from training.display import warn
from training.learn.forward import evaluating
from training.learn.frozen_features import FrozenFeatures
from training.learn.learner import Learner
from training.learn.other_kind import Gate, TwoLines
from training.learn.readout import (
    Floats,
    Readout,
    Regression,
    Rows,
    enough,
    rescaled,
    too_few,
)
from training.learn.run_spec import RunSpec

Line = Readout | TwoLines

SCORED = 256  # clips a batch of the head


def fit_starting_point(learner: Learner, frozen: FrozenFeatures) -> dict[str, Tensor]:
    """Put the run's starting point into its head; the predictions there by name.

    `ridge` is the regression, `base` the base on the clips' scale, `readout` both together: their
    predictions for the validation clips, (n, O) in the outputs' units. Raises DataError for too
    few clips to begin without a base, or for kinds of clips that look alike.
    """
    run, dataset, head = learner.run, learner.dataset, learner.network.head
    blank = mean_over_frames(frozen.blank).double().numpy()
    found: dict[str, list[Tensor]] = {}
    of_outputs = rows_of(learner, frozen)
    gate = _gate(dataset, of_outputs[0], blank) if run.apart else None
    for output, rows in enumerate(of_outputs):
        if gate is not None:
            lines = _lines_apart(run, dataset, rows, blank, gate)
        else:
            fresh = rows.of(dataset.fresh)
            learnt = fresh if run.has_base_head and enough(fresh) else rows.of(dataset.training)
            lines = _lines(run, fresh, learnt, blank)
            if run.readout and run.has_base_head and not enough(fresh) and not output:
                warn(
                    f"{too_few(fresh)}, of clips that the base has not seen: it is brought to the"
                    " scale of these scores, and nothing more"
                )
        start = lines.get("readout") or lines.get("base")
        if start is not None:
            start.put_into(head, output)
        held = rows.of(dataset.validation)
        for name, line in lines.items():
            predicted = line.predict(held.features[: frozen.views], held.head[: frozen.views])
            found.setdefault(name, []).append(torch.from_numpy(predicted.mean(axis=0)))
    return {name: torch.stack(each, dim=1) for name, each in found.items()}


def _gate(dataset: ClipDataset, rows: Rows, blank: Floats) -> Gate:
    """What tells clips to rehearse from the others; it is the same for all outputs."""
    return Gate.between(rows.of(dataset.training), dataset.rehearsed[dataset.training], blank)


def _lines_apart(
    run: RunSpec, dataset: ClipDataset, rows: Rows, blank: Floats, gate: Gate
) -> dict[str, Line]:
    """Of a run whose clips to rehearse have a line of their own."""
    others = dataset.training[dataset.rehearsed[dataset.training]]
    own, other = (
        Regression.of(rows.of(clips), blank, steadiness=run.steadiness).readout(use_head=False)
        for clips in (dataset.own, others)
    )
    return {"ridge": own, "readout": TwoLines(own, other, gate)}


def _lines(run: RunSpec, fresh: Rows, learnt: Rows, blank: Floats) -> dict[str, Line]:
    """The lines of one output that need no training, by name.

    `fresh` are clips that the base has not seen. `learnt` is the same where there is a head to be
    weighed, since its predictions for clips that taught it are too good, else all training clips.
    """
    found: dict[str, Line] = {}
    if run.has_base_head:
        found["base"] = rescaled(learnt)
    if enough(learnt) or (run.readout and not run.has_base_head):
        regression = Regression.of(learnt, blank, steadiness=run.steadiness)
        found["ridge"] = regression.readout(use_head=False)
        if run.readout and run.has_base_head and enough(fresh):
            found["readout"] = regression.readout()
    if run.readout and "readout" not in found:
        found["readout"] = found["base" if run.has_base_head else "ridge"]
    return found


def rows_of(learner: Learner, frozen: FrozenFeatures) -> list[Rows]:
    """For each output all clips in variants, with what is wanted of them."""
    dataset, every = learner.dataset, np.arange(len(learner.dataset.clips))
    with evaluating(learner.network):
        scored = [
            torch.cat(
                [
                    learner.score(some.to(learner.device.kind)).cpu()
                    for some in torch.split(variant, SCORED)
                ]
            )
            for variant in frozen.features
        ]
    wanted = [
        learner.target_scores(every, starts, shown).cpu()
        for starts, shown in zip(frozen.starts, frozen.shown, strict=True)
    ]
    head = torch.stack(scored).double().numpy()  # (V, N, O)
    judged = dataset.announced.value(torch.stack(wanted).double().numpy(), every)  # (V, N, O)
    features = mean_over_frames(frozen.features).double().numpy()
    shown = frozen.shown[:, :, list(learner.network.used)]
    faulty = dataset.leader != every
    return [
        Rows(
            features=features,
            shown=shown,
            head=head[..., output],
            judged=judged[..., output],
            factor=dataset.announced.factor[:, output].astype(np.float64),
            weight=np.where(dataset.rehearsed, learner.run.rehearsal, 1.0),
            groups=dataset.unit_numbers,
            leader=dataset.leader,
            differences=learner.run.pairs * (dataset.deviation / dataset.pair_costs) ** 2 * faulty,
            kinds=dataset.pair_kinds,
            views=frozen.views,
        )
        for output in range(len(dataset.announced.outputs))
    ]


def mean_over_frames(features: Tensor) -> Tensor:
    """(…, D, T', H', W') -> (…, F), F = D·H'·W': means over a fragment's feature frames."""
    return features.mean(dim=-3).flatten(-3)
