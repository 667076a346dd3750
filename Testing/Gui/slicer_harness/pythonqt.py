"""Qt objects as Slicer's Python sees them: PythonQt's rules on top of PySide6.

* A Q_PROPERTY is an attribute: ``label.text``, never ``label.text()``.
* Only Q_PROPERTYs can be assigned; anything else raises ``AttributeError`` on a plain wrapper.
* ``object.connect("clicked(bool)", function)`` and ``object.clicked.connect(function)``; a function is called with as
  many of the signal's arguments as it takes. A signal that does not exist is not connected *without a word*: reported.
* Of a Slicer or CTK class only properties, signals, slots and invokable methods are reachable.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import shiboken6
from PySide6 import QtCore
from standins.making import SIGNATURES, Maker

from slicer_harness.facts import Facts
from slicer_harness.problems import PROBLEMS

_live: dict[int, tuple[QtCore.QObject, Proxy]] = {}
_classes: dict[type, type[Proxy]] = {}


class Rules:
    """Which members of a class Python may reach; set once by ``install``."""

    facts: ClassVar[Facts]
    maker: ClassVar[Maker]

    @classmethod
    def install(cls, facts: Facts, maker: Maker) -> None:
        """Use the facts of one Slicer version."""
        cls.facts, cls.maker = facts, maker

    @classmethod
    def standin_name(cls, kind: type) -> str | None:
        """The nearest Slicer or CTK class among a Qt class's ancestors, or None for classes of Qt itself."""
        return next((one.__name__ for one in kind.__mro__ if one.__name__ in cls.facts), None)

    @classmethod
    def reachable(cls, kind: type, member: str) -> bool:
        """Whether real Slicer lets Python reach this member."""
        for one in kind.__mro__:
            if one.__name__ in cls.facts:
                if cls.facts.widget_class(one.__name__).knows(member):
                    return True
            elif one.__module__.startswith("PySide6"):
                return hasattr(one, member)
        return False


class _ProxyMeta(type):
    """Class-level access: enums and static functions of the Qt class."""

    def __getattr__(cls, name: str) -> Any:
        qt_class = type.__getattribute__(cls, "qt_class")
        if name.startswith("_") or not hasattr(qt_class, name):
            raise AttributeError(name)
        value = getattr(qt_class, name)
        return _call_unwrapped(value) if callable(value) and not isinstance(value, type) else value


class Proxy(metaclass=_ProxyMeta):
    """One Qt object under PythonQt's rules."""

    qt_class: ClassVar[type] = QtCore.QObject

    def __init__(self, *arguments: Any, **properties: Any) -> None:
        qt_class = _with_event_filter(self) if "eventFilter" in vars(type(self)) else self.qt_class
        qt_object = qt_class(*[unwrap(argument) for argument in arguments])
        object.__setattr__(self, "_qt", qt_object)
        _remember(qt_object, self)
        for name, value in properties.items():
            setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        qt_object = object.__getattribute__(self, "_qt")
        special = _SPECIAL.get(name)
        if special:
            return lambda *arguments: special(qt_object, *arguments)
        name = "objectName" if name == "name" else name
        if qt_object.metaObject().indexOfProperty(name) >= 0:
            return wrap(qt_object.property(name))
        if name in [bytes(one).decode() for one in qt_object.dynamicPropertyNames()]:
            return wrap(qt_object.property(name))
        kind = type(qt_object)
        if name.startswith("_") or not Rules.reachable(kind, name):
            if not name.startswith("_"):
                PROBLEMS.report(f"{kind.__name__}.{name}: Slicer {Rules.facts.version} has no such member")
            raise AttributeError(f"{kind.__name__} has no attribute {name}")
        member = getattr(qt_object, name, None)
        if member is None:
            return lambda *arguments: None  # known to Slicer, without behaviour in the stand-in
        if isinstance(member, QtCore.SignalInstance):
            return BoundSignal(qt_object, name)
        return _call_unwrapped(member) if callable(member) else wrap(member)

    def __setattr__(self, name: str, value: Any) -> None:
        qt_object = object.__getattribute__(self, "_qt")
        name = "objectName" if name == "name" else name
        if qt_object.metaObject().indexOfProperty(name) < 0:
            if type(self) not in _classes.values():  # a class derived in Python may have attributes of its own
                object.__setattr__(self, name, value)
                return
            PROBLEMS.report(f"{type(qt_object).__name__}.{name} = ...: not a property, PythonQt refuses it")
            raise AttributeError(f"{type(qt_object).__name__} has no property {name}")
        plain = list(unwrap(value)) if isinstance(value, tuple) else unwrap(value)  # any sequence is a QStringList
        if not qt_object.setProperty(name, plain):
            PROBLEMS.report(f"{type(qt_object).__name__}.{name} = {value!r}: Qt refuses the value")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Proxy) and object.__getattribute__(other, "_qt") is object.__getattribute__(
            self, "_qt"
        )

    def __hash__(self) -> int:
        return id(object.__getattribute__(self, "_qt"))

    def __bool__(self) -> bool:
        return shiboken6.isValid(object.__getattribute__(self, "_qt"))

    def __repr__(self) -> str:
        qt_object = object.__getattribute__(self, "_qt")
        return f"<{type(qt_object).__name__} {qt_object.objectName() if self else '(deleted)'}>"


