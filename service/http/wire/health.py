"""The answer of `GET /livez` and `GET /readyz`."""

from typing import Literal

from pydantic import BaseModel, Field


class Health(BaseModel):
    status: Literal["ok", "ready"]
    unusable: list[str] = Field(
        [], description="Checkpoints of the store that cannot be used; left out if there are none."
    )
