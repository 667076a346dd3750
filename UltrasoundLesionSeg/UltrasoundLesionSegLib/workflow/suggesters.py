"""Which model suggested a seed: kept with the mask in the scene, so that run records, tables and reports can say it."""

from __future__ import annotations

from dataclasses import dataclass

_MARK = "suggested"


@dataclass(frozen=True)
class Suggester:
    """A model that proposed a mask.

    Parameters
    ----------
    name, version, sha256 : str
        Of the model; the SHA-256 is that of its weights.
    """

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def as_provenance(self) -> str:
        """Return the text that is kept as the provenance of an anchor's mask."""
        return f"{_MARK}:{self.version}:{self.sha256}:{self.name}"

    @classmethod
    def from_provenance(cls, text: str) -> Suggester | None:
        """Return what ``as_provenance`` wrote; None for any other provenance."""
        mark, *parts = text.split(":", 3)
        return cls(parts[2], parts[0], parts[1]) if mark == _MARK and len(parts) == 3 else None
