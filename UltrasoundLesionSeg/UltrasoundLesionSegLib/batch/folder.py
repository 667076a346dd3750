"""The output folder of a batch: what is where, and how a case appears in it whole or not at all.

    cases/NAME/        one finished case, as ``segment`` writes it; ``run.json`` is in it
    earlier/NAME-1/    a result that somebody had worked on before it was computed again: nothing of theirs is lost
    key/               the only files that name sources: keep or delete them as you do with names
    logs/              one file a run
    .batch/            the lock, cases in work, and results on their way out

A case is computed in ``.batch/work`` and its folder renamed into ``cases``. Only the batch itself does that, never a
worker: one that outlives its batch for a moment can put nothing in place. A result that is replaced waits in
``.batch/old`` for the moment between two renames; a kill in between is repaired at the next start.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.batch.lock import locked
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.workflow.output_folder import RECORD, check_writable
from UltrasoundLesionSegLib.writers.atomic import folder_to_disk

CASES, EARLIER, KEY, LOGS, HIDDEN = "cases", "earlier", "key", "logs", ".batch"
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
            When it cannot be written.
        """
        check_writable(self.root)
        try:
            for folder in (self.cases, self.sources.parent, self.logs, self._old):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _not_written(error) from None
        with locked(self.root / HIDDEN / "lock"):
            try:
                self._recover()
                self.work.mkdir(parents=True)
            except OSError as error:
                raise _not_written(error) from None
            try:
                yield
            finally:
                shutil.rmtree(self.work.parent, ignore_errors=True)

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
        aside = self.root / EARLIER
        aside.mkdir(exist_ok=True)
        number = 1
        while (aside / f"{name}-{number}").exists():
            number += 1
        replaced.rename(aside / f"{name}-{number}")


def _is_touched(folder: Path) -> bool:
    """Whether files were added to a result or changed in it after its ``run.json``, its last file, was written."""
    record = folder / RECORD
    finished = record.stat().st_mtime
    try:
        known = {RECORD, *json.loads(record.read_text(encoding="utf-8"))["outputs"]}
    except (ValueError, TypeError, KeyError):
        return True
    files = [path for path in folder.rglob("*") if path.is_file()]
    return any(path.relative_to(folder).as_posix() not in known or path.stat().st_mtime > finished for path in files)


def _to_disk(folder: Path) -> None:
    """Have everything in a folder on the disk: its files' data was synced when each was written, the names were not."""
    for directory, _, _ in os.walk(folder):
        folder_to_disk(Path(directory))


def _not_written(error: OSError) -> OutputError:
    reason = error.strerror or type(error).__name__
    return OutputError(
        f"the output folder cannot be written ({reason}); choose one with permission to write, on a disk with room"
    )
