"""The cines of a batch's cases, opened again, wherever they are now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from UltrasoundLesionSegLib.batch.fingerprint import content_digest
from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.manifest import BatchCase, read_listed
from UltrasoundLesionSegLib.batch.moved import computed_source
from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import BatchError, LesionSegError
from UltrasoundLesionSegLib.reader_work.record import SourceNote
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder
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

    Raises
    ------
    BatchError
        When ``look_in`` is no folder, or ``output`` none that a batch or a reader wrote to.
    """

    def __init__(self, output: Path, look_in: Path | None = None, moves: dict[Path, Path] | None = None) -> None:
        if look_in is not None and not look_in.is_dir():
            raise BatchError("the folder to look for moved cines in is not there; name one that is")
        self._folder = BatchFolder(output)
        if not any(path.exists() for path in (self._folder.sources, self._folder.cases, ReviewFolder(output).root)):
            raise BatchError("the folder is no batch's output; name the folder that holds 'cases', 'key' and 'review'")
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

    def check_listed(self) -> None:
        """Raise ``BatchError`` when the cases are not listed (``listed``)."""
        _ = self.listed

    @property
    def missing(self) -> frozenset[str]:
        """The cases asked for so far whose source was not found anywhere."""
        return frozenset(self._missing)

    def cine(self, case: str, source: SourceNote | None = None) -> Cine | None:
        """Return the cine of a case; None where its source is not listed, not found, or another one now.

        Parameters
        ----------
        case : str
        source : SourceNote or None
            What the cine must be; None takes it as it is.
        """
        if self._opened[0] != case:
            self._opened = case, self._open(case, source)
        opened = self._opened[1]
        return opened if opened is not None and (source is None or source.shows(opened)) else None

    def read(self, case: str, source: SourceNote | None = None) -> Cine | None:
        """Return the cine of a case, whatever it is now; None where its source is not listed or not found.

        Parameters
        ----------
        case : str
        source : SourceNote or None
            The cine as a reader worked on it, to tell it by.

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
            path = self._moved.search(found.source, self._look_in, *recognizers(self._folder, case, source))
        if path is None:
            self._missing.add(case)
            return None
        seeds = (self._moved.present(one.path) for one in found.seeds)
        return read_cine(path, leave_out=[seed for seed in seeds if seed is not None])

    def _open(self, case: str, source: SourceNote | None) -> Cine | None:
        try:
            return self.read(case, source)
        except LesionSegError:
            return None


Recognizer = Callable[[Path], bool]


def recognizers(
    folder: BatchFolder, case: str, source: SourceNote | None = None
) -> tuple[Recognizer | None, Recognizer | None]:
    """Return what tells the source of a case by its file's content, and by its pixels; None where that is not known.

    Parameters
    ----------
    folder : BatchFolder
    case : str
    source : SourceNote or None
        The cine as a reader worked on it.
    """
    digest, computed = computed_source(folder, case)
    notes = [one for one in (source, computed) if one is not None]
    by_content: Recognizer | None = None
    if digest is not None:
        by_content = partial(_has_content, digest=digest)
    elif source is not None:
        by_content = partial(_is_cine, notes=[replace(source, pixels="")])
    by_pixels = [note for note in notes if note.pixels]
    return by_content, partial(_is_cine, notes=by_pixels) if by_pixels else None


def _has_content(path: Path, digest: str) -> bool:
    try:
        return content_digest(path) == digest
    except LesionSegError:
        return False


def _is_cine(path: Path, notes: Sequence[SourceNote]) -> bool:
    try:
        cine = read_cine(path)
        return any(note.shows(cine) for note in notes)
    except LesionSegError:
        return False
