"""A fingerprint of a cine's pixels: the same film exported again is another file, but has the same one."""

from __future__ import annotations

import hashlib

import numpy as np

from UltrasoundLesionSegLib.cine import Cine, Frame
from UltrasoundLesionSegLib.errors import FrameError

_KNOWN: dict[str, str] = {}  # by the digest of the file: looking for many cines in one folder decodes each file once


class PixelDigest:
    """SHA-256 over the decoded grey frames, in order.

    Colour counts as grey, because a grey film that is exported in colour is the same film.
    """

    def __init__(self) -> None:
        self._state = hashlib.sha256()
        self._count = 0

    def add(self, pixels: Frame | None) -> None:
        """Add the next frame.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (H, W) or (H, W, 3), or None
            None for a frame that cannot be read.
        """
        # imported here: it brings OpenCV, which the panel must not load when it opens
        from UltrasoundLesionSegLib.readers.frames import to_grey

        self._count += 1
        if pixels is None:
            self._state.update(b"unreadable")
        else:
            self._state.update(np.ascontiguousarray(to_grey(pixels)))

    def hexdigest(self) -> str:
        """Return the digest (hex) of all frames so far and their number."""
        state = self._state.copy()
        state.update(f" {self._count}".encode("ascii"))
        return state.hexdigest()


def pixel_digest(cine: Cine) -> str:
    """Return the digest of a cine, of which every frame is read for it unless it is known.

    Parameters
    ----------
    cine : Cine
    """
    known = cine.identity.pixels or _KNOWN.get(cine.identity.digest)
    if known:
        return known
    digest, is_whole = PixelDigest(), True
    for frame in range(len(cine)):
        try:
            digest.add(cine.frames[frame])
        except FrameError:
            digest.add(None)
            is_whole = False
    if is_whole:
        _KNOWN[cine.identity.digest] = digest.hexdigest()
    return digest.hexdigest()
