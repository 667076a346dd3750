"""What is given to the public methods of the workflow: its type is checked here, before a method begins.

A method says what it takes in its annotations; what comes with another type, or as None where that is not allowed,
raises the library's error with a sentence for people. Whether a value fits the cine (a frame, a name, a range of
frames) is for the method to say.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from UltrasoundLesionSegLib.errors import DeviceError, LesionSegError, ModelError, OutputError, SceneError, SeedError

Class = TypeVar("Class", bound=type)

BROWSER = "vtkMRMLSequenceBrowserNode"  # nodes are annotated as Any, and known by the argument's name
NODES = {"browser": BROWSER, "node": "vtkMRMLNode"}
# which error says that an argument is wrong, where it is not SceneError, and what to give instead
ERRORS: dict[str, type[LesionSegError]] = {
    "box": SeedError,
    "device": DeviceError,
    "model": ModelError,
    "directory": OutputError,
    "kinds": OutputError,
    "measured": OutputError,
    "of": OutputError,
    "origin": SeedError,
    "path": SeedError,
    "points": SeedError,
    "source": SeedError,
}
ADVICE = {
    "box": "give (top, left, bottom, right)",
    "browser": "give the browser node that loadCine or useNode returned",
    "device": "give a name such as 'auto' or 'cpu'",
    "direction": "give 'forward', 'backward' or 'both'",
    "directory": "name the folder that the files are to be in",
    "kinds": "give a list of names such as ['csv', 'masks']",
    "model": "give the name of a model, or leave it out",
    "node": "give a sequence browser node or a volume node whose slices are frames",
    "path": "name a file",
    "points": "give a list of (row, column)",
    "segment": "give the name or the ID of a lesion",
}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_two_numbers(value: Any) -> bool:
    numbers = list(value) if isinstance(value, Iterable) else []
    return len(numbers) == 2 and all(isinstance(one, Real) for one in numbers)


# by what the annotation begins with: what it means for people, and whether a value is that
TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "None": ("None", lambda value: value is None),
    "str": ("text", _is_text),
    "Path": ("a path", lambda value: isinstance(value, Path)),
    "bool": ("True or False", lambda value: isinstance(value, (bool, np.bool_))),
    "float": ("a number", lambda value: isinstance(value, Real)),
    "tuple[float, float]": ("two numbers", _are_two_numbers),
    "NDArray": ("an array", lambda value: isinstance(value, np.ndarray)),
    "Mapping": ("a mapping", lambda value: isinstance(value, Mapping)),
    "Mapping[str, str]": ("a mapping of text", lambda value: isinstance(value, Mapping) and _are_texts(value.values())),
    "Sequence": ("a list", lambda value: isinstance(value, Iterable) and not isinstance(value, (str, bytes))),
    "Sequence[str]": ("a list of text", lambda value: _are_texts(value)),
    "Sequence[ReaderAnchor]": ("a list of ReaderAnchor", lambda value: _are_named("ReaderAnchor", value)),
    "Callable": ("a function", callable),
    "EditableArea": ("a function", callable),
    "Cine": ("a Cine", lambda value: _is_named("Cine", value)),
    "CineMeasurements": ("what measure returned", lambda value: _is_named("CineMeasurements", value)),
    "Origin": ("an Origin", lambda value: _is_named("Origin", value)),
    BROWSER: ("a sequence browser node", lambda value: _is_node(BROWSER, value)),
    "vtkMRMLNode": ("a node", lambda value: _is_node("vtkMRMLNode", value)),
}


def _are_texts(value: Any) -> bool:
    is_list = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    return is_list and all(isinstance(one, str) for one in value)


def _is_named(name: str, value: Any) -> bool:
    """Whether a value is of a class of this name: the classes themselves are imported when they are needed."""
    return any(one.__name__ == name for one in type(value).__mro__)


def _are_named(name: str, value: Any) -> bool:
    return isinstance(value, Iterable) and all(_is_named(name, one) for one in value)


def _is_node(kind: str, value: Any) -> bool:
    return hasattr(value, "IsA") and not isinstance(value, type) and bool(value.IsA(kind))


def checks_arguments(layer: Class) -> Class:
    """Let the public methods that a class defines check the types of their arguments. A class decorator.

    They raise ``LesionSegError``, of the kind in ``ERRORS``.
    """
    for name, method in list(vars(layer).items()):
        if inspect.isfunction(method) and not name.startswith("_"):
            setattr(layer, name, _checking(method))
    return layer


def _checking(method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(method)
    expected = {name: kinds for name, one in signature.parameters.items() if (kinds := _kinds_of(one))}

    @functools.wraps(method)
    def checked(*given: Any, **named: Any) -> Any:
        with suppress(TypeError):  # of too few or too many arguments: Python says that best itself
            for name, value in signature.bind(*given, **named).arguments.items():
                if name in expected:
                    _check(method.__name__, name, value, expected[name])
        return method(*given, **named)

    return checked


def _kinds_of(parameter: inspect.Parameter) -> list[str]:
    """Return the types that an argument may have, as ``TYPES`` lists them; none where that is not checked here."""
    annotation = str(parameter.annotation)
    if parameter.name in NODES:
        annotation = annotation.replace("Any", NODES[parameter.name])
    kinds = [_kind(one) for one in re.split(r" \| (?![^\[]*\])", annotation)]
    return [one for one in kinds if one] if all(kinds) else []


def _kind(annotation: str) -> str:
    beginnings = [one for one in TYPES if re.match(rf"{re.escape(one)}(?!\w)", annotation)]
    return max(beginnings, key=len, default="")


def _check(method: str, name: str, value: Any, kinds: list[str]) -> None:
    is_no_name = "Path" in kinds and isinstance(value, str) and not value.strip()
    if not is_no_name and any(TYPES[one][1](value) for one in kinds):
        return
    what = "None" if value is None else "empty" if is_no_name else f"of type {type(value).__name__}"
    wanted = " or ".join(TYPES[one][0] for one in kinds if one != "None")
    advice = ADVICE.get(name, f"give {wanted}")
    raise ERRORS.get(name, SceneError)(f"the argument '{name}' of {method} is {what}, not {wanted}; {advice}")
