"""The documents name what is there."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
NAMED = re.findall(r"`((?:model_store|service|training)\.[\w.]+)`", ARCHITECTURE)


@pytest.mark.parametrize("name", NAMED)
def test_a_named_step_exists(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert hasattr(importlib.import_module(module), attribute)


def test_both_journeys_take_ten_steps() -> None:
    assert re.findall(r"^\| (\d+) \|", ARCHITECTURE, re.MULTILINE) == [
        *map(str, range(1, 11)),
        *map(str, range(1, 11)),
    ]


@pytest.mark.parametrize("document", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
        assert (document.parent / link).exists(), link
