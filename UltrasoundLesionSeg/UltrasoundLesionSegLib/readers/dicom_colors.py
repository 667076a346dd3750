"""How three samples a pixel are stored, RGB or YBR, together or plane by plane, where the header does not settle it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels import convert_color_space

YBR_422 = ("YBR_FULL_422", "YBR_PARTIAL_422")
"""Two pixels share their chroma."""

YBR = ("YBR_FULL", *YBR_422)
_PARTIAL = "YBR_PARTIAL_422"
_CLEARLY = 0.2
_DARKEST = 16
"""Black in YBR_PARTIAL_422."""

_MOST_DARKER = 0.01
"""Share of pixels darker than that from which on the levels are those of YBR_FULL: rounding, and single errors."""

_LEAST_COLORED = 0.01
"""Share of coloured pixels below which a frame is grey as its header has it."""

_FROM_PARTIAL = np.array([[1.1644, 0, 1.5960], [1.1644, -0.3917, -0.8129], [1.1644, 2.0173, 0]], np.float32)
"""Inverse of the matrix of PS3.3-2003 C.7.6.3.1.2, from which the standard has dropped YBR_PARTIAL_422."""


def looks_like_ybr(samples: NDArray[Any], told: str) -> bool:
    """Whether samples are YBR, judged by their black and grey.

    Black is (0, 0, 0) in RGB and (0, 128, 128) in YBR, and ultrasound is full of it: told apart by whether the second
    and third channel are nearer to the first or to 128. Files that were decompressed often are RGB and still say YBR;
    the reverse is rare, so what is said to be RGB must be YBR beyond doubt.

    Parameters
    ----------
    samples : ndarray of uint8, shape (..., 3)
    told : str
        Photometric Interpretation.
    """
    first, second, third = (samples[..., channel].astype(np.int16) for channel in range(3))
    from_first = float(np.abs(second - first).mean() + np.abs(third - first).mean())
    from_middle = float(np.abs(second - 128).mean() + np.abs(third - 128).mean())
    return from_middle <= from_first if told in YBR else from_middle < _CLEARLY * from_first


def disagreement_note(told: str, is_ybr: bool) -> tuple[str, ...]:
    """Return the sentence on a header that names the other kind of colour, nothing when it does not."""
    if is_ybr == (told in YBR):
        return ()
    found, named = ("YBR", "RGB") if is_ybr else ("RGB", "YBR")
    return (f"The DICOM header names the wrong kind of colours ({named}): read as {found}, so that black is black.",)


def has_partial_range(samples: NDArray[Any], told: str) -> bool:
    """Whether the levels of YBR samples run from 16 to 235: the header says so, and hardly any luma is below 16.

    Parameters
    ----------
    samples : ndarray of uint8, shape (..., 3)
    told : str
        Photometric Interpretation of the header.
    """
    return told == _PARTIAL and float((samples[..., 0] < _DARKEST - 1).mean()) <= _MOST_DARKER


def to_rgb(samples: NDArray[Any], is_partial: bool = False) -> NDArray[Any]:
    """Return YBR samples as RGB (PS3.3 C.7.6.3.1.2).

    Parameters
    ----------
    samples : ndarray of uint8, shape (H, W, 3)
    is_partial : bool
        Whether the levels run from 16 to 235 (YBR_PARTIAL_422), not from 0 to 255.
    """
    if not is_partial:
        return np.asarray(convert_color_space(samples, "YBR_FULL", "RGB"))
    levels = samples.astype(np.float32) - np.array([_DARKEST, 128, 128], np.float32)
    return (levels @ _FROM_PARTIAL.T).round().clip(0, 255).astype(np.uint8)


def is_stored_otherwise(as_told: NDArray[Any], otherwise: NDArray[Any]) -> bool:
    """Whether samples lie plane by plane where the header says pixel by pixel, or the reverse.

    Told by a frame that is mostly grey, as ultrasound is: read in the wrong order, it is coloured nearly everywhere and
    neighbours differ more. For a frame in colour the header is trusted.

    Parameters
    ----------
    as_told, otherwise : ndarray of uint8, shape (H, W, 3)
        The frame by its Planar Configuration, and by the other one.
    """
    told, other = 1 - _share_of_grey(as_told), 1 - _share_of_grey(otherwise)
    return told > _LEAST_COLORED and other < _CLEARLY * told and _roughness(otherwise) < _roughness(as_told)


def _share_of_grey(samples: NDArray[Any]) -> float:
    """Return the share of pixels that are grey, as RGB or as YBR."""
    first, second, third = (samples[..., channel].astype(np.int16) for channel in range(3))
    is_grey = (first == second) & (second == third)
    return float((is_grey | ((np.abs(second - 128) <= 2) & (np.abs(third - 128) <= 2))).mean())


def _roughness(samples: NDArray[Any]) -> float:
    """Return by how much pixels differ on average from those below and beside them."""
    values = samples.astype(np.int16)
    return sum(float(np.abs(np.diff(values, axis=axis)).mean()) for axis in (0, 1) if values.shape[axis] > 1)
