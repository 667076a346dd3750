"""What a lesion and its surroundings looked like on a frame.

A lesion that left the image plane left it together with the tissue around it. Where that tissue is still in view, the
lesion is more probably there and was missed. And a structure that a person said is not the lesion is known again.
"""

from __future__ import annotations

import cv2
import numpy as np

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.engine.likeness import Field, Grey, likeness, remapped, smooth_flow, structure
from UltrasoundLesionSegLib.engine.signals import overlap
from UltrasoundLesionSegLib.engine.window import Window

SAME_PLACE, SAME_TISSUE = 0.5, 0.5  # Dice and likeness above which a mask is what was seen
AROUND = 0.075  # of the window's side: so far beyond the outline tissue is compared


class LastView:
    """A lesion, or what was taken for it, on a frame.

    Parameters
    ----------
    picture : ndarray of uint8, shape (N, N)
        The frame on which it was last seen, through ``window``.
    lesion : ndarray of bool, shape (N, N)
        Its mask there.
    window : Window
        Around the lesion.
    """

    def __init__(self, picture: Grey, lesion: Mask, window: Window) -> None:
        self.window = window
        self._picture = picture
        self._structure = structure(picture)
        reach = int(AROUND * len(picture))
        self._lesion = lesion.view(np.uint8)
        self._region = cv2.dilate(self._lesion, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def likeness(self, now: Grey) -> float:
        """Return how much of the lesion's and its surroundings' structure is in view in its place, 0 to 1.

        Parameters
        ----------
        now : ndarray of uint8, shape (N, N)
            The present frame through the same window.
        """
        return self._likeness(now, self._places(now))

    def shows(self, now: Grey, lesion: Mask) -> bool:
        """Tell whether a mask on another frame is this lesion: in the same place of the same tissue.

        Parameters
        ----------
        now : ndarray of uint8, shape (N, N)
            A frame through the same window.
        lesion : ndarray of bool, shape (N, N)
            A mask on it.
        """
        places = self._places(now)
        here = remapped(self._lesion, *places) > 0
        return overlap(here, lesion) > SAME_PLACE and self._likeness(now, places) > SAME_TISSUE

    def carried(self, now: Grey) -> Mask:
        """Return the lesion's mask as optical flow carries it to another frame, bool (N, N). See ``likeness``."""
        return remapped(self._lesion, *self._places(now)) > 0

    def _places(self, now: Grey) -> tuple[Field, Field]:
        """Return where each pixel of a frame is here, columns and rows."""
        rows, columns = np.indices(now.shape, np.float32)
        back = smooth_flow(self._flow, now, self._picture)
        return columns + back[..., 0], rows + back[..., 1]

    def _likeness(self, now: Grey, places: tuple[Field, Field]) -> float:
        region = remapped(self._region, *places) > 0
        return likeness(remapped(self._structure, *places)[region], structure(now)[region])
