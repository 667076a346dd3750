"""Slicer's typed parameter node: attributes kept in a MRML node, bound to widgets by their SlicerParameterName.

As in Slicer, a kind of value goes with exact widget classes only (``type(widget) == qt.QCheckBox``), a combo box of an
``Enum`` is filled with its labels, and a spin box without limits in the annotation gets the widest.
"""

from __future__ import annotations

import enum
import typing
from collections.abc import Callable
from typing import Any

import ctk
import qt
import slicer
import vtk

__all__ = ["Default", "WithinRange", "parameterNodeWrapper"]

PROPERTY = "SlicerParameterName"


class WithinRange:
    """Annotation: lowest and highest value."""

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum


class Default:
    """Annotation: value of a parameter that was never set."""

    def __init__(self, value: Any) -> None:
        self.value = value


def parameterNodeWrapper(kind: Any) -> type:
    """Give a class of annotated attributes their storage in the parameter node."""
    parameters = {}
    for name, annotation in typing.get_type_hints(kind, include_extras=True).items():
        parameters[name] = _Parameter(name, annotation, getattr(kind, name, None))
        setattr(kind, name, property(_reader(name), _writer(name)))
    kind.allParameters = parameters
    for name, function in vars(_Wrapper).items():
        if not name.startswith("__") or name == "__init__":
            setattr(kind, name, function)
    return kind


def _reader(name: str) -> Callable[[Any], Any]:
    return lambda self: self.getValue(name)


def _writer(name: str) -> Callable[[Any, Any], None]:
    return lambda self, value: self.setValue(name, value)


class _Parameter:
    def __init__(self, name: str, annotation: Any, default: Any) -> None:
        self.name = name
        self.kind = typing.get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation
        self.annotations = getattr(annotation, "__metadata__", ())
        annotated = next((one.value for one in self.annotations if isinstance(one, Default)), None)
        self.default = next((one for one in (default, annotated) if one is not None), None)
        self.is_node = isinstance(self.kind, type) and issubclass(self.kind, slicer.vtkMRMLNode)
        if self.default is None and not self.is_node:
            self.default = next(iter(self.kind)) if issubclass(self.kind, enum.Enum) else self.kind()

    def read(self, node: Any) -> Any:
        if self.is_node:
            return node.GetNodeReference(self.name)
        if not node.HasParameter(self.name):
            return self.default
        text = node.GetParameter(self.name)
        if issubclass(self.kind, enum.Enum):
            return self.kind[text]
        return text == "True" if self.kind is bool else self.kind(text)

    def write(self, node: Any, value: Any) -> None:
        if self.is_node:
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            return
        if not isinstance(value, self.kind):
            raise ValueError(f"{self.name} must be {self.kind.__name__}, not {value!r}")
        node.SetParameter(self.name, value.name if isinstance(value, enum.Enum) else str(value))


class _Wrapper:
    allParameters: dict[str, _Parameter]

    def __init__(self, parameterNode: Any) -> None:
        self.parameterNode = parameterNode
        self._bindings: dict[int, list[_Binding]] = {}
        self._updating = False
        for parameter in self.allParameters.values():
            if not parameter.is_node and not parameterNode.HasParameter(parameter.name):
                parameter.write(parameterNode, parameter.default)

    def getValue(self, name: str) -> Any:
        return self.allParameters[name].read(self.parameterNode)

    def setValue(self, name: str, value: Any) -> None:
        self.allParameters[name].write(self.parameterNode, value)

    def connectGui(self, gui: Any) -> int:
        named = [(widget.property(PROPERTY), widget) for widget in vars(gui).values() if widget.property(PROPERTY)]
        bindings = [_Binding(self, self.allParameters[name], widget) for name, widget in named]
        for binding in bindings:
            binding.start()
        tag = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show(bindings))
        self._bindings[tag] = bindings
        return tag

    def disconnectGui(self, guiTag: int) -> None:
        for binding in self._bindings.pop(guiTag, []):
            binding.stop()  # as in Slicer 5.10, the observer of connectGui stays

    def _show(self, bindings: list[_Binding]) -> None:
        if not self._updating:
            self._updating = True
            try:
                for binding in bindings:
                    binding.show()
            finally:
                self._updating = False

    def AddObserver(self, event: Any, callback: Callable[..., None], priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def StartModify(self) -> int:
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified: int) -> None:
        self.parameterNode.EndModify(wasModified)

    def Modified(self) -> None:
        self.parameterNode.Modified()


class _Binding:
    """One parameter and its widget."""

    def __init__(self, wrapper: Any, parameter: _Parameter, widget: Any) -> None:
        self._wrapper, self._parameter, self._widget = wrapper, parameter, widget
        self._signal, self._read, self._write = self._connector()

    def _connector(self) -> tuple[str, Callable[[], Any], Callable[[Any], None]]:
        widget, kind, exact = self._widget, self._parameter.kind, type(self._widget)
        if self._parameter.is_node and exact == slicer.qMRMLNodeComboBox:
            widget.nodeTypes = [kind.__name__]
            return "currentNodeChanged", widget.currentNode, widget.setCurrentNode
        if kind is bool and exact in (qt.QCheckBox, qt.QPushButton):
            return ("stateChanged" if exact == qt.QCheckBox else "toggled"), *_property(widget, "checked")
        if kind is int and exact in (qt.QSpinBox, qt.QSlider):
            limits = next((one for one in self._parameter.annotations if isinstance(one, WithinRange)), None)
            widget.setRange(*((limits.minimum, limits.maximum) if limits else (-(2**31), 2**31 - 1)))
            return "valueChanged", *_property(widget, "value")
        if kind is float and exact in (qt.QDoubleSpinBox, ctk.ctkSliderWidget):
            return "valueChanged", *_property(widget, "value")
        if kind is str and exact == qt.QLineEdit:
            return "textChanged", *_property(widget, "text")
        if isinstance(kind, type) and issubclass(kind, enum.Enum) and exact == qt.QComboBox:
            return "currentIndexChanged", *self._enum(list(kind))
        raise RuntimeError(f"Slicer binds no {kind} to a {exact.__name__}")

    def _enum(self, choices: list[enum.Enum]) -> tuple[Callable[[], Any], Callable[[Any], None]]:
        label = getattr(type(choices[0]), "label", lambda one: one.name)
        self._widget.clear()
        for choice in choices:
            self._widget.addItem(label(choice))

        def write(value: enum.Enum) -> None:
            self._widget.currentIndex = choices.index(value)

        return (lambda: choices[self._widget.currentIndex]), write

    def start(self) -> None:
        self.show()
        getattr(self._widget, self._signal).connect(self._changed)

    def stop(self) -> None:
        getattr(self._widget, self._signal).disconnect(self._changed)

    def show(self) -> None:
        self._write(self._parameter.read(self._wrapper.parameterNode))

    def _changed(self) -> None:
        if not self._wrapper._updating:
            with slicer.util.NodeModify(self._wrapper):
                self._wrapper.setValue(self._parameter.name, self._read())


def _property(widget: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    return (lambda: getattr(widget, name)), (lambda value: setattr(widget, name, value))
