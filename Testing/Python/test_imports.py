"""Scripts that no test runs import what is there: names move, and nobody notices until the script is needed."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = "UltrasoundLesionSegLib"
SCRIPTS = sorted([*(ROOT / "Testing").rglob("*.py"), *(ROOT / "Docs").rglob("*.py")])


@cache
def names_of(module: str) -> frozenset[str]:
    """Return what a module of the library holds: its own names, and a package's modules."""
    place = ROOT / "UltrasoundLesionSeg" / module.replace(".", "/")
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    names = {one.stem for one in place.iterdir()} if place.is_dir() else set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(one.asname or one.name).partition(".")[0] for one in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return frozenset(names)


def missing(source: str) -> list[str]:
    """Return what a source imports from the library that is not there."""
    wrong = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == LIBRARY:
            try:
                known = names_of(str(node.module))
            except FileNotFoundError:
                wrong.append(str(node.module))
                continue
            wrong += [f"{node.module}.{one.name}" for one in node.names if one.name not in known]
    return wrong


def test_every_script_imports_what_is_there() -> None:
    assert len(SCRIPTS) > 200
    wrong = {str(path.relative_to(ROOT)): missing(path.read_text(encoding="utf-8")) for path in SCRIPTS}
    assert not {path: names for path, names in wrong.items() if names}


@pytest.mark.parametrize(
    "line", [f"from {LIBRARY}.evaluation.val_clips import nothing", f"from {LIBRARY}.nothing import read_cine"]
)
def test_what_is_not_there_is_found(line: str) -> None:
    assert missing(line)
    assert not missing(f"from {LIBRARY}.readers.open import read_cine")
