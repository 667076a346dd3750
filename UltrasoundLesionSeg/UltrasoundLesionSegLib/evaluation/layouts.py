"""Labelled data sets on disk -> cases: DAVIS-2017 and BUV2022 videos, stills with an index.

* ``davis``: ``JPEGImages[/RESOLUTION]/VIDEO/NNNNN.jpg``, ``Annotations[/RESOLUTION]/VIDEO/NNNNN.png``.
* ``buv``: ``images/VIDEO/N.png``, ``labels/VIDEO/N.png``, numbered without leading zeros.
* ``stills``: ``index.csv``, ``images/ID.jpg``, ``masks/ID.png``.

A file ``patients.csv`` (columns video, patient) beside the folders says which videos are of one patient; without it
each video counts as a patient of its own.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.image_folder import natural_key
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.training.stills import read_index, read_still

# a label picture with more grey levels than this was compressed with loss: it is thresholded, not taken for labels
MOST_LESIONS = 10


class Layout(str, Enum):
    """How a data set lies on the disk."""

    DAVIS = "davis"
    BUV = "buv"
    STILLS = "stills"


@dataclass(frozen=True)
class Case:
    """A video, or a still, with its truth.

    Parameters
    ----------
    name, patient : str
    cine : Cine
    labels : sequence of Path or None
        Label picture of each frame; None where a frame has no truth.
    values : tuple of int
        The grey value of each lesion in the label pictures; () for "whatever is bright".
    still_mask : ndarray of bool, shape (H, W), or None
        The truth of a still.
    """

    name: str
    patient: str
    cine: Cine
    labels: tuple[Path | None, ...] = ()
    values: tuple[int, ...] = ()
    still_mask: NDArray[np.bool_] | None = None

    @property
    def lesion_count(self) -> int:
        """How many lesions have a label of their own."""
        return max(len(self.values), 1)

    def truth(self, frame: int) -> NDArray[np.bool_] | None:
        """Return the lesions on a frame, bool (K, H, W); None where the frame has no truth.

        Raises
        ------
        SourceError
            When the label picture has another size than the cine.
        """
        if self.still_mask is not None:
            return self.still_mask[None]
        path = self.labels[frame]
        if path is None:
            return None
        labels = read_labels(path)
        if labels.shape != self.cine.shape:
            raise SourceError(f"a label picture of frame {frame} has another size than the frame; repair the data set")
        if not self.values:
            return (labels > 127)[None] if labels.max(initial=0) > 127 else (labels > 0)[None]
        return np.stack([labels == value for value in self.values])


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Return a label picture as uint8 (H, W): palette indices as they are, colours as grey.

    Raises
    ------
    SourceError
        When the file is no picture.
    """
    try:
        with Image.open(path) as image:
            labels = np.asarray(image if image.mode in ("P", "L", "1") else image.convert("L"))
    except OSError as error:
        raise SourceError("a label picture cannot be read; repair the data set") from error
    return labels.astype(np.uint8) * (255 if labels.dtype == np.bool_ else 1)


def read_cases(folder: Path, layout: Layout, split: str | None = None) -> Iterator[Case]:
    """Read a data set case by case.

    Parameters
    ----------
    folder : Path
    layout : Layout
    split : str or None
        For ``stills``: the column ``split`` of the index. For videos: a list of their names, a line each, in
        ``ImageSets/2017/SPLIT.txt`` (DAVIS) or ``SPLIT.txt``.

    Raises
    ------
    SourceError
        When the folder does not have the layout.
    """
    if not folder.is_dir():
        raise SourceError("the data set's folder does not exist; name one that does")
    if layout is Layout.STILLS:
        for record in read_index(folder, split):
            still = read_still(record, without_marks=False)
            yield Case(record.identifier, record.patient, Cine.from_array(still.image[None]), still_mask=still.mask)
        return
    images, annotations = (_davis_folders if layout is Layout.DAVIS else _buv_folders)(folder)
    patients = _read_patients(folder)
    chosen = _listed_videos(folder, split) if split else None
    videos = sorted((one for one in images.iterdir() if one.is_dir()), key=lambda one: natural_key(one.name))
    found = False
    for video in videos:
        if (chosen is None or video.name in chosen) and (annotations / video.name).is_dir():
            found = True
            yield _video_case(video, annotations / video.name, patients.get(video.name, video.name))
    if not found:
        raise SourceError("the data set has no video with labels; check that it has the layout that was named")


def _davis_folders(folder: Path) -> tuple[Path, Path]:
    images, annotations = folder / "JPEGImages", folder / "Annotations"
    if not images.is_dir() or not annotations.is_dir():
        raise SourceError("the folder has no JPEGImages and Annotations; name the layout that the data set has")
    # DAVIS-2017 has one more level for the resolution; sets made after it often leave it away
    levels = [one for one in sorted(images.iterdir()) if one.is_dir()]
    for level in levels:
        if any(one.is_dir() for one in level.iterdir()) and (annotations / level.name).is_dir():
            return level, annotations / level.name
    return images, annotations


def _buv_folders(folder: Path) -> tuple[Path, Path]:
    if not (folder / "images").is_dir() or not (folder / "labels").is_dir():
        raise SourceError("the folder has no images and labels; name the layout that the data set has")
    return folder / "images", folder / "labels"


def _listed_videos(folder: Path, split: str) -> set[str]:
    for path in (folder / "ImageSets" / "2017" / f"{split}.txt", folder / f"{split}.txt"):
        if path.is_file():
            return set(path.read_text(encoding="utf-8").split())
    raise SourceError(f"the data set has no list of videos named {split}; leave the split away to take all")


def _read_patients(folder: Path) -> dict[str, str]:
    path = folder / "patients.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["video"]: row["patient"] for row in csv.DictReader(file)}


def _video_case(images: Path, annotations: Path, patient: str) -> Case:
    cine = read_cine(images)
    frames = cine.identity.paths
    by_stem = {path.stem: path for path in annotations.iterdir() if not path.name.startswith(".")}
    labels = tuple(by_stem.get(frame.stem) for frame in frames)
    if not any(labels):
        raise SourceError("a video's label pictures are not named like its frames; check the layout")
    return Case(images.name, patient, cine, labels, _lesion_values([one for one in labels if one is not None]))


def _lesion_values(labels: Sequence[Path]) -> tuple[int, ...]:
    """Return the grey values that mean a lesion, from the first label picture that has any."""
    for path in labels:
        values = [int(value) for value in np.unique(read_labels(path)) if value > 0]
        if len(values) == 1 or (1 < len(values) <= MOST_LESIONS and max(values) <= MOST_LESIONS):
            # one value, whatever it is: binary pictures mark their lesion with 1, 128 or 255
            return tuple(values) if len(values) > 1 else ()
        if values:
            return ()
    return ()


def write_davis_video(
    folder: Path, name: str, frames: NDArray[np.uint8], masks: NDArray[np.bool_], quality: int = 92
) -> None:
    """Write a labelled clip in the layout ``davis``.

    Parameters
    ----------
    folder : Path
        The data set.
    name : str
        Of the video.
    frames : ndarray of uint8, shape (T, H, W)
    masks : ndarray of bool, shape (T, H, W)
    quality : int
        JPEG quality of the frames.
    """
    images, annotations = folder / "JPEGImages" / name, folder / "Annotations" / name
    images.mkdir(parents=True, exist_ok=True)
    annotations.mkdir(parents=True, exist_ok=True)
    for number, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
        cv2.imwrite(str(images / f"{number:05d}.jpg"), frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
        cv2.imwrite(str(annotations / f"{number:05d}.png"), mask.astype(np.uint8))
