"""The Python and the JavaScript client have the same calls, and all fields of the service."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from model_store.store import Store
from service.app import create_app
from service.client import ScoringClient
from service.settings import Settings

SCRIPT = (Path(__file__).parents[2] / "service/web/client.js").read_text()
IN_PYTHON_ALONE = {"close"}  # of the connections, which a browser keeps by itself
FOR_OPERATORS = {"/livez", "/metrics", "/admin/reload"}  # nobody calls them from a program of ours
PATHS = {
    "score": "/score",
    "rank": "/rank",
    "panel": "/panel",
    "panel_meet": "/panel/meet",
    "clips": "/clips",
    "judged": "/clips/{sha256}/judged",
    "forget": "/clips/{sha256}",
    "checkpoints": "/checkpoints",
    "checkpoint": "/checkpoints/{name}",
    "ready": "/readyz",
}
"""Call of the clients, and what it asks."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings(), Store(), lambda: None).openapi()


def calls_of_python() -> set[str]:
    return {name for name, _ in inspect.getmembers(ScoringClient, inspect.isfunction)
            if not name.startswith("_")}  # fmt: skip


def calls_of_javascript() -> set[str]:
    """The methods of the class, written as in Python."""
    [body] = re.findall(r"^export class ScoringClient \{\n(.*?)^\}", SCRIPT, re.M | re.S)
    methods = set(re.findall(r"^  (?:async )?(\w+)\(.*", body, re.M)) - {"constructor"}
    return {re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name) for name in methods}


def parameters_of(call: str) -> set[str]:
    return set(inspect.signature(getattr(ScoringClient, call)).parameters) - {"self"}


def fields_of(document: dict[str, Any], path: str) -> set[str]:
    """Of all forms in which a POST there may be sent."""
    content = document["paths"][path]["post"]["requestBody"]["content"]
    found: set[str] = set()
    for each in content.values():
        schema = each["schema"]
        for part in schema.get("anyOf", schema.get("oneOf", [schema])):
            name = part.get("$ref", "").rpartition("/")[2]
            form = document["components"]["schemas"][name] if name else part
            found |= form["properties"].keys()
    return found


def test_both_clients_have_the_same_calls() -> None:
    assert calls_of_javascript() == calls_of_python() - IN_PYTHON_ALONE
    assert "panel_meet" in calls_of_javascript()


def test_every_path_of_the_service_has_a_call(document: dict[str, Any]) -> None:
    assert PATHS.keys() == calls_of_javascript()
    assert set(PATHS.values()) == document["paths"].keys() - FOR_OPERATORS


@pytest.mark.parametrize(
    ("call", "called", "more"),
    [
        ("score", {"include": "frames"}, {"on_event"}),
        ("rank", {"difficulty": "difficulties", "dive": "dives", "height": "heights"}, set()),
        ("panel", {}, set()),
        ("panel_meet", {}, set()),
        ("judged", {}, {"sha256"}),
    ],
)
def test_the_python_client_takes_every_field(
    document: dict[str, Any], call: str, called: dict[str, str], more: set[str]
) -> None:
    """`called` are fields that it has another name for, `more` is what is no field."""
    fields = {called.get(name, name) for name in fields_of(document, PATHS[call])}
    assert parameters_of(call) == fields | more
