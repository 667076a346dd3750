"""Freed memory: the C library keeps it while a network runs and gives it back afterwards."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's names for mallopt


def keep_working_memory() -> None:
    """Let the C heap keep what a network frees for its next frame, where the C library can (glibc).

    By default every tensor of more than some 100 KB comes from the operating system and goes back at once: BaS
    touches about 1,000 fresh pages a frame, a tenth of its time. For the rest of the process, blocks of up to 8 MB
    come from the heap, and the heap gives back what exceeds 32 MB at its end; larger images are not touched by this.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, 8 << 20)
            mallopt(_TRIM_THRESHOLD, 32 << 20)


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
