"""The .ui file and every use of its widgets in the code, held against what each Slicer version has."""

from __future__ import annotations

import ast
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from slicer_harness.facts import VERSIONS, Facts, facts_file

REPOSITORY = Path(__file__).resolve().parents[3]
MODULE = REPOSITORY / "UltrasoundLesionSeg"
UI = MODULE / "Resources" / "UI" / "UltrasoundLesionSeg.ui"
SOURCES = [MODULE / "UltrasoundLesionSeg.py", *sorted((MODULE / "UltrasoundLesionSegLib" / "gui").glob("*.py"))]
INTERACTIVE = ("Button", "ComboBox", "CheckBox", "SpinBox", "LineEdit", "Widget", "TableView", "DirectoryButton")


@pytest.fixture(scope="module", params=VERSIONS)
def of_version(request: pytest.FixtureRequest) -> Facts:
    if not facts_file(request.param).is_file():
        pytest.skip(f"the facts of Slicer {request.param} are not here: name their folder in ULS_FACTS")
    if not QT_MEMBERS:
        pytest.skip("PySide6 is not installed")
    return Facts(request.param)


def ui_root() -> ElementTree.Element:
    return ElementTree.parse(UI).getroot()


def class_of_widgets() -> dict[str, str]:
    return {widget.get("name", ""): widget.get("class", "") for widget in ui_root().iter("widget")}


@dataclass(frozen=True)
class QtMembers:
    """What a class of Qt itself offers to Python."""

    properties: frozenset[str]
    methods: frozenset[str]
    signatures: frozenset[str]


def qt_members(base: Any) -> QtMembers:
    meta = base.staticMetaObject
    return QtMembers(
        frozenset(meta.property(index).name() for index in range(meta.propertyCount())),
        frozenset(member for member in dir(base) if callable(getattr(base, member, None))),
        frozenset(meta.method(index).methodSignature().data().decode() for index in range(meta.methodCount())),
    )


def members_of_all_widgets() -> dict[str, QtMembers]:
    """Of every class of Qt: read when this file is imported, because PySide6 forgets some once widgets were deleted."""
    try:
        from PySide6 import QtWidgets
    except ImportError:
        return {}
    kinds = {name: getattr(QtWidgets, name) for name in dir(QtWidgets)}
    return {name: qt_members(kind) for name, kind in kinds.items() if hasattr(kind, "staticMetaObject")}


QT_MEMBERS = members_of_all_widgets()


class Members:
    """What a class offers to Python in one version."""

    def __init__(self, facts: Facts, name: str) -> None:
        self.name = name
        own = facts.widget_class(name) if name in facts else None
        base = QT_MEMBERS.get(own.qt_base if own else name)
        assert base is not None, f"{name} is neither in Slicer {facts.version} nor in Qt"
        self._signatures = base.signatures
        self.properties = base.properties | (set(own.properties) if own else set())
        self.methods = base.methods | {"connect", "disconnect"} | (own.slots | own.invokable if own else set())
        self.signals = own.signals if own else frozenset()

    def has_signal(self, signature: str) -> bool:
        return signature.partition("(")[0] in self.signals or signature in self._signatures


# ---- the .ui file


def test_every_class_of_the_ui_can_be_made_by_the_loader(of_version: Facts) -> None:
    custom = {one.findtext("class") for one in ui_root().iter("customwidget")}
    for name in set(class_of_widgets().values()):
        if name not in QT_MEMBERS:
            assert of_version.has_designer_plugin(name), f"{name} has no designer plugin"
            assert name in custom, f"{name} is not among the custom widgets"


def test_every_property_of_the_ui_is_one(of_version: Facts) -> None:
    for widget in ui_root().iter("widget"):
        members = Members(of_version, widget.get("class", ""))
        for one in widget.findall("property"):
            if one.get("stdset") != "0":  # a dynamic property may have any name
                assert one.get("name") in members.properties, f"{widget.get('name')}: {one.get('name')}"


def test_every_mrml_widget_gets_the_scene(of_version: Facts) -> None:
    root = ui_root()
    connected = {one.findtext("receiver") for one in root.iter("connection")}
    for one in root.iter("connection"):
        assert one.findtext("sender") == "UltrasoundLesionSeg"
        assert one.findtext("signal") == "mrmlSceneChanged(vtkMRMLScene*)"
        assert one.findtext("slot") == "setMRMLScene(vtkMRMLScene*)"
    for name, kind in class_of_widgets().items():
        if kind.startswith("qMRML") and name != "UltrasoundLesionSeg":
            assert "setMRMLScene" in Members(of_version, kind).methods
            assert name in connected, f"{name} never gets the scene"


def test_names_are_unique_and_everything_to_be_used_has_a_tooltip() -> None:
    widgets = list(ui_root().iter("widget"))
    names = [widget.get("name", "") for widget in widgets]
    assert len(names) == len(set(names))
    for widget in widgets[1:]:
        kind = widget.get("class", "")
        is_container = kind in ("QWidget", "QTabWidget", "ctkCollapsibleButton")
        if kind.endswith(INTERACTIVE) and not is_container:
            tip = widget.findtext("property[@name='toolTip']/string") or ""
            assert tip.endswith((".", ")")), f"{widget.get('name')} has no tooltip"


