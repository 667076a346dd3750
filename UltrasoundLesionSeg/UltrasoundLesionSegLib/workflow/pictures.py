"""Pictures of a result as Slicer shows it: slice views of frames with their segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from UltrasoundLesionSegLib.writers.atomic import atomic_path


def save_slice_views(browser: Any, frames: Sequence[int], folder: Path, size: tuple[int, int] = (700, 560)) -> Path:
    """Render frames of a cine with its segmentation in a real slice view and save them, and one overview of all.

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
    from UltrasoundLesionSegLib.mrml.slice_view import SliceView

    pictures = []
    with SliceView(browser, *size) as view:
        for frame in frames:
            picture = _labelled(view.picture(frame), f"frame {frame}")
            _save(picture, folder / f"frame_{frame:05d}.png")
            pictures.append(picture)
    overview = folder / "overview.png"
    _save(_grid(pictures, columns=3), overview)
    return overview


def _labelled(picture: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text((12, 10), text, fill=(255, 255, 0), font_size=22)
    return np.asarray(image)


def _grid(pictures: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    blank = np.zeros_like(pictures[0])
    padded = [*pictures, *[blank] * (-len(pictures) % columns)]
    rows = [np.concatenate(padded[start : start + columns], axis=1) for start in range(0, len(padded), columns)]
    return np.concatenate(rows, axis=0)


def _save(picture: NDArray[np.uint8], path: Path) -> None:
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary)
