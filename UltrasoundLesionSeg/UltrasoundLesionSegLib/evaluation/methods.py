"""What is compared: models of this project, and baselines that need no training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Anchor, Cine, Frame, FrameResult
from UltrasoundLesionSegLib.engine.bundles import PROPAGATE, Bundle
from UltrasoundLesionSegLib.engine.device import resolve_device
from UltrasoundLesionSegLib.engine.expected_overlap import Judge
from UltrasoundLesionSegLib.engine.network_api import PropagationNetwork, SuggestionNetwork
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer, PropagationInputs
from UltrasoundLesionSegLib.engine.stretches import Direction, plan_stretches
from UltrasoundLesionSegLib.engine.suggestion import suggest_mask
from UltrasoundLesionSegLib.errors import ModelError

Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class Followed:
    """What a method says of one frame.

    Parameters
    ----------
    frame : int
    masks : ndarray of bool, shape (K, H, W)
    confidence : ndarray of float32, shape (K,), or None
        None where the method has none.
    """

    frame: int
    masks: Masks
    confidence: NDArray[np.float32] | None = None


class Method(ABC):
    """Something that finds the lesions on all frames after the first one's masks were given."""

    name: str

    @abstractmethod
    def follow(self, cine: Cine, seeds: Masks, start: int) -> Iterator[Followed]:
        """Yield what is found on each frame after ``start``, ascending.

        Parameters
        ----------
        cine : Cine
        seeds : ndarray of bool, shape (K, H, W)
            The truth on frame ``start``.
        start : int
        """


class HeldMask(Method):
    """The seed, unmoved."""

    name = "seed copied"

    def follow(self, cine: Cine, seeds: Masks, start: int) -> Iterator[Followed]:
        """Yield the seed for every frame."""
        for frame in range(start + 1, len(cine)):
            yield Followed(frame, seeds)


class OpticalFlow(Method):
    """The seed moved along dense inverse search optical flow (Kroeger et al., ECCV 2016), frame by frame."""

    name = "DIS optical flow"

    def follow(self, cine: Cine, seeds: Masks, start: int) -> Iterator[Followed]:
        """Yield the moved seed; it is moved as a soft mask, so that rounding does not add up."""
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        height, width = cine.shape
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        soft = seeds.astype(np.float32)
        before = _grey(cine.frames[start])
        for frame in range(start + 1, len(cine)):
            now = _grey(cine.frames[frame])
            # where each pixel of the present frame was in the one before
            back = flow.calc(now, before, np.zeros((height, width, 2), np.float32))
            map_column, map_row = columns + back[..., 0], rows + back[..., 1]
            soft = np.stack([cv2.remap(one, map_column, map_row, cv2.INTER_LINEAR) for one in soft])
            before = now
            yield Followed(frame, soft > 0.5)


class Model(Method):
    """A model of this project, through the product's own propagation.

    Parameters
    ----------
    bundle : Bundle
    device : torch.device or str
        See ``resolve_device``.
    overlap : Judge or None
        Tells the expected overlap of masks; None takes the bundle's own.
    network : PropagationNetwork or None
        Takes the place of the bundle's, on the device and in the form it is run in.

    Raises
    ------
    ModelError
        When the bundle's network does something else.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: torch.device | str,
        overlap: Judge | None = None,
        network: PropagationNetwork | None = None,
    ) -> None:
        self.name = bundle.name
        self._device = resolve_device(str(device))
        loaded = bundle.load_for_inference(device) if network is None else network
        if bundle.role != PROPAGATE or not isinstance(loaded, PropagationNetwork):
            raise ModelError(f"the model '{bundle.name}' cannot propagate a seed; evaluate it on stills")
        self._network = loaded
        self._settings = bundle.tracker_settings()
        self._overlap = overlap or bundle.overlap_estimate()

    def propagate(self, inputs: PropagationInputs) -> Iterator[FrameResult]:
        """Yield what the product's propagation gives."""
        yield from PropagationInferer(self._settings, self._device, overlap=self._overlap)(inputs, self._network)

    def follow(self, cine: Cine, seeds: Masks, start: int) -> Iterator[Followed]:
        """Yield what a user would get."""
        anchors = [Anchor(lesion, start, mask) for lesion, mask in enumerate(seeds)]
        stretches = plan_stretches(anchors, Direction.FORWARD, range(start + 1, len(cine)))
        results: dict[int, Masks] = {}
        inputs = PropagationInputs(
            cine, len(seeds), stretches, lambda frame: results.get(frame, np.zeros_like(seeds)).copy()
        )
        for result in self.propagate(inputs):
            results = {result.frame: result.masks}
            yield Followed(result.frame, result.masks, result.confidence)


class FrameModel(Method):
    """A network without a seed, on each frame for itself."""

    def __init__(self, bundle: Bundle, device: torch.device | str) -> None:
        self.name = bundle.name
        self._device = resolve_device(str(device))
        self._size = bundle.input_size
        network = bundle.load_for_inference(device)
        if not isinstance(network, SuggestionNetwork):
            raise ModelError(f"the model '{bundle.name}' needs a seed; evaluate it on videos")
        self._network = network

    def find(self, frame: Frame) -> Masks:
        """Return the lesion of one frame, bool (1, H, W)."""
        return suggest_mask(frame, self._network, self._size, self._device)[None]

    def follow(self, cine: Cine, seeds: Masks, start: int) -> Iterator[Followed]:
        """Yield what the network sees; the seed is not used, and all lesions share one mask."""
        for frame in range(start + 1, len(cine)):
            yield Followed(frame, np.repeat(self.find(cine.frames[frame]), len(seeds), axis=0))


def model_method(bundle: Bundle, device: torch.device | str) -> Method:
    """Return the method for a bundle's role."""
    return Model(bundle, device) if bundle.role == PROPAGATE else FrameModel(bundle, device)


def _grey(frame: Frame) -> Frame:
    return frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
