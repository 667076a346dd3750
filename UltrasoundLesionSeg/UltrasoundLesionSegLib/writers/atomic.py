"""Write to a temporary name, then rename: a kill at any moment leaves the old file or the new one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

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


def remove_left_over(folder: Path, suffix: str, written: Sequence[Path]) -> None:
    """Remove numbered files (00012.png) that an earlier export left in a folder of frames.

    Parameters
    ----------
    folder : Path
    suffix : str
        Of these files, for example ``.png``; other files stay.
    written : sequence of Path
        The files that belong there now.
    """
    for path in set(folder.glob(f"{'[0-9]' * 5}{suffix}")) - set(written):
        path.unlink()
