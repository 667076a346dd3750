"""A seed in the middle, both directions: side by side, as the package does it, against one after the other.

    python Testing/Benchmarks/speed/directions.py [--quick]

Every run carries the mask from the middle of a clip of 600 x 800 to both of its ends. The ways take turns, first on a
quiet machine, then while another process keeps every core busy.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from clips import dicom_clip
from common import Spread, arguments, busy_machine, interleaved, save
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Anchor, Cine
from UltrasoundLesionSegLib.engine import propagation
from UltrasoundLesionSegLib.engine.ahead import Task
from UltrasoundLesionSegLib.engine.bundles import find_bundle
from UltrasoundLesionSegLib.engine.network_api import PropagationNetwork
from UltrasoundLesionSegLib.engine.stretches import Direction, plan_stretches
from UltrasoundLesionSegLib.engine.threads import threads_for_inference
from UltrasoundLesionSegLib.engine.tracker import TrackerSettings
from UltrasoundLesionSegLib.readers.open import read_cine

MODELS = ("bas_s_propagate", "stpfnet_light")
SIDE_BY_SIDE, ONE_BY_ONE = "side by side", "one after the other"


def one_by_one(sources: Sequence[Iterator[Task[Any]]], threads: int) -> Generator[Any, None, None]:
    """Compute in this thread, each frame when it is asked for: in place of the package's ``computed_ahead``."""
    for source in sources:
        for task in source:
            with threads_for_inference():
                result = task()
            yield result


def runner(
    settings: TrackerSettings, network: PropagationNetwork, cine: Cine, anchor: Anchor, way: str
) -> Callable[[], list[float]]:
    """Return a call that propagates once through the clip and gives the ms a frame."""
    ahead = propagation.computed_ahead
    stretches = plan_stretches([anchor], Direction.BOTH, range(len(cine)))

    def known(index: int) -> NDArray[np.bool_]:
        return np.zeros((1, *cine.shape), bool)

    def run() -> list[float]:
        setattr(propagation, "computed_ahead", ahead if way == SIDE_BY_SIDE else one_by_one)  # noqa: B010
        inferer = propagation.PropagationInferer(settings, torch.device("cpu"))
        start = time.perf_counter()
        count = sum(1 for _ in inferer(propagation.PropagationInputs(cine, 1, stretches, known), network))
        setattr(propagation, "computed_ahead", ahead)  # noqa: B010
        return [(time.perf_counter() - start) * 1000 / count]

    return run


def main() -> None:
    """Measure and save."""
    options = arguments(__doc__)
    count, rounds = (20, 1) if options.quick else (200, 5)
    path, seed = dicom_clip(count, count // 2)
    stored = read_cine(path)
    cine = Cine.from_array(np.stack([stored.frames[index] for index in range(count)]))
    found: dict[str, dict[str, dict[str, Spread]]] = {}
    for model in MODELS:
        bundle = find_bundle(model)
        network, settings = bundle.load_for_inference("cpu"), bundle.tracker_settings()
        assert isinstance(network, PropagationNetwork)
        ways = {
            way: runner(settings, network, cine, Anchor(0, count // 2, seed), way) for way in (SIDE_BY_SIDE, ONE_BY_ONE)
        }
        found[model] = {}
        for state, context in (("quiet", nullcontext()), ("busy", busy_machine())):
            with context:
                times = interleaved(ways, rounds)
            found[model][state] = {way: Spread.of(taken) for way, taken in times.items()}
    save("directions", {"frames": count, "threads": torch.get_num_threads(), "times": found})


if __name__ == "__main__":
    main()
