"""Pictures of the frames on which two sides agree least: both outlines over each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from UltrasoundLesionSegLib.cine import Cine, Frame, Mask
from UltrasoundLesionSegLib.errors import LesionSegError, OutputError
from UltrasoundLesionSegLib.measurement.shape import bounding_box
from UltrasoundLesionSegLib.report.image_area import blank_outside, find_image_area
from UltrasoundLesionSegLib.report.overlay import View, canvas_of, draw_lesion
from UltrasoundLesionSegLib.review.comparison import LesionComparison

FIRST, SECOND = (230, 126, 34), (41, 128, 185)  # orange and blue, which the colour-blind distinguish too
WIDTH = 480  # pixels of a picture
MARGIN = 0.6  # around both outlines, in their size


def outlines_over_each_other(frame: Frame, first: Mask, second: Mask) -> bytes:
    """Return a JPEG picture of the part of a frame around two masks, with both outlines.

    Parameters
    ----------
    frame : ndarray of uint8, shape (H, W) or (H, W, 3)
    first, second : ndarray of bool, shape (H, W)
        At least one with a pixel.

    Raises
    ------
    OutputError
        When the picture cannot be encoded.
    """
    around = bounding_box(first | second)
    assert around is not None
    box = around.grown(int(MARGIN * max(around.depth, around.width)) + 8, first.shape)
    view = View(box, WIDTH / box.width)
    canvas = canvas_of(frame, view)
    for mask, colour in ((first, FIRST), (second, SECOND)):
        if mask.any():
            draw_lesion(canvas, mask, None, colour, view)
    done, packed = cv2.imencode(".jpg", np.ascontiguousarray(canvas[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not done:
        raise OutputError("a picture of two outlines cannot be encoded; compare without pixels allowed")
    return packed.tobytes()


def pictures_of(
    rows: Sequence[LesionComparison],
    source_of: Callable[[LesionComparison], Cine | None],
    masks_of: Callable[[LesionComparison], tuple[Mask, Mask]],
) -> Mapping[tuple[str, str], bytes]:
    """Return a picture of each lesion's worst frame, by case and lesion, without those whose source is not there.

    What lies outside the ultrasound image is black.

    Parameters
    ----------
    rows : sequence of LesionComparison
    source_of : callable
        Gives the cine of a row, or None.
    masks_of : callable
        Gives both sides' masks, bool (H, W), on a row's worst frame.
    """
    found = {}
    for row in rows:
        cine = source_of(row)
        if cine is None:
            continue
        first, second = masks_of(row)
        area = find_image_area(cine)  # without the masks: a model's can lie on a name beside the image
        try:
            frame = blank_outside(cine, area).frames[row.worst_frame]
        except LesionSegError:
            continue  # the frame cannot be read
        found[row.case, row.lesion] = outlines_over_each_other(frame, first, second)
    return found