class BoundSignal:
    """A signal of one object, as PythonQt shows it."""

    def __init__(self, qt_object: QtCore.QObject, name: str) -> None:
        self._object = qt_object
        self._name = name

    def connect(self, function: Callable[..., Any]) -> bool:
        """Call ``function`` with as many of the signal's arguments as it takes."""
        adapted = _adapted(function)
        _connections(self._object).append((self._name, function, adapted))
        getattr(self._object, self._name).connect(adapted)
        return True

    def disconnect(self, function: Callable[..., Any] | None = None) -> bool:
        """Stop calling ``function``, or all functions."""
        known = _connections(self._object)
        for entry in list(known):
            if entry[0] == self._name and (function is None or entry[1] == function):
                getattr(self._object, self._name).disconnect(entry[2])
                known.remove(entry)
        return True

    def emit(self, *arguments: Any) -> None:
        """Send the signal."""
        getattr(self._object, self._name).emit(*[unwrap(argument) for argument in arguments])

    __call__ = emit


def wrap(value: Any) -> Any:
    """Give Python a Qt object, or a list of them, under PythonQt's rules."""
    if isinstance(value, QtCore.QObject):
        entry = _live.get(_address(value))
        if entry and shiboken6.isValid(entry[0]) and entry[0] is value:
            return entry[1]
        proxy = object.__new__(proxy_class(type(value)))
        object.__setattr__(proxy, "_qt", value)
        _remember(value, proxy)
        return proxy
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(wrap(one) for one in value)
    return value


def unwrap(value: Any) -> Any:
    """The inverse of ``wrap``."""
    if isinstance(value, Proxy):
        return object.__getattribute__(value, "_qt")
    if isinstance(value, type) and issubclass(value, Proxy):
        return value.qt_class
    if isinstance(value, (list, tuple)):
        return type(value)(unwrap(one) for one in value)
    return value


def proxy_class(qt_class: type) -> type[Proxy]:
    """The proxy class of a Qt class; the same one each time, as ``type(widget) == qt.QCheckBox`` demands."""
    if qt_class not in _classes:
        _classes[qt_class] = type(qt_class.__name__, (Proxy,), {"qt_class": qt_class})
    return _classes[qt_class]


def _with_event_filter(proxy: Proxy) -> type:
    """A Qt class whose ``eventFilter`` is the one that a Python class derived from a proxy class defines."""
    function = type(proxy).eventFilter

    def event_filter(_self: QtCore.QObject, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        return bool(function(proxy, wrap(watched), event))

    return type(type(proxy).__name__, (proxy.qt_class,), {"eventFilter": event_filter})


def _address(qt_object: QtCore.QObject) -> int:
    return shiboken6.getCppPointer(qt_object)[0]


def _remember(qt_object: QtCore.QObject, proxy: Proxy) -> None:
    _live[_address(qt_object)] = (qt_object, proxy)


def _connections(qt_object: QtCore.QObject) -> list[tuple[str, Callable, Callable]]:
    return qt_object.__dict__.setdefault("_python_connections", [])


def _call_unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: wrap(function(*[unwrap(argument) for argument in arguments]))


def _adapted(function: Callable[..., Any]) -> Callable[..., Any]:
    kinds = inspect.Parameter
    parameters = inspect.signature(function).parameters.values()
    takes_all = any(one.kind is kinds.VAR_POSITIONAL for one in parameters)
    count = sum(one.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD) for one in parameters)

    def adapted(*arguments: Any) -> None:
        function(*[wrap(argument) for argument in (arguments if takes_all else arguments[:count])])

    return adapted


def _check_signature(qt_object: QtCore.QObject, signature: str) -> str | None:
    """The signal's name; None, with a problem reported, when real Slicer would not connect it."""
    name, _, arguments = signature.rstrip(")").partition("(")
    kind = type(qt_object)
    standin = Rules.standin_name(kind)
    if standin and name in Rules.facts.widget_class(standin).signals:
        known = ",".join(SIGNATURES[name]) if name in SIGNATURES else None
        if known is None or arguments.replace("const ", "").replace("&", "").replace(" ", "") == known:
            return name
    elif qt_object.metaObject().indexOfSignal(_normalized(signature)) >= 0:
        return name
    PROBLEMS.report(f"{kind.__name__}.connect({signature!r}): Slicer {Rules.facts.version} has no such signal")
    return None


def _normalized(signature: str) -> str:
    # PySide6's type hints want bytes, which it refuses
    return bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()  # type: ignore[arg-type]


def _connect(qt_object: QtCore.QObject, signature: str, function: Callable[..., Any]) -> bool:
    name = _check_signature(qt_object, signature)
    return bool(name) and BoundSignal(qt_object, name).connect(function)


def _disconnect(qt_object: QtCore.QObject, signature: str, function: Callable[..., Any] | None = None) -> bool:
    name = _check_signature(qt_object, signature)
    return bool(name) and BoundSignal(qt_object, name).disconnect(function)


_SPECIAL: dict[str, Callable[..., Any]] = {
    "connect": _connect,
    "disconnect": _disconnect,
    "className": lambda qt_object: type(qt_object).__name__,
}