def test_shortcuts_are_told_in_tooltips() -> None:
    root = ui_root()
    tips = {one.get("name"): one.findtext("property[@name='toolTip']/string") or "" for one in root.iter("widget")}
    panel = (MODULE / "UltrasoundLesionSegLib" / "gui" / "panel.py").read_text()
    shortcuts = ast.literal_eval(panel.split("SHORTCUTS = ")[1].split("\n\n")[0])
    assert set(shortcuts) == {"Alt+P", "Alt+R", "Alt+N", "Alt+J", "Alt+D"}
    for keys, button in shortcuts.items():
        assert keys in tips[button]
    for keys in ("Shift+Left", "Shift+Right", "Shift+Down"):
        assert keys in tips["playWidget"]


def test_parameters_are_bound_to_widgets_that_slicer_binds() -> None:
    classes = class_of_widgets()
    bound = {}
    for widget in ui_root().iter("widget"):
        name = widget.findtext("property[@name='SlicerParameterName']/string")
        if name:
            bound[name] = classes[widget.get("name", "")]
    tree = ast.parse((MODULE / "UltrasoundLesionSegLib" / "gui" / "parameters.py").read_text())
    node = next(one for one in tree.body if isinstance(one, ast.ClassDef) and one.name.endswith("ParameterNode"))
    kinds = {
        ast.unparse(one.target): ast.unparse(one.annotation) for one in node.body if isinstance(one, ast.AnnAssign)
    }
    accepted = {"bool": "QCheckBox", "Direction": "QComboBox", "Device": "QComboBox"}
    accepted["vtkMRMLSequenceBrowserNode"] = "qMRMLNodeComboBox"
    assert set(bound) <= set(kinds)
    for name, widget_class in bound.items():
        assert accepted[kinds[name]] == widget_class


# ---- the code


@dataclass(frozen=True)
class Use:
    """One ``ui.WIDGET.MEMBER`` in the code."""

    where: str
    widget: str
    member: str
    kind: str  # "set", "call" or "get"
    signature: str = ""


def uses() -> Iterator[Use]:
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute)):
                continue
            holder = node.value.value
            if not (
                (isinstance(holder, ast.Attribute) and holder.attr == "ui")
                or (isinstance(holder, ast.Name) and holder.id == "ui")
            ):
                continue
            parent = parents[node]
            call = parent if isinstance(parent, ast.Call) and parent.func is node else None
            kind = "set" if isinstance(node.ctx, ast.Store) else "call" if call else "get"
            signature = ast.literal_eval(call.args[0]) if call and node.attr in ("connect", "disconnect") else ""
            yield Use(f"{path.name}:{node.lineno}", node.value.attr, node.attr, kind, signature)


def test_every_widget_member_that_the_code_uses_is_there(of_version: Facts) -> None:
    classes = class_of_widgets()
    found = list(uses())
    assert len(found) > 100  # else the search has gone blind
    for use in found:
        assert use.widget in classes, f"{use.where}: the panel has no {use.widget}"
        members = Members(of_version, classes[use.widget])
        what = f"{use.where}: {members.name}.{use.member}"
        if use.kind == "call":
            assert use.member in members.methods, f"{what} is no method"
            assert use.member not in members.properties, f"{what} is a property: PythonQt does not call it"
        else:
            assert use.member in members.properties, f"{what} is no property"
        if use.signature:
            assert members.has_signal(use.signature), f"{what}({use.signature}) is no signal"


def test_every_widget_that_the_code_names_is_in_the_ui() -> None:
    names = set(class_of_widgets())
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "ui":
                assert node.attr in names, f"{path.name}:{node.lineno}: the panel has no {node.attr}"


def test_qt_is_imported_by_the_panel_only() -> None:
    library = MODULE / "UltrasoundLesionSegLib"
    for path in library.rglob("*.py"):
        imported = {
            alias.name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
        }
        if path.parent != library / "gui":
            assert not imported & {"qt", "ctk"}, f"{path.relative_to(library)} imports Qt"


def test_standins_have_nothing_that_slicer_lacks(facts: Facts) -> None:
    pytest.importorskip("PySide6.QtWidgets")
    pytest.importorskip("slicer")
    from UltrasoundLesionSegLib.mrml import headless

    headless.start()
    from standins import ctk, qmrml, segment_editor, sequences, views
    from standins.making import Maker

    bodies = {
        name: body for part in (ctk, qmrml, segment_editor, sequences, views) for name, body in part.BODIES.items()
    }
    maker = Maker(facts, bodies)
    for name in bodies:
        made: Any = maker.make(name)
        meta = made.staticMetaObject
        for index in range(meta.propertyOffset(), meta.propertyCount()):
            assert meta.property(index).name() in facts.widget_class(name).properties
    with pytest.raises(TypeError, match="does not have"):
        Maker(facts, {"qMRMLWidget": type("Body", (), {"inventedMethod": lambda self: None})}).make("qMRMLWidget")
