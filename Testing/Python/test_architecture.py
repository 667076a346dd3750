"""The layout keeps its promises: imports go one way, files stay readable, importing the package loads nothing heavy."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "UltrasoundLesionSeg" / "UltrasoundLesionSegLib"
LONGEST_FILE = 500

# from the bottom up: each imports only what stands before it
ROOMS = (
    "errors",
    "cine",
    "logs",
    "writers.atomic",  # the one piece of writers that everything that writes needs
    "readers",
    "engine",
    "measurement",
    "writers",
    "dicom",
    "report",
    "simulation",
    "fitting",  # clips to fit a network on: the workflow fits to one lesion, training to data sets
    "mrml",
    "reader_work",  # a reader's files: the workflow takes their anchors, a batch shows their states
    "workflow",
    "batch",
    "review",
    "training",
    "evaluation",
    "adaptation",  # fits models to reviewed cases: it trains, evaluates and reads reviews, so it stands above all three
    "gui",
    "cli",
)
NEVER_ELSEWHERE = {
    "training": {"training", "evaluation", "adaptation", "cli"},
    "evaluation": {"evaluation", "adaptation", "cli"},
    "adaptation": {"adaptation", "cli"},
}


def room_of(dotted: str) -> str:
    """Return the room of a module given relative to the package, e.g. 'mrml.tables' -> 'mrml'."""
    parts = dotted.split(".")
    inner = ".".join(parts[:2])
    return inner if inner in ROOMS else parts[0]


def imports_of(path: Path) -> set[str]:
    """Return the package's own modules a file imports, relative to the package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module.count(".") == 0:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.partition(".")[2] for name in names if name.startswith("UltrasoundLesionSegLib.")}
    return found - {"__version__"}


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    own = room_of(".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    for other in map(room_of, imports_of(path)):
        if other != own:
            assert ROOMS.index(other) < ROOMS.index(own), f"{own} imports {other}"
        assert own in NEVER_ELSEWHERE.get(other, {own}), f"{own} imports {other}"


def ring_of_imports(package: Path) -> list[str]:
    """Return the files of a ring of imports, [] where there is none.

    Imports inside functions and those that only the type checker follows count, too.
    """
    files = {".".join(path.relative_to(package).with_suffix("").parts): path for path in package.rglob("*.py")}
    files = {name.removesuffix(".__init__"): path for name, path in files.items() if name != "__init__"}
    graph = {}
    for name, path in files.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
        graph[name] = files.keys() & {one.removeprefix("UltrasoundLesionSegLib.") for one in found}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_no_file_imports_itself_through_others() -> None:
    assert ring_of_imports(PACKAGE) == []


def test_a_ring_is_found_where_only_the_type_checker_sees_it(tmp_path: Path) -> None:
    room = tmp_path / "gui"
    room.mkdir()
    (room / "panel.py").write_text("from UltrasoundLesionSegLib.gui import section\n")
    (room / "section.py").write_text("if TYPE_CHECKING:\n    from UltrasoundLesionSegLib.gui.panel import Panel\n")
    assert sorted(set(ring_of_imports(tmp_path))) == ["gui.panel", "gui.section"]


def test_the_engine_knows_no_mrml_no_dicom_and_no_qt() -> None:
    for path in (PACKAGE / "engine").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {name.split(".")[0] for name in names} & {"slicer", "vtk", "pydicom", "highdicom", "qt", "ctk"}


def test_no_file_is_longer_than_a_person_reads() -> None:
    files = [
        *PACKAGE.rglob("*.py"),
        *(ROOT / "Testing").rglob("*.py"),
        ROOT / "UltrasoundLesionSeg" / "UltrasoundLesionSeg.py",
    ]
    long = {
        str(path.relative_to(ROOT)): lines for path in files if (lines := path.read_text().count("\n")) > LONGEST_FILE
    }
    assert not long


MRML_AND_NETWORKS = {"slicer", "vtk", "torch", "monai"}
HEAVY = MRML_AND_NETWORKS | {"numpy", "cv2", "pydicom", "highdicom", "SimpleITK"}


@pytest.mark.parametrize(
    ("modules", "heavy"), [("", HEAVY), (".workflow.kinds, .cli.main, .batch.run, .review.worklist", MRML_AND_NETWORKS)]
)
def test_imports_load_nothing_heavy_that_they_do_not_use(modules: str, heavy: set[str]) -> None:
    named = ", ".join(f"UltrasoundLesionSegLib{one.strip()}" for one in modules.split(","))
    script = f"import sys, {named}; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(loaded)
