"""One batch at a time in an output folder: a lock of the operating system, which ends with the process holding it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from UltrasoundLesionSegLib.errors import BatchError
from UltrasoundLesionSegLib.writers.system_lock import try_lock


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on a file as long as the block lasts.

    A process that dies, and a machine that loses power, lets go of it without a trace: what the file then says is
    stale, and the next one takes over. The file stays; removing it would let two hold a lock of the same name.

    Parameters
    ----------
    path : Path
        In a folder that is there.

    Raises
    ------
    BatchError
        When another process holds it; says which one, where it is known, and since when.
    """
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BatchError(
            f"the output folder cannot be written ({reason}); choose one with permission to write"
        ) from None
    with file:
        if not try_lock(file):
            raise BatchError(
                f"the output folder is in use by another batch{_holder(file)}; wait for it to end, "
                "or choose another output folder"
            )
        with contextlib.suppress(OSError):  # on a full disk only the text is missing; the lock still holds
            file.truncate(0)
            since = datetime.now(timezone.utc).isoformat(timespec="seconds")
            file.write(f"{os.getpid()}\n{socket.gethostname()}\n{since}\n".encode())
            file.flush()
        yield


def _holder(file: BinaryIO) -> str:
    """Return ' (process 1234 on this machine, since ...)' as far as the file tells."""
    lines = file.read(1000).decode(errors="replace").splitlines()
    if len(lines) != 3 or not lines[0].isdigit():
        return ""
    machine = "this machine" if lines[1] == socket.gethostname() else "another machine"
    return f" (process {lines[0]} on {machine}, since {lines[2]})"
