"""One variant in a process of its own, which works when told to: ``python worker.py VARIANT SUBJECT``.

Thread settings belong to a process (OpenMP reads them once), so variants that differ in them cannot share one. Each
line on standard input is the longest time in ms to work for; the answer is a line of JSON with the times taken.

VARIANT: ``plain`` is the network as its paper writes it, layer by layer in PyTorch's eager mode; ``ours`` what
the package runs; ``pair`` the same on two frames at once, a thread each, ``openvino`` its device of that name;
``peak`` a large convolution, SUBJECT its shape.
SUBJECT: a model's name; with ``propagate:`` before it, whole steps of propagation instead of the network alone.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

FORWARDS = 6  # at most, in one turn
LONGEST_WARM_UP_S = 10.0  # threads that spin can take a minute a step on a busy machine
# well-shaped convolutions: channels in, channels out, side of the kernel, side of the picture, pictures
PEAK_SHAPES = {"3x3": (256, 256, 3, 60, 1), "1x1": (512, 512, 1, 60, 1), "3x3 batch 4": (128, 128, 3, 60, 4)}


def convolution(shape: str) -> Callable[[], object]:
    """Return a call of one large convolution in PyTorch."""
    import torch

    channels_in, channels_out, kernel, side, batch = PEAK_SHAPES[shape]
    layer = torch.nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
    layer.weight.data = layer.weight.data.to(memory_format=torch.channels_last)
    x = torch.rand(batch, channels_in, side, side).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        layer(x)

    def once() -> object:
        with torch.inference_mode():
            return layer(x)

    return once


def forward(variant: str, model: str, side: int | None = None) -> Callable[[], object]:
    """Return a call of a network that segments single frames, on one frame of noise; its own size by default."""
    import torch
    from networks import network_of

    bundle, network = network_of(model, variant)
    # as the package hands frames over: the colours of a pixel side by side
    size = side or bundle.input_size
    x = torch.rand(1, 3, size, size).to(memory_format=torch.channels_last)

    def once() -> object:
        with torch.inference_mode():
            return network(x)

    return once


def forward_in_pairs(model: str) -> Callable[[], object]:
    """Return a call of a network on two frames of noise at once, each with one thread, as two directions are."""
    from concurrent.futures import ThreadPoolExecutor

    import torch

    once = forward("ours", model)
    lanes = [ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) for _ in range(2)]
    return lambda: [done.result() for done in [lane.submit(once) for lane in lanes]]


def propagation(variant: str, model: str) -> Callable[[], object]:
    """Return a call that carries a lesion one frame further, through a clip again and again."""
    from clips import drifting_disc
    from networks import follow, network_of

    bundle, network = network_of(model, variant)
    clip = drifting_disc(100, 300)
    steps = follow(clip, bundle.tracker_settings(), network)
    began = time.perf_counter()
    for _ in range(2 * (bundle.tracker_settings().memory.capacity + 1)):  # until the memory is full
        if time.perf_counter() - began < LONGEST_WARM_UP_S:
            next(steps)
    if variant == "plain":
        return lambda: next(steps)
    from UltrasoundLesionSegLib.engine.threads import threads_for_inference

    def once() -> object:
        with threads_for_inference():
            return next(steps)

    return once


def main() -> None:
    """Answer until standard input ends."""
    variant, subject = sys.argv[1:]
    frames = 2 if variant == "pair" else 1
    if variant == "peak":
        once = convolution(subject)
    elif variant == "pair":
        once = forward_in_pairs(subject)
    elif subject.startswith("propagate:"):
        once = propagation(variant, subject.partition(":")[2])
    else:
        once = forward(variant, subject)
    for _ in range(3):
        once()
    print("ready", flush=True)
    for line in sys.stdin:
        times: list[float] = []
        while len(times) < FORWARDS and sum(times) < float(line):
            start = time.perf_counter()
            once()
            times.append((time.perf_counter() - start) * 1000 / frames)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
