"""A lock of the operating system on an open file: it ends with the process that holds it, however that ends."""

from __future__ import annotations

import errno
import sys
from typing import BinaryIO

# on Windows others cannot read a locked byte: lock one far behind the text that names the holder
_LOCKED_BYTE = 2**20
_LOCKED_BY_ANOTHER = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


def try_lock(file: BinaryIO) -> bool | None:
    """Lock a file that is open for writing as long as it stays open.

    Returns False when another has locked it, None when its drive knows no locks.

    Parameters
    ----------
    file : binary file
        Its position is at the start afterwards.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _LOCKED_BY_ANOTHER else None
    return True
