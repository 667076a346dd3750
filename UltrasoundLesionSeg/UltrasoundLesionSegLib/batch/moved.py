"""Cases whose source has another path now: a file that was moved or renamed, or a cine that was exported again.

It is told by its content, else by its pixels, so that the case keeps its name, its result and its readers' work.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from UltrasoundLesionSegLib.batch.fingerprint import content_digest
from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.manifest import BatchCase
from UltrasoundLesionSegLib.errors import LesionSegError, ReviewError
from UltrasoundLesionSegLib.reader_work.record import SourceNote
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder


def computed_source(folder: BatchFolder, case: str) -> tuple[str | None, SourceNote | None]:
    """Return the digest of the content of the source that a case was computed from, and the cine; None if not known.

    Parameters
    ----------
    folder : BatchFolder
    case : str
    """
    record = folder.record(case) or {}
    inputs, computed = record.get("inputs"), record.get("source", {})
    digest = inputs.get("source") if isinstance(inputs, dict) else None
    with contextlib.suppress(KeyError, TypeError):
        return digest, SourceNote(*(computed[name] for name in ("sha256", "frames", "height", "width", "pixels")))
    return digest, None


def moved_sources(
    new: Sequence[BatchCase],
    lost: Sequence[str],
    folder: BatchFolder,
    progress: Callable[[int], None] | None = None,
) -> dict[Path, str]:
    """Return which sources are those of cases whose own source is not where it was.

    Parameters
    ----------
    new : sequence of BatchCase
        Cases whose sources no earlier run had.
    lost : sequence of str
        Names of the cases whose source is gone.
    folder : BatchFolder
    progress : callable, optional
        Called with the number of files read; an exception it raises ends the search.

    Returns
    -------
    dict of Path to str
        By source: the name of its case. A case gets one source, the first that has its content.
    """
    found: dict[Path, str] = {}
    known = {}
    for name in lost:
        content, cine = computed_source(folder, name)
        known[name] = content, [*([cine] if cine else []), *_worked_on(folder, name)]
    looked_at = 0
    # by content first: the pixels of a cine are read only if no file with its content was found
    for tell in (_with_content, _with_pixels):
        for case in new:
            if not known:
                return found
            if case.source in found:
                continue
            looked_at += 1
            if progress:
                progress(looked_at)
            with contextlib.suppress(LesionSegError):
                same = tell(case, known)
                if same is not None:
                    found[case.source] = same
                    del known[same]
    return found


_Known = Mapping[str, tuple[str | None, Sequence[SourceNote]]]


def _with_content(case: BatchCase, known: _Known) -> str | None:
    digest = content_digest(case.source)
    return next((name for name, (content, _) in known.items() if content == digest), None)


def _with_pixels(case: BatchCase, known: _Known) -> str | None:
    from UltrasoundLesionSegLib.readers.open import read_cine

    cine = read_cine(case.source, leave_out=[seed.path for seed in case.seeds])
    return next((name for name, (_, notes) in known.items() if any(note.shows(cine) for note in notes)), None)


def _worked_on(folder: BatchFolder, case: str) -> Iterator[SourceNote]:
    reviews = ReviewFolder(folder.root)
    for reader in reviews.readers():
        with contextlib.suppress(ReviewError):
            record = reviews.work(reader, case).record()
            if record is not None and record.source is not None:
                yield record.source
