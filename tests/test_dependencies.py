"""What the rooms import is a dependency that pyproject.toml names, of the base or of an extra."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("model_store", "service", "training")
OF_DEVELOPERS = {"test", "bench"}  # extras
BROUGHT = {"h11", "pydantic_core"}  # by uvicorn and by pydantic, which are made of them


def imported(path: Path) -> set[str]:
    """Names of the packages that a module imports anywhere, but for those of this project."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {*ROOMS} - BROUGHT


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_that_is_imported_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lists = [project["dependencies"], *(extras[name] for name in extras.keys() - OF_DEVELOPERS)]
    named = {normalised(re.split(r"[^\w.-]", each)[0]) for part in lists for each in part}
    brings = packages_distributions()
    unnamed = [
        f"{path.relative_to(ROOT)} imports {package}"
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        for package in sorted(imported(path))
        if named.isdisjoint(map(normalised, brings.get(package, [package])))
    ]
    assert unnamed == []
