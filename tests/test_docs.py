"""The documents name what is there."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest
import yaml

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


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "service/README.md"]


def anchors(document: Path) -> set[str]:
    """Of its headings, as the web sites of repositories make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)", document.read_text()):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert (
        re.findall(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == version
    )


def test_the_scheduled_job_runs_the_check() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text())["jobs"]["check"]
    [script] = [step["run"] for step in job["steps"] if "run" in step]
    assert (ROOT / script).stat().st_mode & 0o111


def test_hooks_run_what_make_lint_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    for hook in hooks:
        tool, *arguments = hook["entry"].removeprefix(".venv/bin/").split()
        asked = " ".join([tool, *(each for each in arguments if each != "--force-exclude")])
        assert f"$(BIN)/{asked}" in lint
