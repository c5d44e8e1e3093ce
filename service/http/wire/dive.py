"""A dive by its number: two fields of several forms, and one of their answers."""

from dataclasses import asdict

from pydantic import BaseModel, Field

from model_store.judging.dive_difficulty import DeclaredDive

DIVE = "Diving: the number of the dive, `107B`, instead of the difficulty. Needs the height."
HEIGHT = "Diving: of the board or platform, metres: 1, 3, 5, 7.5 or 10. With `dive`."


class DiveAnswer(BaseModel):
    number: str
    height_m: float
    name: str = Field(description="In words: `forward 3½ somersaults, pike`.")
    difficulty: float = Field(description="By World Aquatics' formula.")


def dive_answer(dive: DeclaredDive | None) -> DiveAnswer | None:
    return None if dive is None else DiveAnswer(**asdict(dive))
