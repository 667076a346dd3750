"""The cines of a batch's cases, opened again."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.manifest import BatchCase, read_listed
from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import BatchError, LesionSegError


class CaseCines:
    """The sources of a batch, as ``key/sources.csv`` lists them.

    Parameters
    ----------
    output : Path
        The batch's output folder.
    """

    def __init__(self, output: Path) -> None:
        self._output = output
        self._opened: tuple[str, Cine | None] = ("", None)

    @cached_property
    def listed(self) -> dict[str, BatchCase]:
        """The cases by name.

        Raises
        ------
        BatchError
            When the folder is no batch's, or its list of sources is not there.
        """
        path = BatchFolder(self._output).sources
        if not path.is_file():
            raise BatchError(
                "the folder has no list of its cases' sources (key/sources.csv); name the output folder of a batch, "
                "with its folder 'key'"
            )
        return {one.case.name: one.case for one in read_listed(path)}

    def cine(self, case: str, sha256: str | None = None) -> Cine | None:
        """Return the cine of a case; None where its source is not listed, not there, or another one now.

        Parameters
        ----------
        case : str
        sha256 : str or None
            What the source must be; None takes it as it is.
        """
        from UltrasoundLesionSegLib.readers.open import read_cine

        if self._opened[0] != case:
            try:
                found = self.listed.get(case)
                cine = read_cine(found.source, leave_out=[one.path for one in found.seeds]) if found else None
            except LesionSegError:
                cine = None
            self._opened = case, cine
        opened = self._opened[1]
        return opened if opened is not None and sha256 in (None, opened.identity.digest) else None
