"""Makes Qt classes with the properties and signals of the facts, and the behaviour of a hand-written body."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal
from slicer_harness.facts import Facts

# Arguments of the signals that stand-ins emit or the module connects to, from the headers of 5.10.0 and 5.12.3 (they
# are the same). A signal that is not here is made with one argument.
SIGNATURES = {
    "contentsCollapsed": ("bool",),
    "currentNodeChanged": ("vtkMRMLNode*",),
    "currentNodeIDChanged": ("QString",),
    "currentSegmentIDChanged": ("QString",),
    "dataSelected": ("vtkStringArray*", "vtkCollection*"),
    "directoryChanged": ("QString",),
    "layoutChanged": ("int",),
    "moduleAboutToBeUnloaded": ("QString",),
    "mrmlSceneChanged": ("vtkMRMLScene*",),
    "nodeAdded": ("vtkMRMLNode*",),
    "segmentationNodeChanged": ("vtkMRMLSegmentationNode*",),
    "selectionChanged": (),
    "sourceVolumeNodeChanged": ("vtkMRMLVolumeNode*",),
    "startupCompleted": (),
    "valuesChanged": ("double", "double"),
}
PYTHON_TYPES = {"bool": bool, "int": int, "double": float, "QString": str, "QStringList": list}
DEFAULTS: dict[str, Any] = {"bool": False, "int": 0, "double": 0.0, "QString": "", "QStringList": []}


def qt_class(name: str) -> type | None:
    """The class of Qt itself with this name, or None."""
    for module in (QtWidgets, QtGui, QtCore):
        if hasattr(module, name):
            return getattr(module, name)
    return None


class Maker:
    """Makes the classes of one Slicer version, each once.

    Parameters
    ----------
    facts : Facts
    bodies : dict of str to type
        Class name to a plain class whose methods become the stand-in's. A method ``_changed_NAME(self, value)`` is
        called after property NAME got another value, ``_read_NAME(self)`` answers it instead of the stored value.
        A class attribute ``initial`` (dict) holds the properties' first values.
    """

    def __init__(self, facts: Facts, bodies: dict[str, type]) -> None:
        self.facts = facts
        self._bodies = bodies
        self._made: dict[str, type] = {}

    def make(self, name: str) -> type:
        """The class of Qt or the stand-in with this name; raises ``KeyError`` when there is no such class."""
        if name not in self._made:
            self._made[name] = qt_class(name) or self._make_standin(name)
        return self._made[name]

    def _make_standin(self, name: str) -> type:
        widget_class = self.facts.widget_class(name)
        base = self._base(name)
        body = self._bodies.get(name)
        namespace = dict(vars(body)) if body else {}
        for unwanted in ("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__"):
            namespace.pop(unwanted, None)
        self._refuse_inventions(name, namespace, base)
        initial = namespace.pop("initial", {})
        for signal in sorted(widget_class.signals):
            if not hasattr(base, signal) and signal not in namespace:
                namespace[signal] = Signal(*[object for _ in SIGNATURES.get(signal, ("?",))])
        for prop, kind in widget_class.properties.items():
            if prop in initial or not hasattr(base, prop) or f"_changed_{prop}" in namespace:
                namespace[prop] = _stored_property(prop, kind, initial.get(prop, DEFAULTS.get(kind)))
        return type(name, (base,), namespace)

    def _base(self, name: str) -> type:
        for base in self.facts.bases(name):
            made = self.make(base) if base in self.facts else qt_class(base)
            if made is not None and issubclass(made, QtCore.QObject):
                return made
        return QtWidgets.QWidget if name.startswith(("q", "ctk")) else QtCore.QObject

    def _refuse_inventions(self, name: str, namespace: dict[str, Any], base: type) -> None:
        widget_class = self.facts.widget_class(name)
        for member in namespace:
            if (
                not member.startswith("_")
                and member != "initial"
                and not widget_class.knows(member)
                and not hasattr(base, member)
            ):
                raise TypeError(f"the stand-in of {name} has {member}, which Slicer {self.facts.version} does not have")


def _stored_property(name: str, kind: str, default: Any) -> Property:
    def read(self: QtCore.QObject) -> Any:
        answer = getattr(self, f"_read_{name}", None)
        return answer() if answer else self.__dict__.setdefault("_values", {}).get(name, default)

    def write(self: QtCore.QObject, value: Any) -> None:
        values = self.__dict__.setdefault("_values", {})
        before = read(self)
        values[name] = value
        changed = getattr(self, f"_changed_{name}", None)
        if changed and value != before:
            changed(value)

    return Property(PYTHON_TYPES.get(kind, object), read, write)
