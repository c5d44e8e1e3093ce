"""
The split of a data set that comes without one, and grows.

The rule: on which side a clip is depends on its group, or else on its bytes, and on nothing else,
so that new clips move no old one across. It is drawn apart from the validation clips of a run,
which `data/split.py` draws by the same places: else no clip would be left for these.
"""

import hashlib

from training.data.datasets.annotations import Split

TEST_SHARE = 0.2


def place_of(unit: str) -> float:
    """0…1, evenly spread over units: clips that stay on one side of every split."""
    return int(hashlib.sha256(unit.encode()).hexdigest()[:13], 16) / 16**13


def drawn_split(sha256: str, group: str | None) -> Split:
    """Of a clip, by the hash of its bytes, or its group where it has one."""
    unit = f"clip {sha256}" if group is None else f"a group {group}"
    return "test" if place_of(f"the split of {unit}") < TEST_SHARE else "train"
