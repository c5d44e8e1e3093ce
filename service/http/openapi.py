"""
The OpenAPI document: FastAPI's, completed so that programs and generated clients read well.

Errors get their media type and, by name, an example of each problem that comes with their status.
"""

from collections.abc import Callable
from typing import Any

from pydantic.json_schema import models_json_schema

from service.http.problems import MEDIA_TYPE
from service.http.wire.meet import MeetForm
from service.problem_kinds import KINDS

Document = dict[str, Any]


def completed(document: Document, *, key_needed: Callable[[str], bool]) -> Document:
    """`key_needed` returns whether a request to a path needs a key."""
    scheme = {"type": "http", "scheme": "bearer", "description": "A key of SCORING_API_KEYS."}
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"key": scheme}
    template = "#/components/schemas/{model}"
    _, unread = models_json_schema([(MeetForm, "validation")], ref_template=template)
    components.setdefault("schemas", {}).update(unread["$defs"])  # of a body that FastAPI leaves
    for name, path in document["paths"].items():
        for operation in path.values():
            if key_needed(name):
                operation["security"] = [{"key": []}]
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    _complete_error(int(status), response.get("content", {}))
    return document


def _complete_error(status: int, content: dict[str, Any]) -> None:
    """FastAPI takes the media type of the answers for that of errors too."""
    if "application/json" in content:
        content[MEDIA_TYPE] = content.pop("application/json") | {"examples": examples(status)}


def examples(status: int) -> dict[str, Any]:
    """A body for each problem of a status, by its slug."""
    return {
        kind.slug: {
            "summary": kind.title,
            "value": {
                "type": kind.uri,
                "title": kind.title,
                "status": status,
                "detail": "what was found, and what was needed",
                "request_id": "5f0c7d9ab1c34b7e9b1f0a4d2c6e8f10",
            },
        }
        for kind in KINDS.values()
        if kind.status == status
    }
