"""How many threads compute, on a machine that has other things to do.

PyTorch's OpenMP threads spin while they wait for each other. As soon as something else wants the cores (in Slicer:
rendering, the GUI), a thread that was put aside holds up all others, and they spin in vain: a hundred times slower
than one thread alone (Docs/results/speed.md). With OMP_WAIT_POLICY=PASSIVE they sleep instead, which OpenMP reads when
PyTorch is loaded and never again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

VARIABLE = "OMP_WAIT_POLICY"


def let_waiting_threads_sleep() -> None:
    """Choose sleeping threads while there is still a choice: before PyTorch is loaded, unless someone chose already."""
    if "torch" not in sys.modules:
        os.environ.setdefault(VARIABLE, "PASSIVE")


def waiting_threads_sleep() -> bool:
    """Tell whether PyTorch was loaded with threads that sleep while they wait."""
    return os.environ.get(VARIABLE, "").upper() == "PASSIVE"


@contextmanager
def threads_for_inference() -> Generator[None, None, None]:
    """Compute with a number of threads that a busy machine does not bring to a halt; put back what was set after.

    PyTorch's own number where waiting threads sleep, else one.
    """
    import torch

    before = torch.get_num_threads()
    if waiting_threads_sleep() or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
