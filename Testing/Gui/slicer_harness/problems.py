"""A list of everything done that real Slicer would refuse. Tests assert that it stays empty."""

from __future__ import annotations


class Problems:
    """Sentences, each once, in the order in which they were met."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def report(self, sentence: str) -> None:
        """Remember a problem."""
        if sentence not in self.found:
            self.found.append(sentence)

    def take(self) -> list[str]:
        """Return what was found and forget it."""
        found, self.found = self.found, []
        return found


PROBLEMS = Problems()
