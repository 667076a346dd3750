"""What else a user could pick: DIS optical flow and SAM 2.1 tiny's video predictor, on the same clip and device.

    python Testing/Benchmarks/speed/peers.py [--quick]

All methods are iterators over the same frames of 600 x 800 and take turns frame by frame. SAM 2.1 has random weights,
which serve for speed; it is measured in float32, as ours, and in bfloat16, as its authors run it. It comes from the
extra ``bench`` and is left out where it is not installed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TQDM_DISABLE", "1")

import cv2
import numpy as np
import torch
from clips import Clip, dicom_clip
from common import Spread, arguments, interleaved, save, timed_steps

from UltrasoundLesionSegLib.engine.bundles import find_bundle
from UltrasoundLesionSegLib.engine.network_api import PropagationNetwork
from UltrasoundLesionSegLib.engine.threads import threads_for_inference
from UltrasoundLesionSegLib.engine.tracker import LesionTracker
from UltrasoundLesionSegLib.evaluation.methods import OpticalFlow

SAM2_CONFIGURATION = "configs/sam2.1/sam2.1_hiera_t.yaml"
MODELS = ("bas_s_propagate", "stpfnet_light")
FRAMES_BEFORE = 7  # SAM 2 remembers seven frames: from then on a frame costs the same


def load_torchvision() -> None:
    """Import torchvision, which SAM 2 takes its resizing from.

    The registry's torchvision is built for CUDA; beside a PyTorch for CPUs its own operators cannot be loaded, and its
    import fails on the first two it describes. SAM 2's video predictor calls neither: declaring them is enough.
    """
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision  # noqa: F401

        globals()["_library"] = library  # the declaration lives as long as this object


def sam2(clip: Clip, half: bool, folder: Path) -> Iterator[Any]:
    """Follow the lesion with SAM 2.1 tiny, one frame a step, from the mask on the first frame."""
    from sam2.build_sam import build_sam2_video_predictor

    for index, frame in enumerate(clip.frames):
        cv2.imwrite(str(folder / f"{index:05d}.jpg"), frame)
    torch.manual_seed(0)
    predictor = build_sam2_video_predictor(SAM2_CONFIGURATION, device="cuda" if torch.cuda.is_available() else "cpu")
    context = torch.autocast(predictor.device.type, torch.bfloat16) if half else nullcontext()
    with torch.inference_mode():
        with context:
            state = predictor.init_state(str(folder))
            predictor.add_new_mask(state, frame_idx=0, obj_id=1, mask=clip.masks[0])
        steps = predictor.propagate_in_video(state)
        while True:
            with context:
                yield next(steps)


def sam2_is_installed() -> bool:
    """Tell whether the peer is there."""
    try:
        load_torchvision()
        import sam2  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True


def ours(clip: Clip, model: str, device: torch.device) -> Iterator[None]:
    """Follow the lesion with a model of this project, one frame a step.

    The product computes a frame ahead of whoever asks; here a step must hold one frame's work, no more and no less.
    """
    bundle = find_bundle(model)
    network = bundle.load_for_inference(device)
    assert isinstance(network, PropagationNetwork)
    tracker = LesionTracker(network, bundle.tracker_settings(), device)
    tracker.start_at_anchor(0, clip.frames[0], clip.masks[0])
    for index, frame in enumerate(clip.frames[1:], 1):
        with threads_for_inference():
            tracker.accept(index, tracker.step(frame, index).probabilities)
        yield


def methods(clip: Clip, folder: Path) -> dict[str, Iterator[Any]]:
    """Return the methods by name, each about to yield its next frame."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    started: dict[str, Iterator[Any]] = {f"ours, {name}": ours(clip, name, device) for name in MODELS}
    started["DIS optical flow"] = OpticalFlow().follow(clip.cine, clip.masks[:1], 0)
    if sam2_is_installed():
        for name, half in (("SAM 2.1 tiny, float32", False), ("SAM 2.1 tiny, bfloat16", True)):
            frames = folder / name.rpartition(" ")[2]
            frames.mkdir()
            started[name] = sam2(clip, half, frames)
    return started


def main() -> None:
    """Measure and save."""
    options = arguments(__doc__)
    rounds = 2 if options.quick else 8
    path, seed = dicom_clip(20 if options.quick else 200)
    with tempfile.TemporaryDirectory() as folder:
        clip = decoded(path, seed, FRAMES_BEFORE + rounds + 3)
        started = methods(clip, Path(folder))
        for steps in started.values():
            for _ in islice(steps, 1 if options.quick else FRAMES_BEFORE):
                pass
        turns: dict[str, Callable[[], list[float]]] = {name: timed_steps(steps) for name, steps in started.items()}
        times = interleaved(turns, rounds)
    save("peers", {"threads": torch.get_num_threads(), "times": {k: Spread.of(v) for k, v in times.items()}})


def decoded(path: Path, seed: np.ndarray, count: int) -> Clip:
    """Return the first frames of a DICOM cine; only the first mask is known."""
    from UltrasoundLesionSegLib.readers.open import read_cine

    cine = read_cine(path)
    frames = np.stack([cine.frames[index % len(cine)] for index in range(count)])
    return Clip(frames, seed[None])


if __name__ == "__main__":
    main()
