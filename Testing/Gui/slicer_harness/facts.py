"""What is known of Slicer's and CTK's widget classes, read from their headers: bases, properties, signals, slots.

The files (``qt_v5.10.0.json``, ``qt_v5.12.3.json``) lie in ``../shared/facts`` beside the checkout, or in the folder
that ``ULS_FACTS`` names. A class's *own* members are in the file; here they are answered with those of its bases.
Classes of Qt itself are not in the files: they are asked of PySide6's meta objects instead.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

VERSIONS = ("5.10.0", "5.12.3")


def facts_folder() -> Path:
    """Where the facts are, whether they exist or not."""
    named = os.environ.get("ULS_FACTS")
    return Path(named) if named else Path(__file__).resolve().parents[4] / "shared" / "facts"


def facts_file(version: str) -> Path:
    """The file of one Slicer version."""
    return facts_folder() / f"qt_v{version}.json"


@dataclass(frozen=True)
class WidgetClass:
    """One class of Slicer or CTK with what it inherits from other classes of Slicer and CTK.

    Parameters
    ----------
    name : str
    qt_base : str
        The nearest base that is a class of Qt, e.g. ``QWidget``.
    properties : dict of str to str
        Name to C++ type.
    signals, slots, invokable : frozenset of str
        Names without their arguments.
    """

    name: str
    qt_base: str
    properties: dict[str, str]
    signals: frozenset[str]
    slots: frozenset[str]
    invokable: frozenset[str]

    def knows(self, member: str) -> bool:
        """Whether Python can reach ``member`` on an object of this class (Qt's own members apart)."""
        return member in self.properties or member in self.signals | self.slots | self.invokable


class Facts:
    """The widget classes that all of some Slicer versions have, each with the members that all of them have.

    Parameters
    ----------
    versions : str
        One or more of ``VERSIONS``.

    Raises
    ------
    FileNotFoundError
        When the facts of a version are not here.
    """

    def __init__(self, *versions: str) -> None:
        contents = [json.loads(facts_file(version).read_text()) for version in versions]
        self.version = " and ".join(versions)
        self._plugins = frozenset.intersection(*[frozenset(content["plugins"]) for content in contents])
        self._classes = contents[0]["classes"]
        for content in contents[1:]:
            self._classes = _common_classes(self._classes, content["classes"])
        self._resolved: dict[str, WidgetClass] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._classes

    def has_designer_plugin(self, name: str) -> bool:
        """Whether Qt's loader can make this class from a .ui file."""
        return name in self._plugins or f"{name}Plugin" in self._plugins

    def bases(self, name: str) -> tuple[str, ...]:
        """The direct bases of a class, of Slicer, CTK or Qt."""
        return tuple(self._classes[name]["bases"])

    def widget_class(self, name: str) -> WidgetClass:
        """A class with everything it inherits; raises ``KeyError`` for a class that is not in the file."""
        if name not in self._resolved:
            self._resolved[name] = self._resolve(name)
        return self._resolved[name]

    def _resolve(self, name: str) -> WidgetClass:
        entry = self._classes[name]
        properties: dict[str, str] = {}
        members: dict[str, set[str]] = {"signals": set(), "slots": set(), "invokable": set()}
        qt_base = ""
        for base in entry["bases"]:
            if base in self._classes:
                inherited = self.widget_class(base)
                properties |= inherited.properties
                for kind, names in members.items():
                    names |= getattr(inherited, kind)
                qt_base = qt_base or inherited.qt_base
            elif base.startswith("Q"):
                qt_base = qt_base or base
        properties |= entry["props"]
        for kind, names in members.items():
            names |= set(entry[kind])
        frozen = {kind: frozenset(names) for kind, names in members.items()}
        return WidgetClass(name, qt_base or "QObject", properties, **frozen)


def _common_classes(one: dict[str, dict], other: dict[str, dict]) -> dict[str, dict]:
    common = {}
    for name in one.keys() & other.keys():
        left, right = one[name], other[name]
        common[name] = {
            "bases": left["bases"],
            "props": {prop: kind for prop, kind in left["props"].items() if prop in right["props"]},
            **{kind: sorted(set(left[kind]) & set(right[kind])) for kind in ("signals", "slots", "invokable")},
        }
    return common
