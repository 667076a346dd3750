"""Give memory that was freed back to the operating system."""

from __future__ import annotations

import ctypes
import sys


def return_free_memory() -> None:
    """Release the free parts of the C heap, where the C library can (glibc); elsewhere nothing happens.

    A network's large, short-lived tensors and the small masks that stay are cut from one heap. Each mask can end up in
    the hole of a tensor, the next tensor then finds the hole too small, and the heap grows by a tensor a frame: 830 KB
    measured for BaS, 4.3 GB over 5,000 frames, all of it free. Called every hundred frames this costs under 0.1 ms a
    frame.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
