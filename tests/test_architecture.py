"""Rules of the code base that no other test would notice being broken."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("model_store", "service", "training")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MAX_LINES = 400
VAGUE = ("utils", "util", "helper", "helpers", "misc", "common", "builder", "runner")

# A room, and what no module in it imports, by its own hand.
NEVER = [
    ("model_store", {"service", "training"}),
    ("service", {"training"}),
    ("training", {"service"}),
    ("service.scoring", {"service.http", "fastapi", "starlette"}),
    ("training.data", {"training.learn", "training.measure", "training.release"}),
    ("training.measure", {"training.learn", "training.release"}),
    ("training.learn", {"training.pretraining", "training.release", "training.paper"}),
    ("training.commands", {"torch"}),
]
# A room or a module, and what is not even loaded with it.
NEVER_LOADED = [
    ("model_store.clip", {"torch", "openvino", "pydantic", "fastapi"}),
    ("model_store.video", {"torch", "openvino", "pydantic", "fastapi"}),
    ("model_store.finding", {"torch", "openvino", "pydantic", "fastapi"}),
    ("model_store.judging", {"torch", "openvino", "av"}),
    ("model_store.tables", {"torch", "openvino", "av", "pydantic", "fastapi"}),
    ("service.decode", {"torch", "openvino", "fastapi"}),
    ("service.decode.worker", {"pydantic"}),
    ("service.http.wire", {"torch", "openvino"}),
]
# Of our own packages, all that a room may import besides itself.
ONLY = [
    ("training.simulator", {"model_store"}),
]
# A library, and the one room or module that imports it.
ONLY_THERE = [("ray", "service.cluster"), ("opentelemetry", "service.otel")]


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


def within(module: str, rooms: Iterable[str]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def modules_of(room: str) -> list[str]:
    found = [module for module in MODULES if within(module, [room])]
    assert found, f"there is no {room}"
    return found


@pytest.mark.parametrize(("room", "never"), NEVER)
def test_a_room_never_imports(room: str, never: set[str]) -> None:
    for module in modules_of(room):
        wrong = {name for name in imports(MODULES[module]) if within(name, never)}
        assert not wrong, f"{module} imports {wrong}"


@pytest.mark.parametrize(("room", "heavy"), NEVER_LOADED)
def test_a_room_never_loads(room: str, heavy: set[str]) -> None:
    for module in modules_of(room):
        loaded = {name for name in reached(module) if within(name, heavy)}
        assert not loaded, f"{module} loads {loaded}"


@pytest.mark.parametrize(("room", "allowed"), ONLY)
def test_a_room_imports_of_ours_only(room: str, allowed: set[str]) -> None:
    for module in modules_of(room):
        ours = {name for name in imports(MODULES[module]) if within(name, PACKAGES)}
        wrong = {name for name in ours if not within(name, {*allowed, room})}
        assert not wrong, f"{module} imports {wrong}"


@pytest.mark.parametrize(("library", "room"), ONLY_THERE)
def test_a_library_is_imported_in_one_room(library: str, room: str) -> None:
    users = {
        module
        for module, path in MODULES.items()
        if any(within(name, [library]) for name in imports(path))
    }
    assert users
    assert all(within(module, [room]) for module in users), users


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
