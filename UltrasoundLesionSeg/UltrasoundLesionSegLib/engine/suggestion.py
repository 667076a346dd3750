"""A proposal for a seed: one frame, no prompt."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from UltrasoundLesionSegLib.cine import Frame, Mask
from UltrasoundLesionSegLib.engine.device import one_answer
from UltrasoundLesionSegLib.engine.network_api import SuggestionNetwork
from UltrasoundLesionSegLib.engine.threads import threads_for_inference
from UltrasoundLesionSegLib.engine.window import Window, rgb


@torch.inference_mode()
def suggest_mask(frame: Frame, network: SuggestionNetwork, input_size: int, device: torch.device) -> Mask:
    """Return the lesion a network sees on a frame: the largest connected part with p > 0.5.

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
        All False when nothing is found.
    """
    height, width = frame.shape[:2]
    window = Window.whole(height, width)
    pixels = torch.from_numpy(rgb(window.cut(frame, input_size))).permute(2, 0, 1)
    with threads_for_inference():
        seen = torch.sigmoid(one_answer(network, pixels.float().div(255)[None], device, "the suggestion is")).numpy()
    mask = window.paste(seen, height, width) > 0.5
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return mask
    return labels == 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
