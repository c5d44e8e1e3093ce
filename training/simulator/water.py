"""What a dive does to the water: a little foam at the hands, then the splash of its stage."""

import numpy as np
from numpy.typing import NDArray

from training.simulator.camera import Shot
from training.simulator.diving_motion import SINK
from training.simulator.looks import Pixels
from training.simulator.motion import Motion
from training.simulator.plan import Plan
from training.simulator.seeds import stream
from training.simulator.spray import Spray

ENTRY_FOAM = 0.10  # size of the foam around the hands, before the splash itself


class Water:
    def __init__(self, plan: Plan, motion: Motion) -> None:
        rng = stream(plan.seed, plan.index, "spray")
        self._splash = plan.stage_starts[4]
        self._contact = self._splash - SINK[plan.style]
        place = motion.followed[self._contact] * (1, 0, 1)
        varied = plan.style == "broadcast"
        self._foam = Spray(place, rng, varied=varied)
        self._spray = Spray(place, rng, varied=varied)
        self._size = plan.severities["splash"]

    def draw(self, frame: Pixels, shot: Shot, corner: NDArray[np.int64], t: int) -> None:
        if t >= self._contact:
            self._foam.draw(frame, shot.view, corner, t - self._contact, ENTRY_FOAM)
        if t >= self._splash:
            self._spray.draw(frame, shot.view, corner, t - self._splash + 1, self._size)
