"""How many cases a machine can hold at once: by its free cores and memory, and one for each GPU."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# A worker with libraries, weights and a cine of 120 frames takes 0.7 GB on a CPU; a long one in colour, twice that; a
# fit to the lesion (20 frames of 381 x 354 pixels), 1.4 GB.
BYTES_PER_WORKER = int(1.5 * 2**30)


def cpu_workers() -> int:
    """Return how many workers the processor and the free memory hold, at least one."""
    cores = usable_cores()
    free = free_memory()
    return max(1, cores if free is None else min(cores, free // BYTES_PER_WORKER))


def usable_cores() -> int:
    """Return the cores this process may use: the machine's, or fewer by its affinity or its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup, or "max"
        pass
    return cores


def free_memory() -> int | None:
    """Return the bytes that can be taken without swapping, None where the system does not tell."""
    if sys.platform == "win32":
        return _free_memory_windows()
    found = [value for value in (_available_linux(), _left_in_cgroup()) if value is not None]
    if found:
        return min(found)
    try:  # macOS gives the total memory but not the free memory
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError):
        return None


def _available_linux() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return None


def _left_in_cgroup() -> int | None:
    folder = Path("/sys/fs/cgroup")
    try:
        limit = int((folder / "memory.max").read_text(encoding="ascii"))
        return max(0, limit - int((folder / "memory.current").read_text(encoding="ascii")))
    except (OSError, ValueError):  # no cgroup, or "max"
        return None


def _free_memory_windows() -> int | None:
    # https://learn.microsoft.com/windows/win32/api/sysinfoapi/ns-sysinfoapi-memorystatusex
    class MemoryStatus(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "page", "page_free", "virtual", "virtual_free")),
            ("extended", ctypes.c_ulonglong),
        )

    status = MemoryStatus()
    status.length = ctypes.sizeof(MemoryStatus)
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 (only Windows' ctypes has it)
    return int(status.free) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def devices_of_workers(devices: Sequence[str], processes: int | None) -> list[str]:
    """Return the device of each worker: one worker a GPU, as many as the machine holds on a CPU.

    Parameters
    ----------
    devices : sequence of str
        What the machine computes on, as ``worker.devices`` finds it.
    processes : int or None
        As many as this, whatever the machine holds; GPUs are then shared.
    """
    if processes is None:
        processes = cpu_workers() if list(devices) == ["cpu"] else len(devices)
    return [devices[index % len(devices)] for index in range(processes)]
