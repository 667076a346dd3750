"""Masks as COCO JSON with compressed run lengths (https://cocodataset.org, "Data format")."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Mask, Origin
from UltrasoundLesionSegLib.writers.atomic import atomic_path
from UltrasoundLesionSegLib.writers.masks import MaskReader


def run_lengths(mask: Mask) -> list[int]:
    """Lengths of the runs of background, lesion, background ... down the columns, left to right.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)

    Returns
    -------
    list of int
        The first is a run of background, 0 long where the first pixel belongs to the lesion. Their sum is H * W.
    """
    pixels = mask.T.ravel()
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    edges = np.concatenate([[0] * (2 if pixels[0] else 1), changes, [len(pixels)]])
    return [int(length) for length in np.diff(edges)]


def compress(lengths: Sequence[int]) -> str:
    """Write run lengths as COCO's compressed string.

    From the fourth on, the difference to the length two before is written. A number is written five bits at a time, the
    lowest first; a sixth bit says that more follow, and the last group's highest bit is the sign. Each group plus 48 is
    an ASCII character. (Definition: ``rleToString`` in the COCO API's maskApi.c.)

    Parameters
    ----------
    lengths : sequence of int
    """
    characters = []
    for index, length in enumerate(lengths):
        number = length - lengths[index - 2] if index > 2 else length
        while True:
            group, number = number & 0x1F, number >> 5
            is_last = number == (-1 if group & 0x10 else 0)
            characters.append(chr((group if is_last else group | 0x20) + 48))
            if is_last:
                break
    return "".join(characters)


def bounding_box(mask: Mask) -> list[int]:
    """Return ``[x, y, width, height]`` in pixels of a mask, bool (H, W), with at least one pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]


def write_coco(
    target: Path,
    masks: MaskReader,
    frames: int,
    names: Sequence[str],
    cine_name: str,
    confidence: NDArray[np.floating] | None = None,
    origins: Sequence[Sequence[Origin | None]] | None = None,
    skipped: Collection[int] = (),
) -> Path:
    """Write all masks of a cine as one COCO file; lesions may overlap.

    Every frame is an image (``id`` = frame + 1, ``frame_id`` the zero-based frame, named as ``write_davis`` names its
    PNG). Every visible lesion on it is an annotation: ``category_id`` 1 (lesion), ``track_id`` the lesion's number
    from 1, ``segmentation`` in compressed run lengths, ``area`` and ``bbox`` in pixels, ``iscrowd`` 0; ``score`` and
    ``origin`` where known. A lesion that is not visible has no annotation.

    Parameters
    ----------
    target : Path
    masks : MaskReader
    frames : int
    names : sequence of str
        One a lesion.
    cine_name : str
        A name without an identifier: ``SourceIdentity.short_name``.
    confidence : ndarray of float, shape (K, T), or None
        nan where unknown.
    origins : sequence of K sequences of T Origin, or None
    skipped : collection of int
        Frames without a result, which are left out: an image without annotations is one without a visible lesion.

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for frame in range(frames):
        if frame in skipped:
            continue
        stack = masks(frame)
        height, width = stack.shape[1:]
        images.append(
            {
                "id": frame + 1,
                "video_id": 1,
                "frame_id": frame,
                "file_name": f"{frame:05d}.png",
                "width": width,
                "height": height,
            }
        )
        for lesion in np.flatnonzero(stack.any(axis=(1, 2))).tolist():
            annotation = _annotation(stack[lesion], lesion, frame)
            if confidence is not None and not math.isnan(confidence[lesion, frame]):
                annotation["score"] = float(confidence[lesion, frame])
            origin = origins[lesion][frame] if origins is not None else None
            if origin is not None:
                annotation["origin"] = origin.value
            annotations.append({"id": len(annotations) + 1, **annotation})
    content = {
        "info": {"description": "lesions on the frames of an ultrasound cine; not for diagnosis"},
        "videos": [{"id": 1, "name": cine_name, "length": frames}],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "lesion", "supercategory": "lesion"}],
        "tracks": [
            {"id": index + 1, "category_id": 1, "video_id": 1, "name": name} for index, name in enumerate(names)
        ],
    }
    with atomic_path(target) as temporary:
        temporary.write_text(json.dumps(content, separators=(",", ":"), allow_nan=False), encoding="utf-8")
    return target


def _annotation(mask: Mask, lesion: int, frame: int) -> dict[str, Any]:
    """Annotation of one lesion that is visible on one frame."""
    return {
        "image_id": frame + 1,
        "video_id": 1,
        "track_id": lesion + 1,
        "category_id": 1,
        "segmentation": {"size": list(mask.shape), "counts": compress(run_lengths(mask))},
        "area": int(np.count_nonzero(mask)),
        "bbox": bounding_box(mask),
        "iscrowd": 0,
    }
