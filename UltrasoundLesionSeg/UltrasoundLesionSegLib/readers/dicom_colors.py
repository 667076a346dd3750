"""Whether three samples a pixel are RGB or YBR, where the header does not settle it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels import convert_color_space

YBR = ("YBR_FULL", "YBR_FULL_422")
_CLEARLY = 0.2


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
    return (f"The header says that the colours are {named} but they are {found}, by their black: read as {found}.",)


def to_rgb(samples: NDArray[Any]) -> NDArray[Any]:
    """Return YBR samples as RGB (PS3.3 C.7.6.3.1.2)."""
    return np.asarray(convert_color_space(samples, "YBR_FULL", "RGB"))
