"""Names of new nodes."""

from __future__ import annotations

from typing import Any

# Slicer saves a node in a file of its name. Its archiver takes brackets, * and ? for a file name pattern: a sequence of
# segmentations, which is a bundle of its own, is then empty, and nobody is told. An & goes into the scene's XML as it
# is: the whole scene is saved without a word, and cannot be read again.
_NOT_SAVED = str.maketrans({"[": "(", "]": ")", "*": "_", "?": "_", "&": "+"})


def name_to_save(name: str) -> str:
    """Return a name as a node or a file can have it that Slicer saves in a scene and reads again."""
    return name.translate(_NOT_SAVED)


def free_name(scene: Any, name: str) -> str:
    """Return a name that no node of the scene has: this one, or with a number where it is taken.

    ``GenerateUniqueName`` alone also counts the nodes that were removed: a case that is opened a second time would be
    ``case-0001_1``.
    """
    return name if scene.GetFirstNodeByName(name) is None else str(scene.GenerateUniqueName(name))
