"""How alike the tissue of two pictures is: structure that is finer than anatomy and coarser than speckle."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.engine.window import Image

Field = NDArray[np.float32]
Grey = NDArray[np.uint8]

FINE, COARSE = 2.0, 10.0  # pixels, standard deviations of the smoothings between which structure is compared
FLOW_SMOOTHING = 0.02  # standard deviation, of the picture's side: removes the random motion of speckle


def structure(picture: Grey) -> Field:
    """Return what of a picture is finer than anatomy and coarser than speckle, which changes as the probe moves.

    Parameters
    ----------
    picture : ndarray of uint8, shape (N, N)

    Returns
    -------
    ndarray of float32, shape (N, N)
        Grey levels, with a mean near 0.
    """
    grey = picture.astype(np.float32)
    fine: Field = cv2.GaussianBlur(grey, (0, 0), FINE) - cv2.GaussianBlur(grey, (0, 0), COARSE)
    return fine


def likeness(first: Field, second: Field) -> float:
    """Return the correlation of two zero-mean samples, 0 to 1; 0 where it is negative or the samples are empty.

    Parameters
    ----------
    first, second : ndarray of float32, shape (n,)
    """
    power = float((first @ first) * (second @ second))
    return max(float(first @ second) / power**0.5, 0.0) if power > 0 else 0.0


def smooth_flow(flow: cv2.DISOpticalFlow, now: Grey, before: Grey) -> Field:
    """Return where each pixel of a picture was on the one before, as an offset in pixels.

    Dense inverse search (Kroeger et al., ECCV 2016), smoothed.

    Parameters
    ----------
    flow : cv2.DISOpticalFlow
    now, before : ndarray of uint8, shape (N, N)

    Returns
    -------
    ndarray of float32, shape (N, N, 2)
        Columns, rows.
    """
    size = now.shape[0]
    back = flow.calc(now, before, np.zeros((size, size, 2), np.float32))
    return cv2.GaussianBlur(back, (0, 0), FLOW_SMOOTHING * size).astype(np.float32, copy=False)


def remapped(image: Image, columns: Field, rows: Field) -> Image:
    """Return an image resampled at given positions, linearly; positions outside take the nearest pixel of the border.

    Parameters
    ----------
    image : ndarray of uint8 or float32, shape (H, W)
    columns, rows : ndarray of float32, shape (N, M)
        Positions in pixels of the image; the centre of its first pixel is (0, 0).

    Returns
    -------
    ndarray, shape (N, M), of the image's dtype
    """
    return cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
