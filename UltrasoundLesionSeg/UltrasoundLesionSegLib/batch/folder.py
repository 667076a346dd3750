"""The output folder of a batch: what is where, and how a case appears in it whole or not at all.

    cases/NAME/        one finished case, as ``segment`` writes it; ``run.json`` is in it
    cases.csv, summary.png, index.html, index-2.html: over all cases
    earlier/NAME-1/    a result that somebody had worked on before it was computed again: nothing of theirs is lost
    earlier/cases-1.csv  the same of the tables and pages
    key/               the only files that name sources: keep or delete them as you do with names
    logs/              one file a run
    .batch/            the lock, cases in work, and results on their way out

A case is computed in ``.batch/work`` and its folder renamed into ``cases``. Only the batch itself does that, never a
worker: one that outlives its batch for a moment can put nothing in place. A result that is replaced waits in
``.batch/old`` for the moment between two renames; a kill in between is repaired at the next start.

A folder that holds other files can be used as long as none of them has a name of the list above.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.batch.lock import locked
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.readers.digest import file_digest
from UltrasoundLesionSegLib.workflow.output_folder import RECORD, check_writable, is_result
from UltrasoundLesionSegLib.writers.atomic import atomic_path, folder_to_disk

CASES, EARLIER, KEY, LOGS, HIDDEN, LOCK = "cases", "earlier", "key", "logs", ".batch", "lock"
TABLE, PLOT, PAGE = "cases.csv", "summary.png", "index.html"
_FURTHER_PAGE = re.compile(r"index-[0-9]+\.html")
SOURCES, FAILED = "sources.csv", "failed.csv"


class BatchFolder:
    """The output folder of a batch, used inside ``with folder.held():``.

    Parameters
    ----------
    root : Path
        Made when it is not there.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.cases = self.root / CASES
        self.sources = self.root / KEY / SOURCES
        self.failed = self.root / KEY / FAILED
        self.logs = self.root / LOGS
        self._old = self.root / HIDDEN / "old"
        self._digests = self.root / HIDDEN / "written.json"
        # every run has a folder of its own: workers of a run that was killed may still be writing in theirs
        self.work = self.root / HIDDEN / "work" / secrets.token_hex(6)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder ready and keep other batches out of it as long as the block lasts.

        Raises
        ------
        BatchError
            When another batch holds it.
        OutputError
            When it cannot be written, or holds files of somebody else under names that a batch writes.
        """
        check_writable(self.root)
        try:
            self._check_own()
            # the hidden one first: it says that the others are ours
            for folder in (self._old, self.cases, self.sources.parent, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _not_written(error) from None
        with locked(self.root / HIDDEN / LOCK):
            try:
                self._recover()
                self.work.mkdir(parents=True)
            except OSError as error:
                raise _not_written(error) from None
            try:
                yield
            finally:
                shutil.rmtree(self.work.parent, ignore_errors=True)
                for made_anew in (self.root / HIDDEN, self.root):  # by a worker, where ours was renamed: empty
                    with contextlib.suppress(OSError):
                        made_anew.rmdir()

    def check_there(self) -> None:
        """Raise ``OutputError`` when the folder was moved or renamed since it is held."""
        if not (self.root / HIDDEN / LOCK).is_file():
            raise OutputError(
                "the output folder is not where it was, as if it was moved or renamed, or its drive was removed; put "
                "it back and run the batch again, which computes the cases that are missing"
            )

    def _check_own(self) -> None:
        if self.is_own():
            return
        names = [name for name in (CASES, EARLIER, KEY, LOGS, TABLE, PLOT, PAGE) if _is_filled(self.root / name)]
        if names := names + self.further_pages():
            raise OutputError(
                f"the output folder holds '{names[0]}' of another program or person, which would be replaced; choose a "
                "new or an empty folder"
            )

    def further_pages(self) -> list[str]:
        """Return the names of the pages after the first one."""
        return sorted(path.name for path in self.root.glob("index-*") if _FURTHER_PAGE.fullmatch(path.name))

    def is_own(self) -> bool:
        """Whether a batch, or the export of a study, has written here before."""
        if (self.root / HIDDEN).is_dir() or self.sources.is_file():
            return True
        # a copy without hidden files
        return self.cases.is_dir() and any(is_result(path) for path in self.cases.iterdir())

    def _recover(self) -> None:
        """Finish what a killed run left: results between two renames, cases half computed, tables half written."""
        for folder in (self.root, self.sources.parent):
            for part in folder.glob(".*.part.*"):  # as ``atomic_path`` calls them
                part.unlink()
        for waiting in self._old.iterdir():
            if (self.cases / waiting.name).exists():
                shutil.rmtree(waiting, ignore_errors=True)
            else:
                waiting.rename(self.cases / waiting.name)
        shutil.rmtree(self.work.parent, ignore_errors=True)

    def record(self, name: str) -> dict[str, Any] | None:
        """Return the ``run.json`` of a finished case whose files are all there, or None.

        Parameters
        ----------
        name : str
        """
        try:
            record = json.loads((self.cases / name / RECORD).read_text(encoding="utf-8"))
            complete = all((self.cases / name / one).is_file() for one in record["outputs"])
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return record if complete else None

    def names(self) -> list[str]:
        """Return the names of all folders of cases, finished ones or not."""
        return sorted(path.name for path in self.cases.iterdir() if path.is_dir())

    def publish(self, name: str, computed: Path) -> None:
        """Put a computed case in place, instead of an earlier result of the same name if there is one.

        Parameters
        ----------
        name : str
        computed : Path
            A folder below ``work`` with a ``run.json``.

        Raises
        ------
        OutputError
            When it is not complete or cannot be moved; an earlier result is then as it was.
        """
        final, waiting = self.cases / name, self._old / name
        if not (computed / RECORD).is_file():
            raise OutputError("the case's folder is not complete; run the batch again")
        try:
            _to_disk(computed)
            shutil.rmtree(waiting, ignore_errors=True)
            if final.exists():
                final.rename(waiting)
            try:
                computed.rename(final)
            except OSError:
                if waiting.exists():
                    waiting.rename(final)
                raise
            folder_to_disk(self.cases)
            if waiting.exists():
                self._let_go(name, waiting)
        except OSError as error:
            raise _not_written(error) from None

    def _let_go(self, name: str, replaced: Path) -> None:
        """Remove a result that was replaced, or keep it aside when a person has worked on it."""
        if not _is_touched(replaced):
            shutil.rmtree(replaced, ignore_errors=True)
            return
        self._put_aside(replaced, name)

    def retire(self, name: str) -> None:
        """Move a case that no longer belongs in ``cases`` to ``earlier``.

        Raises
        ------
        OutputError
            When it cannot be moved.
        """
        try:
            self._put_aside(self.cases / name, name)
        except OSError as error:
            raise _not_written(error) from None

    def put_changed_aside(self) -> None:
        """Move those tables and pages to ``earlier`` that somebody has changed or put there since they were written.

        Raises
        ------
        OutputError
            When one cannot be moved.
        """
        written = self._written()
        try:
            for path in (self.root / name for name in (TABLE, PLOT, PAGE, *self.further_pages())):
                if written and path.is_file() and file_digest(path) != written.get(path.name):
                    self._put_aside(path, path.stem, path.suffix)
            # until they are written again nothing is known of them: a kill in between must not make them look changed
            self._digests.unlink(missing_ok=True)
        except OSError as error:
            raise _not_written(error) from None

    def remember_written(self, names: Iterable[str]) -> None:
        """Remember tables and pages as they were just written.

        Raises
        ------
        OutputError
            When it cannot be written down.
        """
        with atomic_path(self._digests) as temporary:
            temporary.write_text(json.dumps({name: file_digest(self.root / name) for name in names}), encoding="utf-8")

    def _written(self) -> dict[str, str]:
        try:
            written = json.loads(self._digests.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return written if isinstance(written, dict) else {}

    def _put_aside(self, path: Path, name: str, suffix: str = "") -> None:
        aside = self.root / EARLIER
        aside.mkdir(exist_ok=True)
        number = 1
        while (aside / f"{name}-{number}{suffix}").exists():
            number += 1
        path.rename(aside / f"{name}-{number}{suffix}")


def _is_filled(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else os.path.lexists(path)


def _is_touched(folder: Path) -> bool:
    """Whether files were added to a result or changed in it after its ``run.json``, its last file, was written."""
    record = folder / RECORD
    finished = record.stat().st_mtime
    try:
        outputs = json.loads(record.read_text(encoding="utf-8"))["outputs"]
        # an earlier version wrote their names alone
        digests = {name: one["sha256"] for name, one in outputs.items()} if isinstance(outputs, dict) else {}
        known = {RECORD, *outputs}
    except (ValueError, TypeError, KeyError):
        return True
    for path in (path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name not in known or path.stat().st_mtime > finished:
            return True
        if name in digests and file_digest(path) != digests[name]:  # a copy can have an older date
            return True
    return False


def _to_disk(folder: Path) -> None:
    """Have everything in a folder on the disk: its files' data was synced when each was written, the names were not."""
    for directory, _, _ in os.walk(folder):
        folder_to_disk(Path(directory))


def _not_written(error: OSError) -> OutputError:
    reason = error.strerror or type(error).__name__
    return OutputError(
        f"the output folder cannot be written ({reason}); choose one with permission to write, on a disk with room"
    )
