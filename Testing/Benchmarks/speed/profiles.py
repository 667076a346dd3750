"""Where a network's time goes, operation by operation, on one thread: what stands between ours and the floor.

python Testing/Benchmarks/speed/profiles.py [--quick]
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from common import arguments, save
from torch.profiler import ProfilerActivity, profile
from worker import forward, propagation

LARGEST = 10  # operations named
SUBJECTS: dict[str, Callable[[], Callable[[], object]]] = {
    "bas_s, forward": lambda: forward("ours", "bas_s"),
    "bas_s_propagate, a step of propagation": lambda: propagation("ours", "bas_s_propagate"),
    "stpfnet_light, a step of propagation": lambda: propagation("ours", "stpfnet_light"),
}


def shares(once: Callable[[], object], repeats: int) -> dict[str, Any]:
    """Return the time of a call and its largest operations, in ms of CPU time a call."""
    for _ in range(3):
        once()
    start = time.process_time()
    for _ in range(repeats):
        once()
    whole = (time.process_time() - start) * 1000 / repeats
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
        for _ in range(repeats):
            once()
    found = [
        (_described(one), one.self_cpu_time_total / 1000 / repeats, one.count / repeats)
        for one in profiled.key_averages(group_by_input_shape=True)
    ]
    found.sort(key=lambda one: -one[1])
    rest = sum(time for _, time, _ in found[LARGEST:])
    return {"whole_ms": whole, "operations": found[:LARGEST], "other_operations_ms": rest}


def _described(operation: Any) -> str:
    """Return an operation's name with the shapes of its first two tensors: a convolution's input and weights."""
    shapes = [" x ".join(map(str, shape)) for shape in operation.input_shapes[:2] if shape]
    return f"{operation.key.removeprefix('aten::')} ({'; '.join(shapes)})"


def main() -> None:
    """Measure and save."""
    repeats = 5 if arguments(__doc__).quick else 40
    torch.set_num_threads(1)
    save("profiles", {"subjects": {name: shares(start(), repeats) for name, start in SUBJECTS.items()}})


if __name__ == "__main__":
    main()
