"""The house itself: floors, public names, documents."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

import watphon

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {"forms": 0, "sync": 1, "server": 1, "analysis": 2, "reports": 3, "watphon": 4}
MODULES = sorted(
    path
    for folder in FLOORS
    for path in ROOT.glob(f"{folder}/**/*.py")
    if path.name != "__init__.py"
)


def imported(path: Path) -> set[str]:
    """First names of everything a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_folder_imports_only_from_below(path: Path) -> None:
    """forms < sync | server < analysis < reports < watphon.py; peers never import each other."""
    own = path.relative_to(ROOT).parts[0]
    for name in imported(path) & FLOORS.keys() - {own}:
        assert FLOORS[name] < FLOORS[own], f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_exist_and_are_explained(path: Path) -> None:
    """Every module says what it promises; what it lists in __all__ exists and has a docstring."""
    relative = path.relative_to(ROOT).with_suffix("")
    if path.name == "__main__.py":
        return
    module = importlib.import_module(".".join(relative.parts))
    assert module.__doc__
    for name in getattr(module, "__all__", ()):
        public = getattr(module, name)
        if callable(public) and getattr(public, "__module__", "") == module.__name__:
            assert public.__doc__, f"{relative}.{name} has no docstring"


def test_every_command_is_in_the_readme() -> None:
    """A user finds each command in the README."""
    readme = (ROOT / "README.md").read_text("utf-8")
    group = watphon.typer.main.get_command(watphon.app)
    for command in group.commands:  # type: ignore[attr-defined]  # a click group
        assert re.search(rf"watphon {command}\b", readme), command


def test_no_unfinished_work() -> None:
    """No mark of unfinished work in the product."""
    marks = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    for path in MODULES:
        assert not marks.search(path.read_text("utf-8")), path
