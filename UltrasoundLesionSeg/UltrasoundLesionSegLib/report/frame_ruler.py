"""Frames with their numbers and rulers of pixel coordinates: where to click, for who works without a window."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import FrameError, SeedError
from UltrasoundLesionSegLib.measurement.shape import Box
from UltrasoundLesionSegLib.report.case import DISCLAIMER
from UltrasoundLesionSegLib.report.contact_sheet import GAP, INK, PAPER, choose_frames
from UltrasoundLesionSegLib.report.overlay import RgbImage, View, canvas_of, font
from UltrasoundLesionSegLib.writers.atomic import atomic_path

MOST_FRAMES, SHEET_COLUMNS = 12, 3
TILE_WIDTH = 480
WIDE, WIDEST = 1000, 1600  # of the picture of one frame: small frames are enlarged to the one, large ones kept to this
LEFT, TOP = 40, 20  # margins with the rulers' numbers
LINE = 24  # of text
SIZE, SMALL = 15, 12  # of the font in pixels
LABELS_APART = 60  # pixels of the picture between two numbers of a ruler, at least
GRID_STRENGTH = 0.22
GRID_COLOUR = (120, 220, 255)


def frame_sheet(cine: Cine) -> RgbImage:
    """Lay up to 12 frames out, evenly chosen from the first to the last, each with its number, time and rulers.

    Parameters
    ----------
    cine : Cine

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    if len(cine) == 1:
        return frame_picture(cine, 0)
    frames = choose_frames(len(cine), MOST_FRAMES)
    return _laid_out(cine, frames, TILE_WIDTH / cine.width, "--frame N shows one frame larger.")


def frame_picture(cine: Cine, frame: int) -> RgbImage:
    """Show one frame large, with its number, time and rulers.

    Parameters
    ----------
    cine : Cine
    frame : int

    Raises
    ------
    SeedError
        When the frame is not in the cine.
    FrameError
        When it cannot be read.
    """
    if not 0 <= frame < len(cine):
        raise SeedError(f"frame {frame} is not in the cine, which has frames 0 to {len(cine) - 1}; name one of those")
    cine.frames[frame]  # one frame alone is no picture if it cannot be read; in a sheet, the others are
    scale = max(1, round(WIDE / cine.width)) if cine.width < WIDEST else WIDEST / cine.width
    return _laid_out(cine, [frame], scale)


def write_picture(target: Path, picture: RgbImage) -> None:
    """Write a picture as PNG.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    with atomic_path(target) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def _laid_out(cine: Cine, frames: list[int], scale: float, more: str = "") -> RgbImage:
    """Return frames in rows, under lines that say what the numbers mean."""
    view = View(Box(0, cine.height, 0, cine.width), scale)
    height, width = view.size
    columns = min(SHEET_COLUMNS, len(frames))
    across, down = LEFT + width + GAP, TOP + height + LINE + GAP
    head = [
        f"{cine.identity.short_name}: frames 0 to {len(cine) - 1}, {cine.width} columns x {cine.height} rows.",
        "Columns are numbered along the top, rows on the left: --click COLUMN,ROW@FRAME.",
        f"{more} {DISCLAIMER}".strip(),
    ]
    if columns > 1:
        head = [" ".join(head[:2]), head[2]]
    top = GAP + LINE * len(head)
    image = Image.new("RGB", (GAP + columns * across, top + -(-len(frames) // columns) * down), PAPER)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(head):
        draw.text((GAP, GAP + number * LINE), line, INK, font(SIZE))
    for number, frame in enumerate(frames):
        corner = (GAP + LEFT + number % columns * across, top + TOP + number // columns * down)
        caption = _caption(cine, frame)
        try:
            canvas = canvas_of(cine.frames[frame], view)
        except FrameError:
            canvas = np.zeros((height, width, 3), np.uint8)
            caption += ", cannot be read"
        step = _step(scale)
        image.paste(Image.fromarray(_with_grid(canvas, step, scale)), corner)
        _draw_rulers(draw, corner, view, step)
        draw.text((corner[0], corner[1] + height + 4), caption, INK, font(SIZE))
    return np.array(image)


def _caption(cine: Cine, frame: int) -> str:
    seconds = f", {cine.timing.seconds[frame]:.2f} s" if cine.timing else ""
    return f"frame {frame}{seconds}"


def _step(scale: float) -> int:
    """Return the pixels of the frame from one number of a ruler to the next: 1, 2 or 5 times a power of ten."""
    least = LABELS_APART / scale
    power = 10 ** math.floor(math.log10(max(least, 1)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _place(pixel: int, scale: float) -> int:
    """Return where the centre of a pixel of the frame is in the picture."""
    return round((pixel + 0.5) * scale - 0.5)


def _with_grid(canvas: RgbImage, step: int, scale: float) -> RgbImage:
    """Return the picture with faint lines through the pixels that the rulers number."""
    height, width = canvas.shape[:2]
    lined = np.zeros((height, width), np.bool_)
    lined[[_place(at, scale) for at in range(0, math.floor(height / scale), step)]] = True
    lined[:, [_place(at, scale) for at in range(0, math.floor(width / scale), step)]] = True
    gridded = canvas.astype(np.float32)
    gridded[lined] += GRID_STRENGTH * (np.array(GRID_COLOUR, np.float32) - gridded[lined])
    return np.round(gridded).astype(np.uint8)


def _draw_rulers(draw: ImageDraw.ImageDraw, corner: tuple[int, int], view: View, step: int) -> None:
    """Write the columns' numbers above a picture and the rows' on its left, with a mark at each fifth of a step."""
    left, top = corner
    fine = step // 5 if step % 5 == 0 else 1
    for column in range(0, view.box.width, fine):
        at, is_numbered = left + _place(column, view.scale), column % step == 0
        draw.line([(at, top - (6 if is_numbered else 3)), (at, top - 1)], INK)
        if is_numbered:
            draw.text((at, top - 7), str(column), INK, font(SMALL), anchor="mb")
    for row in range(0, view.box.depth, fine):
        at, is_numbered = top + _place(row, view.scale), row % step == 0
        draw.line([(left - (6 if is_numbered else 3), at), (left - 1, at)], INK)
        if is_numbered:
            draw.text((left - 8, at), str(row), INK, font(SMALL), anchor="rm")
