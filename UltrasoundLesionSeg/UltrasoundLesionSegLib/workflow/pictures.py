"""Pictures of a result as Slicer shows it: slice views of frames with their segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from UltrasoundLesionSegLib.report.wording import frame_words
from UltrasoundLesionSegLib.writers.atomic import atomic_path

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

INK = (255, 255, 255)
ANCHOR_INK = (255, 220, 0)  # of the caption and the frame around a picture of an anchor
_BORDER = 4  # pixels


def save_slice_views(browser: Any, frames: Sequence[int], folder: Path, size: tuple[int, int] = (700, 560)) -> Path:
    """Render frames of a cine with its segmentation in a real slice view and save them, and one overview of all.

    Each picture says which frame it is and how sure the model is there; seeds and other anchors have a yellow border.
    Pictures show the frames' pixels: write them only where nobody's name can be burned in.

    Parameters
    ----------
    browser : vtkMRMLSequenceBrowserNode
    frames : sequence of int
    folder : Path
    size : (int, int)
        Width and height of a picture in pixels.

    Returns
    -------
    Path
        The overview.

    Raises
    ------
    OutputError
        When this machine cannot draw offscreen.
    """
    from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
    from UltrasoundLesionSegLib.mrml.slice_view import SliceView

    pictures = []
    sequence = SegmentationSequence.find(browser)
    with SliceView(browser, *size) as view:
        for frame in frames:
            words, is_anchor = _state_of(sequence, frame) if sequence else ([], False)
            picture = _labelled(view.picture(frame), ", ".join([f"frame {frame}", *words]), is_anchor)
            _save(picture, folder / f"frame_{frame:05d}.png")
            pictures.append(picture)
    overview = folder / "overview.png"
    _save(_grid(pictures, columns=3), overview)
    return overview


def _state_of(sequence: SegmentationSequence, frame: int) -> tuple[list[str], bool]:
    """Return what to say of a frame's masks, and whether one of them is an anchor."""
    segments = [segment.id for segment in sequence.segments()]
    states = [sequence.state(frame, segment) for segment in segments]
    origins = [state.origin for state in states]
    is_visible = any(sequence.read(frame, segment).any() for segment in segments)
    words = frame_words(origins, [state.confidence for state in states], is_visible)
    return words, any(origin is not None and origin.is_anchor for origin in origins)


def _labelled(picture: NDArray[np.uint8], text: str, is_anchor: bool) -> NDArray[np.uint8]:
    image = Image.fromarray(picture)
    drawing = ImageDraw.Draw(image)
    ink = ANCHOR_INK if is_anchor else INK
    drawing.text((12, 10), text, fill=ink, font_size=22, stroke_width=2, stroke_fill=(0, 0, 0))
    if is_anchor:
        drawing.rectangle((0, 0, image.width - 1, image.height - 1), outline=ink, width=_BORDER)
    return np.asarray(image)


def _grid(pictures: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    blank = np.zeros_like(pictures[0])
    padded = [*pictures, *[blank] * (-len(pictures) % columns)]
    rows = [np.concatenate(padded[start : start + columns], axis=1) for start in range(0, len(padded), columns)]
    return np.concatenate(rows, axis=0)


def _save(picture: NDArray[np.uint8], path: Path) -> None:
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary)
