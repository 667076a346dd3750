"""A cine in the scene with part of its frames black, for as long as a copy of the scene is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.mrml.cine_of_browser import master_sequence
from UltrasoundLesionSegLib.mrml.frames import array_from_image, image_of


@contextmanager
def blanked(browser: Any, inside: Mask) -> Iterator[None]:
    """Black out what lies outside a mask in a cine's frames, and put it back when the block ends.

    Other volumes in the scene are not touched; nor is the volume that the cine was made of (``useNode``).

    Parameters
    ----------
    browser : vtkMRMLSequenceBrowserNode
    inside : ndarray of bool, shape (H, W)
    """
    sequence = master_sequence(browser)
    nodes = [sequence.GetNthDataNode(frame) for frame in range(sequence.GetNumberOfDataNodes())]
    images = [image_of(node) for node in (*nodes, browser.GetProxyNode(sequence))]
    outside, kept = ~inside, []
    try:
        # the shown volume may share its image with a frame, so the images are restored in reverse order
        for image in images:
            if image is None or image.GetDimensions() != (inside.shape[1], inside.shape[0], 1):
                continue  # an unreadable frame
            pixels = array_from_image(image)[0]
            kept.append((pixels, pixels[outside].copy()))
            pixels[outside] = 0
        yield
    finally:
        for pixels, before in reversed(kept):
            pixels[outside] = before
        # the shown volume may have got a new copy of its frame meanwhile
        shown, frame = image_of(browser.GetProxyNode(sequence)), image_of(nodes[browser.GetSelectedItemNumber()])
        if shown is not None and frame is not None and shown.GetDimensions() == frame.GetDimensions():
            array_from_image(shown)[0][outside] = array_from_image(frame)[0][outside]
