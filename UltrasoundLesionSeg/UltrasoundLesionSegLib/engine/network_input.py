"""What a network sees of a frame: the pixels in a window as a tensor, and its own code of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from monai.transforms import Compose, EnsureType, ScaleIntensity
from numpy.typing import NDArray
from torch import Tensor

from UltrasoundLesionSegLib.cine import Frame
from UltrasoundLesionSegLib.engine.network_api import FrameCode, PropagationNetwork
from UltrasoundLesionSegLib.engine.window import Window, grey, rgb


@dataclass(frozen=True)
class View:
    """A frame through a window of N x N pixels.

    Parameters
    ----------
    tensor : Tensor of float32, shape (1, 3, N, N)
        What networks take, 0 to 1.
    code : FrameCode
        What the network computed of it.
    grey : ndarray of uint8, shape (N, N)
        What optical flow takes.
    """

    tensor: Tensor
    code: FrameCode
    grey: NDArray[np.uint8]


class NetworkInput:
    """Makes the input of a network of frames and masks.

    Parameters
    ----------
    network : PropagationNetwork
        On ``device``.
    size : int
        Side of the network's input in pixels.
    device : torch.device
    """

    def __init__(self, network: PropagationNetwork, size: int, device: torch.device) -> None:
        self._network = network
        self._size = size
        self._device = device
        # uint8 (3, h, w) cut to the window -> float32 in [0, 1]. Without metadata: a MetaTensor sends every operation
        # of the network through Python, which costs more than the operation.
        to_float = ScaleIntensity(minv=None, maxv=None, factor=1 / 255 - 1)
        self._to_tensor = Compose([to_float, EnsureType("tensor", track_meta=False)])

    def to(self, device: torch.device) -> None:
        """Put what is made from here on onto another device; the caller moves the network."""
        self._device = device

    def view(self, frame: Frame, window: Window) -> View:
        """Return a frame through a window, with the network's code of it.

        Parameters
        ----------
        frame : ndarray of uint8, shape (H, W) or (H, W, 3)
        window : Window
        """
        tensor, levels = self.cut(frame, window)
        return View(tensor, self._network.encode(tensor), levels)

    def cut(self, frame: Frame, window: Window) -> tuple[Tensor, NDArray[np.uint8]]:
        """Return a frame through a window, as a network takes it and in grey levels, the mean of the colours.

        Parameters
        ----------
        frame : ndarray of uint8, shape (H, W) or (H, W, 3)
        window : Window

        Returns
        -------
        tensor : Tensor of float32, shape (1, 3, N, N)
            0 to 1.
        levels : ndarray of uint8, shape (N, N)
        """
        pixels = window.cut(frame, self._size)
        # channels_last, which makes convolutions faster
        colours = torch.from_numpy(rgb(pixels)).permute(2, 0, 1)
        return self._to_tensor(colours)[None].to(self._device), grey(pixels)

    def cut_mask(self, probabilities: NDArray[np.float32], window: Window) -> Tensor:
        """Return a mask's probabilities, float32 (H, W), through a window, float32 (1, 1, N, N)."""
        seen = window.cut(probabilities, self._size)
        return torch.from_numpy(np.ascontiguousarray(seen))[None, None].to(self._device)
