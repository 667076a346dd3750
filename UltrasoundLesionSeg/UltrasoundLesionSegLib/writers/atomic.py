"""Write to a temporary name, then rename: a kill at any moment leaves the old file or the new one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.errors import OutputError

UNFINISHED: set[Path] = set()
"""Temporary files and folders being written now: what a program that ends at once has to remove."""


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary path beside ``target`` that replaces it when the block ends without an error.

    The temporary name keeps the whole suffix (``.seg.nrrd``), because writers choose the format by it.

    Parameters
    ----------
    target : Path
        The file to appear; its folder is made.

    Yields
    ------
    Path
        Where to write. Removed again when the block raises.

    Raises
    ------
    OutputError
        When the folder cannot be made or the file cannot be put in place.
    """
    suffix = "".join(target.suffixes)
    temporary = target.with_name(f".{secrets.token_hex(6)}.part{suffix}")
    UNFINISHED.add(temporary)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        # the data must be on the disk before the name is, or a power cut leaves an empty file under the final name
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    except OSError as error:
        raise OutputError(
            f"the {target.suffix or 'output'} file cannot be written ({error.strerror or type(error).__name__}); "
            "choose a folder that exists, is writable and has room"
        ) from None  # the chained error would quote the path
    finally:
        # where a parent of the target is a file, there is nothing to remove and unlink says so
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        UNFINISHED.discard(temporary)


def folder_to_disk(folder: Path) -> None:
    """Have the names of a folder's files on the disk, as ``atomic_path`` has their data.

    Raises
    ------
    OSError
    """
    if os.name != "posix":
        return  # Windows keeps no handle on folders, and journals names itself
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class NumberedFiles:
    """Files of the frames of a cine (00012.png), which appear together when the block ends without an error.

    An error leaves the folder as it was. Otherwise it holds no such files of an earlier, longer cine.

    Parameters
    ----------
    folder : Path
        Made if absent.
    suffix : str
        For example ``.png``; files of other names stay.
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        self._folder, self._suffix = folder, suffix
        self._stack = contextlib.ExitStack()
        self.written: list[Path] = []

    def __enter__(self) -> NumberedFiles:
        return self

    def path(self, frame: int) -> Path:
        """Return where to write the file of a frame until the block ends."""
        target = self._folder / f"{frame:05d}{self._suffix}"
        temporary = self._stack.enter_context(atomic_path(target))
        self.written.append(target)
        return temporary

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)
        if error[0] is None:
            try:
                for path in set(self._folder.glob(f"{'[0-9]' * 5}{self._suffix}")) - set(self.written):
                    path.unlink()
            except OSError as refused:
                raise OutputError(
                    f"files of an earlier, longer cine cannot be removed ({refused.strerror}); choose another folder"
                ) from None
