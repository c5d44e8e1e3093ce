"""What fields of several forms have in common."""

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from model_store.number import number

REFERENCE = r"^[A-Za-z0-9_.-]{1,64}(@[0-9]{1,9})?$"  # of a checkpoint


def number_of(value: object) -> object:
    """Text to the number that it is; anything else but true and false as it is."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "need a number, such as 3.3")
    try:
        return number(value) if isinstance(value, str) else value
    except ValueError as error:
        raise PydanticCustomError("number", "need a number, such as 3.3") from error


Number = Annotated[float, BeforeValidator(number_of)]
