"""A proposal for a seed: one frame, no prompt."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Frame, Mask
from UltrasoundLesionSegLib.engine.device import one_answer
from UltrasoundLesionSegLib.engine.network_api import SuggestionNetwork
from UltrasoundLesionSegLib.engine.threads import threads_for_inference
from UltrasoundLesionSegLib.engine.window import Window, rgb

CLOSER_MARGIN = 2.0  # side of the second look's window over the longer side of what the first one found
CLOSER_SIDE = 0.4  # of the whole frame's window: the smallest of the second look; the network was trained down to 0.45


@torch.inference_mode()
def suggest_mask(frame: Frame, network: SuggestionNetwork, input_size: int, device: torch.device) -> Mask:
    """Return the lesion a network sees on a frame: what is most surely seen on two looks, p > 0.5.

    The first look is at the whole frame, where a small lesion has few pixels. The second one is at what the first one
    found, closer; both count alike. The gain is in Docs/results/ablations.md.

    Parameters
    ----------
    frame : ndarray of uint8, shape (H, W) or (H, W, 3)
    network : SuggestionNetwork
        In evaluation mode on ``device``.
    input_size : int
        Side of the network's input in pixels.
    device : torch.device

    Returns
    -------
    ndarray of bool, shape (H, W)
        One connected part; all False when nothing is found.
    """
    height, width = frame.shape[:2]
    whole = Window.whole(height, width)

    def look(window: Window) -> NDArray[np.float32]:
        pixels = torch.from_numpy(rgb(window.cut(frame, input_size))).permute(2, 0, 1)
        with threads_for_inference():
            answer = one_answer(network, pixels.float().div(255)[None], device, "the suggestion is")
        return window.paste(torch.sigmoid(answer).numpy(), height, width)

    seen = look(whole)
    if (first := _surest_part(seen)).any():
        window = Window.around(first, CLOSER_MARGIN, CLOSER_SIDE * whole.side)
        box = window.box(height, width)
        seen[box] = (seen[box] + look(window)[box]) / 2
    return _surest_part(seen)


def _surest_part(probabilities: NDArray[np.float32]) -> Mask:
    """Return the connected part of p > 0.5 with the largest sum of p - 0.5."""
    found = probabilities > 0.5
    count, labels = cv2.connectedComponents(found.astype(np.uint8), connectivity=8)
    if count < 2:
        return found
    sureness = np.bincount(labels[found], weights=probabilities[found] - 0.5, minlength=count)
    part: Mask = labels == int(sureness.argmax())
    return part
