"""
When the stages of a clip begin, as annotations write it.

`0 31 42 88 97` are frames of the file, counted from 0 in the order in which a player shows them;
`0s 1.03s 1.4s 2.93s 3.23s` are seconds on a player's clock. The rule: a list has one unit.
"""

import re
from dataclasses import dataclass
from typing import Literal

FORMS = "frames of the file as 0 31 42, or all in seconds as 0s 1.03s 1.4s"


@dataclass(frozen=True, slots=True)
class StageStarts:
    """The first moment of each stage, in order. Nothing here depends on the file's frame rate."""

    moments: tuple[float, ...]
    unit: Literal["frames", "seconds"] = "frames"

    def __post_init__(self) -> None:
        if not self.moments or self.moments[0] < 0 or list(self.moments) != sorted(self.moments):
            raise ValueError("need them in order, from 0 on")

    @classmethod
    def parse(cls, text: str) -> "StageStarts":
        """Raises ValueError, whose text states what is needed."""
        words = text.split()
        if all(re.fullmatch(r"[0-9]+", word) for word in words):
            return cls(tuple(map(int, words)))
        if all(re.fullmatch(r"[0-9]+(\.[0-9]+)?s", word) for word in words):
            return cls(tuple(float(word.removesuffix("s")) for word in words), "seconds")
        raise ValueError(f"need {FORMS}")

    def __len__(self) -> int:
        return len(self.moments)

    def __str__(self) -> str:
        unit = "s" if self.unit == "seconds" else ""
        return " ".join(f"{moment:g}{unit}" for moment in self.moments)
