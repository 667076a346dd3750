"""Names of lesions: one line each, and no two the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def tidied(name: str) -> str:
    """Return a name as it is stored: in one line, with single blanks."""
    return " ".join(name.split())


def free_lesion_name(name: str, taken: Collection[str]) -> str:
    """Return this name, with a number behind it where it is taken: ``Lesion (2)``."""
    number, free = 1, tidied(name)
    while free in taken:
        number += 1
        free = f"{tidied(name)} ({number})"
    return free


def distinct_names(names: Iterable[str]) -> list[str]:
    """Return the names of different lesions in their order, those that an earlier one has with a number."""
    found: list[str] = []
    for name in names:
        found.append(free_lesion_name(name, found))
    return found
