"""STPFNet and STM per frame against the clip's length, for the three memory policies: time at the end, peak memory.

    python Testing/Benchmarks/speed/memory_policies.py [--quick]

Each configuration runs 1,000 frames in a process of its own, so that peak memory is its own. Its time at frames 50, 200
and 1,000 is then taken with three trackers that take turns, because a machine's speed changes within a minute.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import islice
from typing import Any

from common import Spread, arguments, interleaved, peak_memory_mb, save, timed_steps

LENGTHS = (50, 200, 1000)
POLICIES = ("bounded", "every_n", "all")
SMALL = 96  # side of the input where every past frame is kept: what is remembered of a frame grows with its square
COMPARED = 20  # frames before each length that are timed
# network, policy, side of the input in pixels (None: the model's own), lengths
Configuration = tuple[str, str, int | None, tuple[int, ...]]
CONFIGURATIONS: tuple[Configuration, ...] = (
    ("STPFNet", "bounded", None, LENGTHS),
    *(("STPFNet", policy, SMALL, LENGTHS) for policy in POLICIES),
    *(("STM", policy, SMALL, LENGTHS) for policy in POLICIES),
    ("STPFNet, ResNet-50", "bounded", SMALL, LENGTHS[:2]),
)
NETWORKS: dict[str, dict[str, Any]] = {
    "STPFNet": {},
    "STM": {"spatial_fusion": False, "multi_scale_fusion": False},
    "STPFNet, ResNet-50": {"trunk": "resnet50"},
}


def build(name: str, policy: str, size: int | None) -> tuple[Any, Any]:
    """Return settings and network; random weights wherever they are not the shipped STPFNet's."""
    import torch
    from networks import as_product, network_of, with_input_size

    from UltrasoundLesionSegLib.engine.memory import MemoryPolicy
    from UltrasoundLesionSegLib.engine.networks.stpfnet import STPFNet

    bundle, network = network_of("stpfnet_light", "ours")
    if NETWORKS[name]:
        torch.manual_seed(0)
        network = as_product(STPFNet(**({"trunk": "mobilenet_v2"} | NETWORKS[name])).eval())
    settings = bundle.tracker_settings()
    settings = replace(settings, memory=replace(settings.memory, policy=MemoryPolicy(policy)))
    return with_input_size(settings, size or settings.input_size), network


def run_one(name: str, policy: str, size: int | None, lengths: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """Run one configuration in this process."""
    from clips import drifting_disc
    from networks import follow

    settings, network = build(name, policy, size)
    clip = drifting_disc(100, 240)

    def walk(frames: int) -> Generator[None, None, None]:
        steps = follow(clip, settings, network)
        for _ in islice(steps, frames):
            pass
        return steps

    walk(5)
    peaks, start = {}, peak_memory_mb()
    steps = follow(clip, settings, network)
    done = 0
    for length in lengths:
        for _ in islice(steps, length - rounds - done):
            pass
        done = length - rounds
        peaks[length] = peak_memory_mb() - start
    walked = {length: walk(length - rounds) for length in lengths[:-1]} | {lengths[-1]: steps}
    variants: dict[str, Callable[[], list[float]]] = {str(length): timed_steps(one) for length, one in walked.items()}
    times = interleaved(variants, rounds - 1)
    return {
        "network": name,
        "policy": policy,
        "input_size": settings.input_size,
        "grown_mb": {str(length): grown for length, grown in peaks.items()},
        "times": {length: Spread.of(taken) for length, taken in times.items()},
    }


def main() -> None:
    """Measure every configuration and save."""
    if len(sys.argv) == 3 and sys.argv[1] == "--one":
        name, policy, size, lengths, rounds = json.loads(sys.argv[2])
        print(json.dumps(run_one(name, policy, size, tuple(lengths), rounds), default=vars))
        return
    options = arguments(__doc__)
    found = []
    for name, policy, size, lengths in CONFIGURATIONS:
        if options.quick:
            lengths = (20, 40)
        task = json.dumps([name, policy, size, lengths, 10 if options.quick else COMPARED])
        command = [sys.executable, "-W", "ignore", __file__, "--one", task]
        passive = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=passive).stdout
        found.append(json.loads(answer.splitlines()[-1]))
    save("memory_policies", {"configurations": found})


if __name__ == "__main__":
    main()
