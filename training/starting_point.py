"""
Where training begins: the base brought to the clips' scores, and what can be had without training.

A base that was taught other scores keeps its order and gets the scale of these. Beside it stands a
ridge regression on what the extractors see already: a training that does not beat it is not worth
its time.
"""

import numpy as np
import torch

from training.display import warn
from training.errors import DataError
from training.forward import evaluating
from training.frozen_features import FrozenFeatures
from training.readout import Readout, Rows, fit, rescaled
from training.trainee import Trainee
from training.validation import Figures, agreement

SCORED = 256  # clips a batch of the head


def begin(trainee: Trainee, frozen: FrozenFeatures) -> dict[str, Figures]:
    """Put the run's starting point into its head; figures by name of what was to be had there.

    `ridge` is the regression, `base` the base on the clips' scale, `readout` both together. They
    are of the validation clips, and empty where none are kept. Raises DataError for too few clips
    to begin without a base.
    """
    run = trainee.run
    rows, blank = rows_of(trainee, frozen), frozen.blank.mean(dim=(2, 3, 4)).double().numpy()
    learnt = rows.of(trainee.material.training)
    found: dict[str, Readout] = {}
    if run.has_base_head:
        found["base"] = rescaled(learnt)
    try:
        found["ridge"] = fit(learnt, blank, listen=False)
        if run.readout:
            found["readout"] = fit(learnt, blank, listen=None if run.has_base_head else False)
    except DataError as error:
        if run.readout and not run.has_base_head:
            raise
        if run.readout:
            warn(f"{error}: the base is brought to the scale of these scores, and nothing more")
            found["readout"] = found["base"]
    start = found.get("readout") or found.get("base")
    if start is not None:
        start.put_into(trainee.network.head)
    held = rows.of(trainee.material.validation, variants=1)
    return {
        name: agreement(line.predict(held.features, held.head), trainee.material)
        for name, line in found.items()
        if len(held.judged)
    }


def rows_of(trainee: Trainee, frozen: FrozenFeatures) -> Rows:
    """All clips in all variants, variant by variant."""
    variants, clips = frozen.starts.shape
    material, used = trainee.material, list(trainee.network.used)
    with evaluating(trainee.network):
        heard = [
            trainee.score(some.to(trainee.device.kind)).cpu()
            for variant in frozen.features
            for some in torch.split(variant, SCORED)
        ]
    return Rows(
        features=frozen.pooled.flatten(0, 1).double().numpy(),
        shown=frozen.shown[..., used].reshape(variants * clips, -1),
        head=torch.cat(heard).double().numpy(),
        judged=np.tile(material.judged.astype(np.float64), variants),
        groups=np.tile(material.unit, variants),
        clips=np.tile(np.arange(clips), variants),
    )
