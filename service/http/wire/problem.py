"""A problem on the wire."""

from pydantic import BaseModel, Field


class WrongParameter(BaseModel):
    name: str
    reason: str


class ProblemAnswer(BaseModel):
    """RFC 9457, `application/problem+json`."""

    type: str = Field(description="Never changes its meaning: /problems/…")
    title: str
    status: int
    detail: str | None
    request_id: str | None
    errors: list[WrongParameter] | None = Field(None, description="For /problems/invalid-parameter")
    retry_after_s: int | None = Field(None, description="For /problems/queue-full")
