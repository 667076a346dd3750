"""Limits on the size of a source: larger values in a header are refused.

A header is a few bytes that anyone can write, but it decides how much memory and time are used. The limits are above
the largest cine that this program is made for (4096 x 4096 pixels, 20,000 frames).
"""

from __future__ import annotations

from UltrasoundLesionSegLib.errors import SourceError

MAX_FRAMES = 100_000
MAX_FRAME_PIXELS = 2**26
"""8192 x 8192."""

MAX_FRAGMENTS = 2**20
"""Pieces of compressed DICOM pixel data, of which a frame may have several."""

MAX_INFLATED_BYTES = 2**30
"""Of a deflated DICOM object, which has to be held in memory."""


def check_frame_size(height: int, width: int) -> None:
    """Raise ``SourceError`` when frames are larger than any ultrasound image."""
    if height * width > MAX_FRAME_PIXELS:
        raise SourceError(
            f"the source says that its frames are {height} x {width} pixels, too large for a cine; "
            "check its header, or export it smaller"
        )


def check_frame_count(count: int) -> None:
    """Raise ``SourceError`` when there are more frames than any cine has."""
    if count > MAX_FRAMES:
        raise SourceError(
            f"the source says that it has more than {MAX_FRAMES:,} frames; check its header, or cut it into shorter "
            "cines"
        )
