"""What one process holds: memory, MRML nodes, observers, open files, threads. For the drills and for tests of leaks."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
        Open file descriptors; threads of the operating system.
    """

    resident_mb: float
    nodes: Counter[str]
    observers: int
    files: int
    threads: int

    @classmethod
    def now(cls) -> ProcessState:
        """Measure this process."""
        gc.collect()
        return_free_memory()
        process = psutil.Process()
        nodes = scene_nodes()
        return cls(
            resident_mb(),
            Counter(node.GetClassName() for node in nodes),
            observer_count(),
            process.num_fds(),
            process.num_threads(),
        )

    def growth_since(self, before: ProcessState) -> dict[str, int]:
        """Return what there is more of, or less, by name; memory aside."""
        grown = {name: self.nodes[name] - before.nodes[name] for name in {*self.nodes, *before.nodes}}
        grown |= {name: getattr(self, name) - getattr(before, name) for name in ("observers", "files", "threads")}
        return {name: count for name, count in grown.items() if count}


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
