"""What several forms and their fields have in common."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from model_store.number import number, numbers
from service.http.form_fields import form_pairs

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


def split_marks(value: object) -> object:
    """`8.5,8,8`, `8.5 8 8` or `8,5 8 8` to its numbers; anything else as it is."""
    try:
        return numbers(value) if isinstance(value, str) else value
    except ValueError as error:
        raise PydanticCustomError("marks", "{reason}", {"reason": str(error)}) from error


Marks = Annotated[list[Number], BeforeValidator(split_marks)]


class JsonOrForm(BaseModel):
    """Fields that come as one JSON object, or as an ordinary form."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _from_form(cls, body: object) -> object:
        """FastAPI leaves a body that is not JSON as it is: it may be a form."""
        if isinstance(body, bytes):
            return {name: value for name, value in form_pairs(body) if value}
        return body
