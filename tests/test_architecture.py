"""Rules of the code base that no other test would notice being broken."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("model_store", "service", "training")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MAX_LINES = 400
VAGUE = ("utils", "util", "helper", "helpers", "misc", "common", "builder", "runner")

FORBIDDEN = {
    "model_store": {"service", "training"},
    "service": {"training"},
    "training": {"service"},
}
WITHOUT_TORCH = (
    "model_store.clip",
    "model_store.errors",
    "model_store.spec",
    "service.decode_worker",
)
HEAVY = {"torch", "openvino", "pydantic", "fastapi"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it; those for type checkers left out."""
    tree = ast.parse(path.read_text())
    checked = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and "TYPE_CHECKING" in ast.unparse(test.test)
        for node in ast.walk(test)
    }
    for node in ast.walk(tree):
        if id(node) in checked:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached(module: str) -> set[str]:
    """All modules that are loaded with one of ours, over ours."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in MODULES:
            packages = [name.rpartition(".")[0]] if "." in name else []
            waiting += [*imports(MODULES[name]), *packages]
    return seen


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_packages_import_in_one_direction(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for module in imports(path):
        assert module.split(".")[0] not in FORBIDDEN[package], f"{path} imports {module}"


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_decoding_needs_no_heavy_library(module: str) -> None:
    heavy = {name for name in reached(module) if name.split(".")[0] in HEAVY}
    assert not heavy


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short_and_have_a_name(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_LINES or path.name.startswith("test_")
    assert path.stem.strip("_") not in VAGUE


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "a module docstring is missing"


def test_the_rules_see_what_they_should(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import hidden\n"
        "def f():\n    from service import app\n    import torch.nn\n"
    )
    assert {"service", "service.app", "torch.nn"} <= set(imports(source))
    assert "hidden" not in set(imports(source))
    assert "torch" in {name.split(".")[0] for name in reached("model_store.network")}
