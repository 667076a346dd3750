"""How much what is inside a mask resembles the lesion that was drawn, to the network.

A mask can move from a lesion that leaves the image plane to tissue in its place. A network is as sure of that tissue
after a few frames, but its features of it are others. They tell the two apart better than brightness, certainty or the
surroundings (Docs/results/ablations.md).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor
from torch.nn import functional

from UltrasoundLesionSegLib.cine import Frame, Mask
from UltrasoundLesionSegLib.engine.network_api import PropagationNetwork
from UltrasoundLesionSegLib.engine.network_input import NetworkInput, View
from UltrasoundLesionSegLib.engine.signals import NAN
from UltrasoundLesionSegLib.engine.stretches import SMALL_PART
from UltrasoundLesionSegLib.engine.window import Window


class Resemblance:
    """Compares masks with the lesion on that anchor in memory which shows most of it; another may show an edge only.

    A lesion is described by the mean of the network's features inside the mask minus the mean outside, in the window;
    two descriptions are compared by the cosine between them, -1 to 1.

    Parameters
    ----------
    network : PropagationNetwork
        Nothing is compared if it has no ``appearance``.
    network_input : NetworkInput
    """

    def __init__(self, network: PropagationNetwork, network_input: NetworkInput) -> None:
        self._network, self._input = network, network_input
        self._drawn: Tensor | None = None  # description
        self._window: Window | None = None  # through which it was made
        self._area = 0  # pixels of the frame
        self._anchors: list[tuple[int, Tensor]] = []  # area and description of each
        self._denied: Tensor | None = None  # description

    @property
    def is_known(self) -> bool:
        """Whether masks can be compared with a lesion."""
        return self._drawn is not None

    def know_anchor(self, view: View, seen: Tensor, window: Window, mask: Mask) -> None:
        """Take what the lesion on an anchor looks like.

        Parameters
        ----------
        view : View
            The anchor's frame.
        seen : Tensor, shape (1, 1, N, N)
            The drawn mask through the same window, 0 to 1.
        window : Window
        mask : ndarray of bool, shape (H, W)
            The drawn mask; not empty.
        """
        area, described = int(np.count_nonzero(mask)), self.describe(view, seen)
        if described is not None:
            self._anchors.append((area, described))
        if area >= self._area:
            self._drawn, self._window, self._area = described, window, area

    def describe(self, view: View, seen: Tensor) -> Tensor | None:
        """Return the description of a mask, shape (C,); None if the network has no features. Parameters as above."""
        features = self._network.appearance(view.code)
        if features is None:
            return None
        features = features[0].float()
        height, width = features.shape[-2:]
        inside = functional.adaptive_avg_pool2d(seen, (height, width))[0]
        return _mean(features, inside) - _mean(features, 1 - inside)

    def of(self, described: Tensor | None) -> float:
        """Return how much a mask of this description resembles the drawn lesion, -1 to 1; nan if that is not known."""
        if self._drawn is None or described is None:
            return NAN
        return float(functional.cosine_similarity(described, self._drawn.to(described.device), dim=0))

    def beside_anchor(self, frame: Frame, mask: Mask) -> float:
        """Return the same for a mask seen through a window as large as the anchor's, which costs one encoding.

        What is seen through a window of another size has other features.

        Parameters
        ----------
        frame : ndarray of uint8, shape (H, W) or (H, W, 3)
        mask : ndarray of bool, shape (H, W)
            Not empty.
        """
        return self.of(self._beside_anchor(frame, mask))

    def know_denied(self, frame: Frame, mask: Mask) -> None:
        """Take what a person said is not the lesion looks like. Parameters as above."""
        self._denied = self._beside_anchor(frame, mask)

    def from_denied(self, frame: Frame, mask: Mask) -> float:
        """Return how far a mask is on the way from what was denied, 0, to the drawn lesion, 1; nan if not known.

        Costs one encoding. Parameters as above.
        """
        return self.on_the_way(self._denied, self._beside_anchor(frame, mask))

    def on_the_way(self, denied: Tensor | None, described: Tensor | None) -> float:
        """Return how far a description is on the way from another, 0, to the drawn lesion, 1; nan if not known.

        The projection on the line between those two; the largest over the anchors, since the lesion looks different
        in other sections. Those that show less than ``SMALL_PART`` of it are left out: an edge of the lesion looks like
        what is left in its place.
        """
        if denied is None or described is None:
            return NAN
        denied = denied.to(described.device)
        shown = [one for area, one in self._anchors if area >= SMALL_PART * self._area]
        ways = [one.to(described.device) - denied for one in shown]
        return max((float((described - denied) @ way / (way @ way).clamp_min(1e-6)) for way in ways), default=NAN)

    def _beside_anchor(self, frame: Frame, mask: Mask) -> Tensor | None:
        """Return the description of a mask seen through a window as large as the anchor's; None if not known."""
        if self._window is None:
            return None
        rows, columns = np.nonzero(mask)
        window = replace(self._window, row=float(rows.mean()), column=float(columns.mean()))
        return self.describe(self._input.view(frame, window), self._input.cut_mask(mask.astype(np.float32), window))


def _mean(features: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean of features of shape (C, h, w) over the pixels, shape (C,)."""
    mean: Tensor = (features * weights).sum((1, 2)) / weights.sum().clamp_min(1e-6)
    return mean
