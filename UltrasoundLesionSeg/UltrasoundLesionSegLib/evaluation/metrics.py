"""Agreement of a mask with the truth: the papers' measures, DAVIS's J and F, the 95% Hausdorff distance."""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
from monai.metrics import compute_dice, compute_iou

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.measurement.overlap import hausdorff95

# DAVIS: a boundary pixel within this share of the image's diagonal counts as found (Perazzi et al., CVPR 2016)
BOUNDARY_TOLERANCE = 0.008


@dataclass(frozen=True)
class FrameScores:
    """Scores of one lesion on one frame.

    Parameters
    ----------
    dice, iou : float
        1 when both masks are empty, 0 when one is.
    recall : float
        TP / (TP + FN); nan when the truth is empty.
    mae : float
        Mean of |prediction - truth| over the frame's pixels.
    boundary : float
        DAVIS's F: harmonic mean of the boundary's precision and recall. (DAVIS's J is ``iou``.)
    hd95 : float
        95% Hausdorff distance in pixels; nan when a mask is empty.
    missed, extra : float
        Area of the truth that the mask lacks, and area of the mask outside the truth, both over the truth's area; nan
        when the truth is empty.
    """

    dice: float
    iou: float
    recall: float
    mae: float
    boundary: float
    hd95: float
    missed: float
    extra: float


SCORES = tuple(field.name for field in fields(FrameScores))


def score_frame(found: Mask, truth: Mask) -> FrameScores:
    """Score a mask against the truth.

    Parameters
    ----------
    found, truth : ndarray of bool, shape (H, W)

    Raises
    ------
    ValueError
        When their shapes differ.
    """
    if found.shape != truth.shape:
        raise ValueError(f"the masks must have one shape, not {found.shape} and {truth.shape}")
    mae = float(np.count_nonzero(found != truth)) / truth.size
    total = int(np.count_nonzero(truth))
    recall = float(np.count_nonzero(found & truth)) / total if total else float("nan")
    extra = float(np.count_nonzero(found & ~truth)) / total if total else float("nan")
    tolerance = int(np.ceil(BOUNDARY_TOLERANCE * np.hypot(*truth.shape)))
    both = found | truth
    if not both.any():
        return FrameScores(1.0, 1.0, recall, mae, 1.0, float("nan"), 1 - recall, extra)
    # the scores depend on the pixels around both masks alone; a frame can be a hundred times larger
    rows, columns = np.flatnonzero(both.any(axis=1)), np.flatnonzero(both.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    found, truth = np.pad(found[box], tolerance + 1), np.pad(truth[box], tolerance + 1)
    prediction, target = (torch.from_numpy(mask.astype(np.float32))[None, None] for mask in (found, truth))
    return FrameScores(
        float(compute_dice(prediction, target, ignore_empty=False)),
        float(compute_iou(prediction, target, ignore_empty=False)),
        recall,
        mae,
        boundary_f(found, truth, tolerance),
        hausdorff95(found, truth),
        1 - recall,
        extra,
    )


def boundary_f(found: Mask, truth: Mask, tolerance: int) -> float:
    """Return DAVIS's F of two masks with a tolerance in pixels.

    Parameters
    ----------
    found, truth : ndarray of bool, shape (H, W)
    tolerance : int
        Radius of the disk within which a boundary pixel of the other mask is looked for.
    """
    edges = [_boundary(mask) for mask in (found, truth)]
    if not edges[0].any() or not edges[1].any():
        return float(edges[0].any() == edges[1].any())
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * tolerance + 1,) * 2)
    near_found, near_truth = (cv2.dilate(edge.astype(np.uint8), disk) > 0 for edge in edges)
    precision = float(np.count_nonzero(edges[0] & near_truth)) / np.count_nonzero(edges[0])
    recall = float(np.count_nonzero(edges[1] & near_found)) / np.count_nonzero(edges[1])
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _boundary(mask: Mask) -> Mask:
    """Return the pixels that differ from their right, lower or lower right neighbour, as DAVIS does."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, lower, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    edge: Mask = (mask ^ right) | (mask ^ lower) | (mask ^ diagonal)
    return edge


def bootstrap_interval(
    values: np.ndarray, patients: np.ndarray, draws: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Return the mean of values and its 95% interval when patients are resampled (bootstrap).

    Parameters
    ----------
    values : ndarray of float, shape (N,)
        nan is left out.
    patients : ndarray, shape (N,)
        Whose each value is; values of one patient are not independent and are drawn together.
    draws, seed : int

    Returns
    -------
    tuple of float
        Mean, lower and upper end; nan for no values.
    """
    valid = ~np.isnan(values)
    values, patients = values[valid], patients[valid]
    if not len(values):
        return (float("nan"),) * 3
    _, owner = np.unique(patients, return_inverse=True)
    sums, counts = np.bincount(owner, values), np.bincount(owner)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (draws, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(values.mean()), float(low), float(high)
