"""Where in a frame the ultrasound image is, so that what lies outside (names, dates, logos) can be made black.

A name inside the image stays: nothing here reads text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Cine, Frame, Mask
from UltrasoundLesionSegLib.errors import FrameError

HEADER = "the ultrasound regions of the DICOM header"
MOTION = "the area that moves over the cine"
NOTHING = "no image area could be told (no ultrasound region in a header, nothing that moves): pictures are whole"

SAMPLED_FRAMES = 48
MOVING_LEVELS = 24  # change of a pixel over the cine, in grey levels; what compression does around still text is below
MOVING_SHARE = 0.35  # of a pixel's neighbourhood
DARK_LEVEL = 8.0  # from the screen's own level
SMALLEST_SCREEN = 0.05  # of the frame, of one level
TISSUE_SHARE = 0.7  # of a pixel's neighbourhood that is not dark
SPECKLE_LEVELS = 1.5  # standard deviation in a pixel's neighbourhood
SMALLEST_MOVING = 0.05  # of an area, or it is a still picture
SMALLEST_SHARE = 0.05  # of the frame; a clock or a progress bar is smaller
SECOND_SHARE = 0.3  # of the largest area: two images side by side


@dataclass(frozen=True)
class ImageArea:
    """Where the ultrasound image is.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W), or None
        True inside; None where it could not be told, so that nothing is made black.
    source : str
        What it was found by, in words.
    """

    mask: Mask | None
    source: str

    @property
    def share(self) -> float:
        """Share of the frame that lies inside, in [0, 1]."""
        return 1.0 if self.mask is None else float(self.mask.mean())

    def including(self, lesions: Mask) -> ImageArea:
        """Return the area extended by lesions, bool (H, W): where a person drew one, there is ultrasound image."""
        return self if self.mask is None else replace(self, mask=self.mask | lesions)

    @property
    def sentence(self) -> str:
        """What was done, for a person."""
        if self.mask is None:
            return self.source
        if self.mask.all():
            return f"in pictures, nothing is made black: no part of the frame lies outside {self.source}"
        percent = 100 * (1 - self.share)
        black = f"{percent:.0f}%" if percent >= 0.5 else "less than 1%"
        return f"in pictures, everything outside {self.source} is black ({black} of the frame)"


def find_image_area(cine: Cine) -> ImageArea:
    """Find the ultrasound image: the regions of the DICOM header, or what moves over the cine where there are none.

    Parameters
    ----------
    cine : Cine

    Returns
    -------
    ImageArea
    """
    boxes = [*(region.box for region in cine.regions), *cine.other_regions]
    if boxes:
        mask = np.zeros(cine.shape, np.bool_)
        for top, left, bottom, right in boxes:
            mask[top : bottom + 1, left : right + 1] = True
        return ImageArea(mask, HEADER)
    moving = _moving_area(cine)
    return ImageArea(moving, MOTION) if moving is not None else ImageArea(None, NOTHING)


def blank_outside(cine: Cine, area: ImageArea) -> Cine:
    """Return the cine with everything outside the image black, frame by frame when asked for, and a note that says so.

    Parameters
    ----------
    cine : Cine
    area : ImageArea
    """
    notes = (*cine.notes, f"{area.sentence[0].upper()}{area.sentence[1:]}.")
    frames = cine.frames if area.mask is None else _BlankedFrames(cine, area.mask)
    return replace(cine, frames=frames, notes=notes)


class _BlankedFrames:
    """A ``FrameReader`` that blacks out what lies outside a mask."""

    def __init__(self, cine: Cine, inside: Mask) -> None:
        self._frames = cine.frames
        self._outside = ~inside

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int, /) -> Frame:
        frame = np.array(self._frames[index])
        frame[self._outside] = 0
        return frame


def _moving_area(cine: Cine) -> Mask | None:
    """Return the convex hull of what moves and of the tissue it is part of; None where too little moves."""
    size = cine.height * cine.width
    side = max(5, round(min(cine.shape) / 50)) | 1
    moving, mean = _motion(cine)
    mean -= _background(mean, moving)
    dense = _share_around(moving, side) >= MOVING_SHARE
    # tissue that is still in a slow cine: written text is mostly background, a plain background has no speckle
    spread = np.sqrt(np.maximum(cv2.blur(mean * mean, (side, side)) - cv2.blur(mean, (side, side)) ** 2, 0))
    tissue = (_share_around(np.abs(mean) > DARK_LEVEL, side) >= TISSUE_SHARE) & (spread >= SPECKLE_LEVELS)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    # closing fills dark cysts and shadows, which do not move; opening cuts off a clock beside the image
    found = cv2.morphologyEx((dense | tissue).astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(found, cv2.MORPH_OPEN, kernel))
    sizes = statistics[:, cv2.CC_STAT_AREA].astype(float)
    sizes[0] = 0  # the background
    sizes[np.bincount(labels[dense], minlength=count) < SMALLEST_MOVING * sizes] = 0
    if sizes.max() < SMALLEST_SHARE * size:
        return None
    area = np.zeros(cine.shape, np.uint8)
    for label in np.flatnonzero(sizes >= SECOND_SHARE * sizes.max()):
        contours, _ = cv2.findContours((labels == label).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.fillConvexPoly(area, cv2.convexHull(np.concatenate(contours)), 1)
    return area.astype(np.bool_)


def _background(mean: NDArray[np.float32], moving: Mask) -> float:
    """Return the level of the screen: the most frequent one where nothing moves."""
    counts = np.bincount(np.round(mean[~moving]).astype(int), minlength=1)
    return float(counts.argmax()) if counts.max() >= SMALLEST_SCREEN * mean.size else 0.0


def _share_around(mask: Mask, side: int) -> NDArray[np.float32]:
    return np.asarray(cv2.blur(mask.astype(np.float32), (side, side)), np.float32)


def _motion(cine: Cine) -> tuple[Mask, NDArray[np.float32]]:
    """Return which pixels change over the cine, and the mean frame."""
    lowest, highest = np.full(cine.shape, 255, np.uint8), np.zeros(cine.shape, np.uint8)
    total, count = np.zeros(cine.shape, np.float32), 0
    for grey in _sampled(cine):
        lowest, highest = np.minimum(lowest, grey), np.maximum(highest, grey)
        total += grey
        count += 1
    change = highest.astype(np.int16) - lowest
    return change >= MOVING_LEVELS, total / np.float32(max(count, 1))


def _sampled(cine: Cine) -> Iterator[NDArray[np.uint8]]:
    """Yield evenly spaced frames in grey; frames that cannot be read are passed over."""
    for index in sorted({round(at) for at in np.linspace(0, len(cine) - 1, SAMPLED_FRAMES).tolist()}):
        try:
            frame = cine.frames[index]
        except FrameError:
            continue
        yield frame.max(axis=2) if frame.ndim == 3 else frame
