"""The output folder of one case: a result appears in it whole, and nothing that a person saved there is lost.

A result is written to a hidden folder first and then put in place by one exchange of names, so that a kill at any
moment leaves the old folder or the new one. Where the folder cannot be exchanged (it is a mount point or the working
directory, or its parent is not writable), files are moved into it, ``run.json`` last.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.readers.digest import file_digest
from UltrasoundLesionSegLib.writers.atomic import UNFINISHED

RECORD = "run.json"  # moved in last: a folder with this file is a finished case
PART = ".part"
SECONDS_UNTIL_STALE = 24 * 3600.0  # no result takes that long to write
_NOT_CONTENT = (".ds_store", "thumbs.db", "desktop.ini")  # made by file managers when a folder is looked at
_RENAME_EXCHANGE = 2  # linux/fs.h
_RENAME_SWAP = 2  # macOS, sys/stdio.h
_AT_FDCWD = -100  # linux/fcntl.h


class OutputFolder:
    """Where one case is written to.

    Parameters
    ----------
    folder : Path
        Need not exist.
    overwrite : bool
        Whether files of the same names, and an earlier result whatever its source, may be replaced. Other files stay.

    Raises
    ------
    OutputError
        When it cannot be written, or holds something else than an untouched result of this program.
    """

    def __init__(self, folder: Path, overwrite: bool = False) -> None:
        check_writable(folder)
        self.root = Path(os.path.realpath(folder))
        self._overwrite = overwrite
        self._earlier = _read_record(self.root)
        if overwrite or not _files_of(self.root):
            return
        if self._earlier is None:
            raise OutputError(
                "the output folder holds files that are no result of this program; choose an empty or a new folder, or "
                "give --overwrite, which replaces files of the same names"
            )
        if not _is_untouched(self.root, self._earlier):
            raise OutputError(
                "the output folder holds an earlier result, and files in it were added, changed or removed since; "
                "choose another folder, or give --overwrite to replace the result"
            )

    def check_source(self, digest: str) -> None:
        """Raise ``OutputError`` when the folder holds the result of another source.

        Parameters
        ----------
        digest : str
            Of the source that is about to be computed.
        """
        if self._earlier is None or self._overwrite or self._earlier["source"].get("sha256") == digest:
            return
        raise OutputError(
            "the output folder holds the result of another cine; choose another folder, or give --overwrite to "
            "replace it"
        )

    @contextlib.contextmanager
    def written(self) -> Iterator[Path]:
        """Give a hidden folder to write to, which is put in place when the block ends without an error.

        Raises
        ------
        OutputError
            When the result cannot be put in place.
        """
        self._remove_stale()
        stage = self._new_stage()
        UNFINISHED.add(stage)
        try:
            yield stage
            try:
                self._publish(stage)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                raise OutputError(f"the result cannot be put into the output folder ({reason})") from None
        finally:
            shutil.rmtree(stage, ignore_errors=True)
            UNFINISHED.discard(stage)

    def _remove_stale(self) -> None:
        """Remove what a run that was killed while it wrote left behind, a day later."""
        for left in [*self.root.parent.glob(f".{_short(self.root)}.*{PART}"), *self.root.glob(f".*{PART}")]:
            with contextlib.suppress(OSError):
                if left.is_dir() and time.time() - left.stat().st_mtime > SECONDS_UNTIL_STALE:
                    shutil.rmtree(left, ignore_errors=True)

    def _new_stage(self) -> Path:
        name = f".{_short(self.root)}.{secrets.token_hex(6)}{PART}"
        for parent in (self.root.parent, self.root):
            try:
                parent.mkdir(parents=True, exist_ok=True)
                (parent / name).mkdir()
            except OSError:
                continue
            return parent / name
        raise OutputError("the output folder cannot be written; choose one with permission, on a disk with room")

    def _publish(self, stage: Path) -> None:
        root = self.root
        if not root.exists():
            stage.rename(root)
            return
        kept = _files_of(root) - set(self._earlier["outputs"] if self._earlier else ()) - {RECORD}
        is_left_alone = not kept and stage.parent == root.parent and not Path.cwd().is_relative_to(root)
        if is_left_alone:
            with contextlib.suppress(OSError):
                shutil.copymode(root, stage)
                _exchange(stage, root)
                return  # the stage is now the old result, and is removed
        self._move_in(stage)

    def _move_in(self, stage: Path) -> None:
        """Replace an earlier result file by file; other files stay."""
        if self._earlier is not None:
            for name in (RECORD, *self._earlier["outputs"]):
                (self.root / name).unlink(missing_ok=True)
            for folder in sorted({(self.root / name).parent for name in self._earlier["outputs"]} - {self.root}):
                with contextlib.suppress(OSError):  # files of somebody else are in it
                    folder.rmdir()
        for name in sorted(_files_of(stage), key=lambda one: (one == RECORD, one)):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (stage / name).replace(self.root / name)


def check_writable(folder: Path) -> None:
    """Raise ``OutputError`` now rather than after minutes of computing when a folder cannot be written.

    Parameters
    ----------
    folder : Path
        Need not exist.
    """
    existing = folder.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        # permissions alone say too little: nothing can be made in /proc, nor on a share that is read-only
        tempfile.TemporaryDirectory(prefix=".", suffix=PART, dir=existing).cleanup()
    except OSError:
        raise OutputError(
            "the output folder cannot be written; choose a folder, not a file, with permission to write"
        ) from None


def _short(folder: Path) -> str:
    return folder.name[:100].translate(str.maketrans("*?[]", "____"))


def _files_of(folder: Path) -> set[str]:
    """Return the files below a folder, relative to it; without file managers' own and without unfinished results."""
    found = set()
    for path in folder.rglob("*") if folder.is_dir() else ():
        name = path.relative_to(folder)
        if not path.is_dir() and path.name.lower() not in _NOT_CONTENT and not name.parts[0].endswith(PART):
            found.add(name.as_posix())
    return found


def is_result(folder: Path) -> bool:
    """Whether a folder holds the result of a case, as this program writes it."""
    return _read_record(folder) is not None


def _read_record(folder: Path) -> dict[str, Any] | None:
    """Return the ``run.json`` of an earlier result, None where there is none that this program wrote."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        names = [Path(name) for name in record["outputs"]]
        is_ours = record["software"]["name"] == "ultrasound-lesion-seg" and isinstance(record["source"], dict)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    is_inside = not any(name.is_absolute() or ".." in name.parts for name in names)
    return record if is_ours and is_inside else None


def _is_untouched(folder: Path, record: dict[str, Any]) -> bool:
    """Whether a result is as it was written: no file added, changed or removed."""
    outputs = record["outputs"]
    if not isinstance(outputs, dict) or _files_of(folder) != {RECORD, *outputs}:
        return False
    return all(file_digest(folder / name) == one.get("sha256") for name, one in outputs.items())


def _exchange(one: Path, other: Path) -> None:
    """Exchange the names of two folders in one step; raises ``OSError`` where the system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            failed = library.renamex_np(*names, _RENAME_SWAP)
        else:
            failed = library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    except AttributeError:
        raise OSError("no exchange of names on this system") from None
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
