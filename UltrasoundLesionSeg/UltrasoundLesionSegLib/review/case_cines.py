"""The cines of a batch's cases, opened again, wherever they are now."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

from UltrasoundLesionSegLib.batch.fingerprint import content_digest
from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.manifest import BatchCase, read_listed
from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import BatchError, LesionSegError
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.review.sources import MovedSources


class CaseCines:
    """The sources of a batch, as ``key/sources.csv`` lists them, or where they were moved to.

    Parameters
    ----------
    output : Path
        The batch's output folder.
    look_in : Path, optional
        Where to look for sources that are not where they were.
    moves : mapping of Path to Path, optional
        Folders of sources that were moved, former to present (``Worklist.moves``).
    """

    def __init__(self, output: Path, look_in: Path | None = None, moves: dict[Path, Path] | None = None) -> None:
        self._folder = BatchFolder(output)
        self._look_in = look_in
        self._moved = MovedSources(moves)
        self._opened: tuple[str, Cine | None] = ("", None)
        self._missing: set[str] = set()

    @cached_property
    def listed(self) -> dict[str, BatchCase]:
        """The cases by name.

        Raises
        ------
        BatchError
            When the folder is no batch's, or its list of sources is not there.
        """
        path = self._folder.sources
        if not path.is_file():
            raise BatchError(
                "the folder has no list of its cases' sources (key/sources.csv); name the output folder of a batch, "
                "with its folder 'key'"
            )
        return {one.case.name: one.case for one in read_listed(path)}

    @property
    def missing(self) -> frozenset[str]:
        """The cases asked for so far whose source was not found anywhere."""
        return frozenset(self._missing)

    def cine(self, case: str, sha256: str | None = None) -> Cine | None:
        """Return the cine of a case; None where its source is not listed, not found, or another one now.

        Parameters
        ----------
        case : str
        sha256 : str or None
            What the source must be; None takes it as it is.
        """
        if self._opened[0] != case:
            self._opened = case, self._open(case, sha256)
        opened = self._opened[1]
        return opened if opened is not None and sha256 in (None, opened.identity.digest) else None

    def read(self, case: str, sha256: str | None = None) -> Cine | None:
        """Return the cine of a case, whatever it is now; None where its source is not listed or not found.

        Parameters
        ----------
        case : str
        sha256 : str or None
            Of the cine as a reader worked on it, to tell it by.

        Raises
        ------
        SourceError
            When it cannot be read.
        """
        found = self.listed.get(case)
        if found is None:
            return None
        path = self._moved.present(found.source)
        if path is None and self._look_in is not None:
            path = self._moved.search(found.source, self._look_in, recognizer(self._folder, case, sha256))
        if path is None:
            self._missing.add(case)
            return None
        seeds = (self._moved.present(one.path) for one in found.seeds)
        return read_cine(path, leave_out=[seed for seed in seeds if seed is not None])

    def _open(self, case: str, sha256: str | None) -> Cine | None:
        try:
            return self.read(case, sha256)
        except LesionSegError:
            return None


def recognizer(folder: BatchFolder, case: str, sha256: str | None = None) -> Callable[[Path], bool] | None:
    """Return what tells the source of a case by its content; None where nothing is known of it.

    Parameters
    ----------
    folder : BatchFolder
    case : str
    sha256 : str or None
        Of the cine as a reader worked on it (``SourceNote``), for a case that no batch has computed.
    """
    record = folder.record(case)
    inputs = record.get("inputs") if record else None
    digest = inputs.get("source") if isinstance(inputs, dict) else None
    if digest is not None:
        return partial(_has_content, digest=digest)
    return partial(_is_cine, sha256=sha256) if sha256 is not None else None


def _has_content(path: Path, digest: str) -> bool:
    try:
        return content_digest(path) == digest
    except LesionSegError:
        return False


def _is_cine(path: Path, sha256: str) -> bool:
    try:
        return read_cine(path).identity.digest == sha256
    except LesionSegError:
        return False
