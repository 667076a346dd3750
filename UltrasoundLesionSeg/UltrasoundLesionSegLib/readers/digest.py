"""The identity of a source: SHA-256 over its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from UltrasoundLesionSegLib.errors import SourceError

_BLOCK = 2**20


def file_digest(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes.

    Raises
    ------
    SourceError
        When the file cannot be read.
    """
    state = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                state.update(block)
    except OSError as error:
        raise unreadable(error) from None
    return state.hexdigest()


def digest_of_digests(digests: Iterable[str]) -> str:
    """Return the SHA-256 (hex) over the digests of a folder's files, in the order of the frames."""
    return hashlib.sha256("".join(digests).encode("ascii")).hexdigest()


def unreadable(error: OSError) -> SourceError:
    """Return the error for what the operating system does not let us read; its text names no path."""
    reason = error.strerror or type(error).__name__
    return SourceError(f"the file or folder cannot be opened ({reason}); choose one that exists and can be read")
