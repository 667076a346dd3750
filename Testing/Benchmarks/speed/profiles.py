"""Where the time goes, on one thread: in a network, operation by operation, and beside it, step by step.

python Testing/Benchmarks/speed/profiles.py [--quick]
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import torch
from clips import dicom_clip
from common import arguments, save
from directions import one_by_one
from stages import MODELS, StageClock
from torch.profiler import ProfilerActivity, profile
from worker import forward, propagation

LARGEST = 10  # operations named
TINY = 32  # pixels a side: next to nothing to compute, so that what remains is the price of calling
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


def calling_ms(repeats: int) -> float:
    """Return the CPU time of BaS-S with next to nothing to compute, in ms: what calling its operations costs."""
    once = forward("ours", "bas_s", TINY)
    for _ in range(3):
        once()
    start = time.process_time()
    for _ in range(repeats):
        once()
    return (time.process_time() - start) * 1000 / repeats


def watch_the_steps(clock: StageClock) -> None:
    """Name the steps beside the network; time in a step inside another one counts for the inner one."""
    from UltrasoundLesionSegLib.engine import propagation, tracker
    from UltrasoundLesionSegLib.engine.memory import MemoryBank
    from UltrasoundLesionSegLib.engine.network_input import NetworkInput
    from UltrasoundLesionSegLib.engine.outline import OutlineCorrection
    from UltrasoundLesionSegLib.measurement import frame as measuring_frame
    from UltrasoundLesionSegLib.mrml.frames import SequenceFrames
    from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
    from UltrasoundLesionSegLib.workflow import measuring, propagation_job

    job, follower = propagation_job.PropagationJob, tracker.LesionTracker
    steps: dict[str, list[tuple[Any, str]]] = {
        "the frame cut to the window, as a tensor": [(NetworkInput, "cut")],
        "the mask cut to the window": [(NetworkInput, "cut_mask")],
        "probabilities pasted on the frame": [(tracker.Window, "paste")],
        "islands that cannot be the lesion": [(tracker, "plausible_parts")],
        "outline: optical flow": [(OutlineCorrection, "follow")],
        "outline: distances and correction": [(OutlineCorrection, "apply")],
        "memory of frames": [(MemoryBank, "add"), (MemoryBank, "read")],
        "tracker, the rest": [(follower, "step"), (follower, "accept"), (follower, "start_at_anchor")],
        "lesions merged, confidence": [(propagation._Sweep, "_compute")],
        "the scene's frames and masks read": [(SequenceFrames, "__getitem__"), (SegmentationSequence, "read")],
        "the scene's masks written": [(SegmentationSequence, "write")],
        "the job's own work, undo": [(job, "_write"), (job, "_known")],
        "measured: outline of the largest part": [(measuring_frame, "largest_component")],
        "measured: shape": [(measuring_frame, "measure_shape")],
        "measured: echo levels": [(measuring_frame, "measure_echo")],
        "measured: the rest": [(measuring, "measure_cine")],
    }
    for step, calls in steps.items():
        for owner, name in calls:
            clock.watch(owner, name, step)


def beside_the_network(count: int) -> dict[str, list[tuple[str, float]]]:
    """Return each model's steps of a job in the scene, the network's among them, in ms of CPU time a frame.

    One frame after the other on one thread: what runs side by side cannot be told apart by CPU time alone.
    """
    from UltrasoundLesionSegLib.engine import propagation
    from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

    setattr(propagation, "computed_ahead", one_by_one)  # noqa: B010
    clock = StageClock(time.thread_time)
    watch_the_steps(clock)
    logic = UltrasoundLesionWorkflow()
    path, seed = dicom_clip(count, count // 2)
    found = {}
    for model in MODELS:
        network = logic._network(logic._bundle(model, "propagate"), "cpu")
        for name in ("encode", "memorize", "segment"):
            clock.watch(network, name, "network")
        for _ in range(2):  # the first loads libraries
            browser = logic.loadCine(path)
            logic.setSeed(browser, seed, frame=count // 2)
            clock.seconds.clear()
            logic.propagate(browser, model=model)
            logic.measure(browser)
        steps = sorted(clock.seconds.items(), key=lambda one: -one[1])
        found[model] = [(name, seconds * 1000 / count) for name, seconds in steps]
    return found


def main() -> None:
    """Measure and save."""
    quick = arguments(__doc__).quick
    repeats = 5 if quick else 40
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    found = {
        "subjects": {name: shares(start(), repeats) for name, start in SUBJECTS.items()},
        "calling_ms": calling_ms(repeats),
    }
    save("profiles", found | {"beside": beside_the_network(20 if quick else 200)})


if __name__ == "__main__":
    main()
