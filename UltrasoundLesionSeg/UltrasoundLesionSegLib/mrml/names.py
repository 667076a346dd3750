"""Names of new nodes."""

from __future__ import annotations

from typing import Any


def free_name(scene: Any, name: str) -> str:
    """Return a name that no node of the scene has: this one, or with a number where it is taken.

    ``GenerateUniqueName`` alone also counts the nodes that were removed: a case that is opened a second time would be
    ``case-0001_1``.
    """
    return name if scene.GetFirstNodeByName(name) is None else str(scene.GenerateUniqueName(name))
