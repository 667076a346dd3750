"""The number of threads for computing on a machine that other programs use too.

PyTorch's OpenMP threads spin while they wait for each other. If another program needs a core (in Slicer: rendering, the
GUI), one thread is suspended and all others wait for it, spinning. This can be a hundred times slower than one thread
alone (Docs/results/speed.md). With OMP_WAIT_POLICY=PASSIVE waiting threads sleep instead. OpenMP reads this variable
only when PyTorch is loaded.
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


def number_for_inference() -> int:
    """Return how many threads PyTorch may compute with here without being brought to a halt on a busy machine.

    PyTorch's own number where waiting threads sleep, else one.
    """
    import torch

    return torch.get_num_threads() if waiting_threads_sleep() else 1


@contextmanager
def threads_for_inference() -> Generator[None, None, None]:
    """Compute with ``number_for_inference`` threads; put back what was set after."""
    import torch

    before, number = torch.get_num_threads(), number_for_inference()
    if number == before:
        yield
        return
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
