"""What one process holds: memory, MRML nodes, observers, open files, threads. For the drills and for tests of leaks."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import psutil

from UltrasoundLesionSegLib.engine.heap import return_free_memory


@dataclass(frozen=True)
class ProcessState:
    """A moment of this process.

    Parameters
    ----------
    resident_mb : float
        Resident memory, after a garbage collection and with the free heap given back.
    nodes : Counter of str
        MRML nodes in the scene by class.
    observers : int
        Observers of the scene and of its nodes.
    files, threads : int
        Open file descriptors; threads of the operating system. Those that are not counted are left out.
    """

    resident_mb: float
    nodes: Counter[str]
    observers: int
    files: int
    threads: int

    @classmethod
    def now(cls, not_counted: Set[Held] = frozenset()) -> ProcessState:
        """Measure this process.

        Parameters
        ----------
        not_counted : set of Held
            Files and threads of something else, as `held` returned them before: they may end at any time.
        """
        gc.collect()
        return_free_memory()
        kinds = Counter(one.kind for one in held() - not_counted)
        nodes = Counter(node.GetClassName() for node in scene_nodes())
        return cls(resident_mb(), nodes, observer_count(), kinds["file"], kinds["thread"])

    def growth_since(self, before: ProcessState) -> dict[str, int]:
        """Return what there is more of, by name; memory aside."""
        grown = {name: self.nodes[name] - before.nodes[name] for name in {*self.nodes, *before.nodes}}
        grown |= {name: getattr(self, name) - getattr(before, name) for name in ("observers", "files", "threads")}
        return {name: count for name, count in grown.items() if count > 0}


class Held(NamedTuple):
    """An open file or a thread: what tells it from another one that is opened or started later."""

    kind: Literal["file", "thread"]
    number: int
    device: int = 0
    inode: int = 0


def held() -> frozenset[Held]:
    """Return the open files and the threads of this process."""
    found = {Held("thread", thread.id) for thread in psutil.Process().threads()}
    for number in map(int, os.listdir("/dev/fd")):
        with suppress(OSError):  # the descriptor of the listing itself is closed by now
            status = os.fstat(number)
            found.add(Held("file", number, status.st_dev, status.st_ino))
    return frozenset(found)


def resident_mb() -> float:
    """Return this process's resident memory."""
    return psutil.Process().memory_info().rss / 2**20


def scene_nodes() -> list[Any]:
    """Return all nodes of the scene."""
    import slicer

    scene = slicer.mrmlScene
    return [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]


def observer_count() -> int:
    """Count the observers of the scene and of its nodes, which VTK lists only where it prints an object."""
    import slicer

    return sum(str(one).count("vtkObserver (") for one in [slicer.mrmlScene, *scene_nodes()])


def slope(values: Sequence[float]) -> float:
    """Return by how much a quantity grows from one value to the next: a straight line through all of them."""
    return float(np.polyfit(np.arange(len(values)), values, 1)[0])
