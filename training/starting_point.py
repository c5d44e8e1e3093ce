"""
Where training begins: the base brought to the clips' scores, and what can be had without training.

A base that was taught other scores keeps its order and gets the scale of these. Beside it stands a
ridge regression on what the extractors see already: a training that does not beat it is not worth
its time.
"""

import numpy as np
import torch
from torch import Tensor

from training.display import warn
from training.forward import evaluating
from training.frozen_features import FrozenFeatures
from training.readout import Readout, Rows, enough, fit, rescaled, too_few
from training.trainee import Trainee

SCORED = 256  # clips a batch of the head


def begin(trainee: Trainee, frozen: FrozenFeatures) -> dict[str, Tensor]:
    """Put the run's starting point into its head; by name, what was to be had there.

    `ridge` is the regression, `base` the base on the clips' scale, `readout` both together: their
    predictions for the validation clips, (n,) points. Raises DataError for too few clips
    to begin without a base.
    """
    run, material = trainee.run, trainee.material
    rows, blank = rows_of(trainee, frozen), frozen.blank.mean(dim=(2, 3, 4)).double().numpy()
    fresh = rows.of(material.fresh)
    learnt = fresh if enough(fresh) else rows.of(material.training)
    found: dict[str, Readout] = {}
    if run.has_base_head:
        found["base"] = rescaled(learnt)
    if enough(learnt) or (run.readout and not run.has_base_head):
        found["ridge"] = fit(learnt, blank, listen=False)
    if run.readout and run.has_base_head and enough(fresh):
        found["readout"] = fit(fresh, blank)
    elif run.readout and run.has_base_head:
        warn(
            f"{too_few(fresh)}, of clips that the base has not seen: it is brought to the scale of"
            " these scores, and nothing more"
        )
        found["readout"] = found["base"]
    elif run.readout:
        found["readout"] = found["ridge"]
    start = found.get("readout") or found.get("base")
    if start is not None:
        start.put_into(trainee.network.head)
    held = rows.of(material.validation)
    return {
        name: torch.from_numpy(line.predict(held.features[0], held.head[0]))
        for name, line in found.items()
    }


def rows_of(trainee: Trainee, frozen: FrozenFeatures) -> Rows:
    """All clips in all variants, with what the run wants of them."""
    material, every = trainee.material, np.arange(len(trainee.material.clips))
    with evaluating(trainee.network):
        heard = [
            torch.cat(
                [
                    trainee.score(some.to(trainee.device.kind)).cpu()
                    for some in torch.split(variant, SCORED)
                ]
            )
            for variant in frozen.features
        ]
    wanted = [
        trainee.wanted(every, starts, shown).cpu()
        for starts, shown in zip(frozen.starts, frozen.shown, strict=True)
    ]
    return Rows(
        features=frozen.pooled.double().numpy(),
        shown=frozen.shown[..., list(trainee.network.used)],
        head=torch.stack(heard).double().numpy(),
        judged=torch.stack(wanted).double().numpy(),
        groups=material.unit,
    )
