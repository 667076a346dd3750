"""Frames per second on a CUDA device, for each model: in batches, and streaming through a clip.

    python Testing/Benchmarks/speed/gpu.py [--quick]

CUDA graphs and torch.compile are measured with the time they take to get ready, which a clip of 200 frames must win
back. Where there is no CUDA device the report says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from clips import drifting_disc
from common import Spread, arguments, interleaved, save
from networks import as_product, follow, network_of

from UltrasoundLesionSegLib.engine.networks.stpfnet import STPFNet

BATCHES = (1, 8, 32)
STREAMED = ("bas_s_propagate", "bas_l_propagate", "stpfnet_light")


def timed(action: Callable[[], Any], repeats: int) -> list[float]:
    """Return the time of one call in ms, from many calls in a row."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        action()
    torch.cuda.synchronize()
    return [(time.perf_counter() - start) * 1000 / repeats]


def captured(network: Any, x: torch.Tensor) -> Callable[[], Any]:
    """Return a CUDA graph of a network's call."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            network(x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        network(x)
    return graph.replay


def compiled(network: Any, x: torch.Tensor) -> Callable[[], Any]:
    """Return a compiled network's call."""
    ready = torch.compile(network)
    ready(x)
    return lambda: ready(x)


def in_batches(model: str, rounds: int) -> list[dict[str, Any]]:
    """Measure a network that segments single frames."""
    ways: dict[str, Callable[[Any, torch.Tensor], Callable[[], Any]]] = {
        "eager": lambda network, x: lambda: network(x),
        "CUDA graph": captured,
        "torch.compile": compiled,
    }
    rows = []
    for dtype in (torch.float32, torch.float16):
        bundle, plain = network_of(model, "plain")
        network = plain.to("cuda", dtype)
        for batch in BATCHES:
            x = torch.rand(batch, 3, bundle.input_size, bundle.input_size, device="cuda", dtype=dtype)
            turns, ready_s = {}, {}
            for name, prepare in ways.items():
                start = time.perf_counter()
                action = prepare(network, x)
                action()
                torch.cuda.synchronize()
                ready_s[name] = time.perf_counter() - start
                turns[name] = lambda action=action: timed(action, 20)
            for name, times in interleaved(turns, rounds).items():
                per_frame = Spread.of([one / batch for one in times])
                row = {"model": model, "dtype": str(dtype).removeprefix("torch."), "batch": batch, "way": name}
                rows.append(row | {"frames_per_second": 1000 / per_frame.median, "ready_s": ready_s[name]})
    return rows


def streaming(rounds: int) -> dict[str, float]:
    """Measure whole steps of propagation, as the product does them; returns frames per second."""
    clip = drifting_disc(100, 600)
    jobs = {}
    for model in STREAMED:
        bundle, network = network_of(model, "ours")
        jobs[model] = follow(clip, bundle.tracker_settings(), network.to("cuda"), "cuda")
    bundle, _ = network_of("stpfnet_light", "ours")
    published = as_product(STPFNet().eval()).to("cuda")
    jobs["stpfnet, ResNet-50, random weights"] = follow(clip, bundle.tracker_settings(), published, "cuda")
    turns = {name: (lambda steps=steps: timed(lambda: [*islice(steps, 10)], 1)) for name, steps in jobs.items()}
    return {name: 10_000 / Spread.of(times).median for name, times in interleaved(turns, rounds, warm_up=3).items()}


def main() -> None:
    """Measure and save."""
    rounds = 3 if arguments(__doc__).quick else 15
    if not torch.cuda.is_available():
        save("gpu", {"device": None})
        return
    with torch.inference_mode():
        batches = [row for model in ("bas_s", "bas_l") for row in in_batches(model, rounds)]
    save("gpu", {"device": torch.cuda.get_device_name(), "batches": batches, "streaming": streaming(rounds)})


if __name__ == "__main__":
    main()
