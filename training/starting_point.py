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
from training.errors import DataError
from training.forward import evaluating
from training.frozen_features import FrozenFeatures
from training.readout import FEWEST, Readout, Rows, fit, rescaled
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
    learnt, fresh = rows.of(material.training), rows.of(material.fresh)
    found: dict[str, Readout] = {}
    if run.has_base_head:
        found["base"] = rescaled(fresh if len(fresh.groups) >= FEWEST else learnt)
    try:
        found["ridge"] = fit(learnt, blank, listen=False)
        if run.readout:
            found["readout"] = fit(fresh, blank) if run.has_base_head else found["ridge"]
    except DataError as error:
        if run.readout:
            if not run.has_base_head:
                raise
            seen = len(learnt.groups) - len(fresh.groups)
            besides = f" ({seen} that the base has seen do not count)" if seen else ""
            warn(f"{error}{besides}: the base is brought to the scale of these scores, no more")
            found["readout"] = found["base"]
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
