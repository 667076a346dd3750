"""Propagation on a CUDA device: masks against those of the CPU, half precision, speed, and a full GPU memory.

    python Testing/Gpu/propagation.py --output figures.json [--device cuda] [--frames 60]

With ``--device cpu`` everything runs but the check of a full memory, which needs a GPU; so the script can be tried
anywhere. The exit code is 1 when masks differ by more than the tolerances below.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Anchor, Cine
from UltrasoundLesionSegLib.engine.bundles import PROPAGATE, Bundle, list_bundles
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer, PropagationInputs
from UltrasoundLesionSegLib.engine.stretches import Direction, plan_stretches
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.writers.atomic import atomic_path

Masks = NDArray[np.bool_]

LOWEST_AGREEMENT = {"float32": 0.998, "float16": 0.99}  # Dice of each frame with the CPU's float32 mask
STEPS = ("encode", "memorize", "segment")  # of a network that propagates


def masks_of(
    cine: Cine, seed: Masks, bundle: Bundle, device: str, half: bool = False, notes: list[str] | None = None
) -> tuple[Masks, float]:
    """Return the masks (T - 1, H, W) and the frames computed a second."""
    network: Any = bundle.load_for_inference(device)
    if half:
        # the engine computes in other threads, and a thread does not inherit autocast: each step enters it by itself
        for name in STEPS:
            setattr(network, name, torch.autocast(torch.device(device).type, torch.float16)(getattr(network, name)))
    anchors = [Anchor(0, 0, seed)]
    stretches = plan_stretches(anchors, Direction.FORWARD, range(1, len(cine)))
    inputs = PropagationInputs(cine, 1, stretches, lambda frame: np.zeros((1, *seed.shape), bool))
    said = notes.append if notes is not None else lambda sentence: None
    inferer = PropagationInferer(bundle.tracker_settings(), torch.device(device), said, bundle.overlap_estimate())
    begun = time.perf_counter()
    masks = np.stack([result.masks[0] for result in inferer(inputs, network)])
    return masks, len(masks) / (time.perf_counter() - begun)


def lowest_dice(masks: Masks, others: Masks) -> float:
    """Return the lowest Dice of two masks of one frame; 1 where both are empty."""
    both = 2 * (masks & others).sum((1, 2))
    total = masks.sum((1, 2)) + others.sum((1, 2))
    return float(np.where(total > 0, both / np.maximum(total, 1), 1.0).min())


def with_a_full_memory(cine: Cine, seed: Masks, bundle: Bundle, device: str) -> dict[str, Any]:
    """Take the GPU's memory away, propagate, and give it back; tells whether the CPU took over and said so."""
    notes: list[str] = []
    bundle.load_for_inference(device)  # the context and the kernels are there already
    free, _ = torch.cuda.mem_get_info()
    held = torch.empty(max(free - 64 * 2**20, 0), dtype=torch.uint8, device=device)
    try:
        masks, _ = masks_of(cine, seed, bundle, device, notes=notes)
    finally:
        del held
        torch.cuda.empty_cache()
    return {"notes": notes, "frames": len(masks), "on the CPU": any("computed on the CPU" in note for note in notes)}


def main() -> None:
    """Measure every model that propagates, write the figures, and fail when masks differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="a JSON file")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--frames", type=int, default=60)
    chosen = parser.parse_args()
    made = simulate_cine(SimulationSettings(seed=11, frames=chosen.frames))
    frames = np.stack([made.cine.frames[index] for index in range(chosen.frames)])
    cine, seed = Cine.from_array(frames), made.truth[0][0]
    on_gpu = torch.device(chosen.device).type == "cuda"
    figures: dict[str, Any] = {"device": torch.cuda.get_device_name() if on_gpu else "CPU", "models": {}}
    failed = False
    bundles = [bundle for bundle in list_bundles() if bundle.role == PROPAGATE and bundle.weights is not None]
    for bundle in bundles:
        expected, on_cpu = masks_of(cine, seed, bundle, "cpu")
        rows: dict[str, Any] = {"CPU, frames a second": on_cpu}
        for precision, lowest in LOWEST_AGREEMENT.items():
            masks_of(cine, seed, bundle, chosen.device, half=precision == "float16")  # kernels are chosen once
            masks, speed = masks_of(cine, seed, bundle, chosen.device, half=precision == "float16")
            agreement = lowest_dice(masks, expected)
            rows[precision] = {"frames a second": speed, "lowest Dice with the CPU": agreement}
            failed |= agreement < lowest
        if on_gpu:
            rows["full memory"] = full = with_a_full_memory(cine, seed, bundle, chosen.device)
            failed |= not full["on the CPU"]
        figures["models"][bundle.name] = rows
        print(bundle.name, json.dumps(rows))
    with atomic_path(chosen.output) as path:
        path.write_text(json.dumps(figures, indent=2), encoding="utf-8")
    if failed:
        sys.exit("masks on the device differ from those of the CPU, or the CPU did not take over; see the figures")


if __name__ == "__main__":
    main()
