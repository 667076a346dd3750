"""Merging: several lesions on one frame, and the forward and the backward result for one frame."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Mask

LEAST = 1e-6  # keeps the odds finite


def soft_aggregate(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Merge per-lesion probabilities so that lesions compete for pixels (Oh et al., STM, ICCV 2019, eq. 5).

    With odds ``o_k = p_k / (1 - p_k)`` and the background's probability ``prod(1 - p_k)``, the merged probability is
    ``o_k / (o_background + sum(o))``. A single lesion is returned unchanged: there is nobody to compete with.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (K, H, W)

    Returns
    -------
    ndarray of float32, shape (K, H, W)
        At each pixel at most one lesion exceeds 0.5.
    """
    if len(probabilities) < 2:
        return probabilities
    merged = np.zeros_like(probabilities)
    rows, columns = np.nonzero(probabilities.max(axis=0) > LEAST)  # most of a frame belongs to no lesion: skip it
    inside = np.clip(probabilities[:, rows, columns].astype(np.float64), LEAST, 1 - LEAST)
    background = np.clip(np.prod(1 - inside, axis=0), LEAST, 1 - LEAST)
    odds = inside / (1 - inside)
    merged[:, rows, columns] = odds / (background / (1 - background) + odds.sum(axis=0))
    return merged


def merge_lesions(probabilities: NDArray[np.float32], taken: Mask, allow_overlap: bool) -> NDArray[np.float32]:
    """Return the probabilities of the lesions computed on a frame after they and the others there made room.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (K, H, W)
    taken : ndarray of bool, shape (H, W)
        Pixels of lesions that are not computed on this frame: anchors, and results left alone.
    allow_overlap : bool
        True returns the probabilities unchanged.
    """
    if allow_overlap:
        return probabilities
    merged = soft_aggregate(probabilities)
    if taken.any():
        merged = np.where(taken, np.float32(0), merged)
    return merged


def blend(
    forward: NDArray[np.float32],
    backward: NDArray[np.float32],
    expected: tuple[float, float],
    distances: tuple[int, int],
) -> NDArray[np.float32]:
    """Blend the forward and the backward result of a frame between two anchors.

    Each is weighted by its expected overlap and by nearness to the anchor on its side:
    ``w_f = e_f * d_b / (d_f + d_b)``.

    Parameters
    ----------
    forward, backward : ndarray of float32, shape (H, W)
    expected : (float, float)
        Expected overlap of the forward and the backward result, 0 to 1.
    distances : (int, int)
        Frames from the nearest anchor on the left and on the right, each > 0.
    """
    weight_forward = max(expected[0], LEAST) * distances[1]
    weight_backward = max(expected[1], LEAST) * distances[0]
    share = np.float32(weight_forward / (weight_forward + weight_backward))
    return share * forward + (1 - share) * backward


@dataclass(frozen=True)
class PackedProbabilities:
    """A probability map of a whole frame in a few KB, for a forward pass that waits for its backward pass.

    8-bit steps of 1/255 around the lesion, deflated: 2 to 6 KB for a lesion of 150 pixels, against 1.9 MB as float32 at
    600 x 800. That is what keeps the memory of a 5,000-frame stretch bounded.
    """

    shape: tuple[int, int]
    box: tuple[int, int, int, int]  # first and one past last row, first and one past last column
    packed: bytes

    @classmethod
    def pack(cls, probabilities: NDArray[np.float32] | Mask) -> PackedProbabilities:
        """Pack a map, or a mask, of shape (H, W)."""
        # the part of the frame that is not rounded to 0; only this part is processed
        inside = probabilities > 0.49 / 255 if probabilities.dtype != np.bool_ else probabilities
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        box = (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1) if len(rows) else (0, 0, 0, 0)
        crop = np.round(probabilities[box[0] : box[1], box[2] : box[3]] * np.float32(255)).astype(np.uint8)
        return cls((probabilities.shape[0], probabilities.shape[1]), box, zlib.compress(crop.tobytes(), 1))

    def unpack(self) -> NDArray[np.float32]:
        """Return the map, shape (H, W), to within 1/510."""
        full = np.zeros(self.shape, np.float32)
        row, row_end, column, column_end = self.box
        crop = np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(row_end - row, column_end - column)
        full[row:row_end, column:column_end] = crop.astype(np.float32) / 255
        return full
