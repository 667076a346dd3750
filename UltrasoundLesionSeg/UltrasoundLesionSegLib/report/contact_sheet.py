"""The cine at a glance: evenly chosen frames that have a result, with outlines, in one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from UltrasoundLesionSegLib.report.case import DISCLAIMER, CaseReport, check_pixels_allowed
from UltrasoundLesionSegLib.report.overlay import RgbImage, View, draw_case_frame, write_text
from UltrasoundLesionSegLib.report.wording import counted, frame_words
from UltrasoundLesionSegLib.writers.atomic import atomic_path

COLUMNS = 6
ROWS = 4
TILE_WIDTH = 260
GAP = 10
CAPTION = 22
PAPER = (24, 24, 26)
INK = (225, 225, 225)
ANCHOR_INK = (255, 214, 102)


def choose_frames(count: int, most: int) -> list[int]:
    """Evenly spaced frames from the first to the last.

    Parameters
    ----------
    count : int
        Number of frames, >= 1.
    most : int
        Largest number to choose, >= 1.
    """
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, most)).tolist()})


def make_contact_sheet(case: CaseReport) -> RgbImage:
    """Lay up to 24 frames out in rows of six, each with outlines and a caption.

    They are chosen evenly among the frames that have a result, the first seed always among them; of a cine without any
    result, among all frames. A caption gives number and time, and says as ``frame_words`` what the masks are. It is
    yellow for seeds and for frames that a person drew or confirmed.

    Parameters
    ----------
    case : CaseReport

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    known = sorted({frame for lesion in case.lesions for frame in lesion.frames})
    shown = known or list(range(len(case.cine)))
    frames = _with_first_start([shown[place] for place in choose_frames(len(shown), COLUMNS * ROWS)], case)
    columns = min(COLUMNS, len(frames))
    rows = -(-len(frames) // columns)
    view = View.whole(case, TILE_WIDTH)
    tile_height = view.size[0]
    step_row, step_column = tile_height + CAPTION + GAP, TILE_WIDTH + GAP
    sheet = np.full((GAP + CAPTION + GAP + rows * step_row, GAP + columns * step_column, 3), PAPER, np.uint8)
    count = counted(len(case.cine), "frame") + (f", {len(known)} with a result" if len(known) < len(case.cine) else "")
    sheet = write_text(sheet, (GAP, GAP), f"{case.name}, {count}. {DISCLAIMER}", 15, INK)
    for number, frame in enumerate(frames):
        row = GAP + CAPTION + GAP + number // columns * step_row
        column = GAP + number % columns * step_column
        tile = draw_case_frame(case, frame, view, callipers=False)
        sheet[row : row + tile_height, column : column + TILE_WIDTH] = tile
        is_anchor = any(frame in lesion.starts for lesion in case.lesions)
        ink = ANCHOR_INK if is_anchor else INK
        sheet = write_text(sheet, (row + tile_height + 3, column + 2), _caption(case, frame), 13, ink)
    return sheet


def write_contact_sheet(target: Path, case: CaseReport, *, pixels_allowed: bool) -> Path:
    """Write the contact sheet as PNG.

    Parameters
    ----------
    target : Path
    case : CaseReport
    pixels_allowed : bool
        Whether pictures of the cine may be written: they may show a patient's name.

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    OutputError
        When pixels are not allowed, or the file cannot be written.
    """
    check_pixels_allowed(pixels_allowed)
    with atomic_path(target) as temporary:
        Image.fromarray(make_contact_sheet(case)).save(temporary, format="PNG")
    return target


def _with_first_start(frames: list[int], case: CaseReport) -> list[int]:
    """Put the first frame that masks were propagated from in the place of the nearest one."""
    starts = [frame for lesion in case.lesions for frame in lesion.starts]
    if not starts or min(starts) in frames:
        return frames
    nearest = min(frames, key=lambda frame: abs(frame - min(starts)))
    return sorted({*frames, min(starts)} - {nearest})


def _caption(case: CaseReport, frame: int) -> str:
    """Number and time of a frame, and what its masks are."""
    parts = [f"{frame}"]
    if case.cine.timing:
        parts.append(f"{case.seconds(frame):.2f} s")
    found = [lesion.by_frame[frame] for lesion in case.lesions if frame in lesion.by_frame]
    visible = any(one.is_visible for one in found)
    return "   ".join([*parts, *frame_words([one.origin for one in found], [one.confidence for one in found], visible)])
