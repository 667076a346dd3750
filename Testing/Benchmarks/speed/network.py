"""The networks alone: BaS-S and BaS-L against plain PyTorch and against what the machine's convolutions can do.

    python Testing/Benchmarks/speed/network.py [--quick]

Every variant has a process of its own with its own thread settings; they take turns, first on a quiet machine, then
while another process keeps every core busy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any

from common import Spread, arguments, busy_machine, interleaved, save
from worker import PEAK_SHAPES

TURN_MS = 1000.0  # longest turn of a variant: a slow one must not make the others wait
# what PyTorch does unless told otherwise, and what this package tells it
AS_INSTALLED: dict[str, str] = {}
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}
ONE_THREAD = {"OMP_NUM_THREADS": "1", **PASSIVE}
VARIANTS: dict[str, tuple[str, dict[str, str]]] = {
    "PyTorch eager, as installed": ("plain", AS_INSTALLED),
    "PyTorch eager, waiting threads sleep": ("plain", PASSIVE),
    "PyTorch eager, one thread": ("plain", ONE_THREAD),
    "ours": ("ours", PASSIVE),
    "ours, one thread": ("ours", ONE_THREAD),
    "ours, two frames at once": ("pair", PASSIVE),
    "ours, OpenVINO": ("openvino", PASSIVE),
}
SUBJECTS = {
    "bas_s": tuple(VARIANTS),
    "bas_l": ("PyTorch eager, as installed", "ours"),
    "propagate:bas_s_propagate": ("PyTorch eager, as installed", "ours", "ours, OpenVINO"),
    "propagate:stpfnet_light": ("PyTorch eager, as installed", "ours", "ours, OpenVINO"),
}


class Worker:
    """A process that does some work of its variant at every call; see worker.py."""

    def __init__(self, variant: str, subject: str, environment: dict[str, str], turn_ms: float) -> None:
        self._turn_ms = turn_ms
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "MKL_", "KMP_"))}
        command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("worker.py")), variant, subject]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean | environment
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._say, self._hear = self._process.stdin, self._process.stdout
        if self._hear.readline().strip() != "ready":
            raise RuntimeError(f"the variant '{variant}' of '{subject}' did not start")

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._say.close()
        self._process.wait()

    def __call__(self) -> Sequence[float]:
        print(self._turn_ms, file=self._say, flush=True)
        times: list[float] = json.loads(self._hear.readline())
        return times


def operations(model: str) -> int:
    """Count a forward pass's operations: two for each multiply-add of its convolutions and matrix products."""
    import torch
    from networks import plain_network
    from torch.utils.flop_counter import FlopCounterMode

    from UltrasoundLesionSegLib.engine.bundles import find_bundle

    bundle = find_bundle(model)
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        plain_network(bundle)(torch.rand(1, 3, bundle.input_size, bundle.input_size))
    return int(counter.get_total_flops())


def compare(subject: str, names: Sequence[str], rounds: int, turn_ms: float) -> dict[str, dict[str, Spread]]:
    """Time variants of one subject against each other, quiet and busy."""
    with ExitStack() as stack:
        workers: dict[str, Callable[[], Sequence[float]]] = {}
        for name in names:
            variant, environment = VARIANTS[name]
            workers[name] = stack.enter_context(Worker(variant, subject, environment, turn_ms))
        if subject == "bas_s":
            for shape in PEAK_SHAPES:
                workers[f"convolution {shape}"] = stack.enter_context(Worker("peak", shape, PASSIVE, turn_ms))
        found = {}
        for state, context in (("quiet", nullcontext()), ("busy", busy_machine())):
            with context:
                times = interleaved(workers, rounds)
            found[state] = {name: Spread.of(taken) for name, taken in times.items()}
    return found


def peak_gflops(forward: dict[str, dict[str, Spread]]) -> dict[str, float]:
    """Return what each of the large convolutions reached on the quiet machine, in GFLOP/s."""
    found = {}
    for shape, (channels_in, channels_out, kernel, side, batch) in PEAK_SHAPES.items():
        gflop = 2e-9 * channels_in * channels_out * kernel**2 * side**2 * batch
        found[shape] = gflop / forward["quiet"][f"convolution {shape}"].median * 1000
    return found


def main() -> None:
    """Measure and save."""
    options = arguments(__doc__)
    rounds, turn_ms = (1, 50.0) if options.quick else (10, TURN_MS)
    found: dict[str, Any] = {"times": {}}
    for subject, names in SUBJECTS.items():
        found["times"][subject] = compare(subject, names, rounds, turn_ms)
    found["peak_gflops"] = peak_gflops(found["times"]["bas_s"])
    found["gflop"] = {model: operations(model) / 1e9 for model in ("bas_s", "bas_l")}
    save("network", found)


if __name__ == "__main__":
    main()
