from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.training.stills import find_marks, read_index, read_still, remove_marks


def test_the_index_is_read_by_split(still_folder: Path) -> None:
    assert [record.identifier for record in read_index(still_folder, "val")] == ["s4", "s5"]
    assert len(read_index(still_folder)) == 6
    still = read_still(read_index(still_folder, "train")[0])
    assert still.image.shape == still.mask.shape == (150, 130)
    assert still.image[still.mask].mean() < still.image[~still.mask].mean() - 40


def test_a_patient_on_both_sides_of_the_split_is_refused(still_folder: Path) -> None:
    index = still_folder / "index.csv"
    index.write_text(index.read_text().replace("s1,1,train", "s1,1,val"))
    with pytest.raises(SourceError, match="split the data by patient"):
        read_index(still_folder)


@pytest.mark.parametrize("broken", ["no index", "no column", "no split", "no image"])
def test_a_data_set_that_is_none_is_refused(still_folder: Path, broken: str) -> None:
    index = still_folder / "index.csv"
    if broken == "no index":
        index.unlink()
    elif broken == "no column":
        index.write_text(index.read_text().replace("patient", "person"))
    elif broken == "no image":
        (still_folder / "images" / "s0.png").unlink()
    with pytest.raises(SourceError):
        read_index(still_folder, "test" if broken == "no split" else "train")


def test_callipers_and_text_are_painted_over_and_tissue_stays() -> None:
    rng = np.random.default_rng(0)
    speckle = cv2.GaussianBlur(rng.normal(0, 1, (200, 200)).astype(np.float32), (0, 0), 1.2)
    image = np.clip(80 + 15 * speckle / speckle.std(), 0, 255).astype(np.uint8)
    marked = image.copy()
    cv2.drawMarker(marked, (60, 60), 255, cv2.MARKER_CROSS, 9, 1)
    cv2.putText(marked, "MAMA", (100, 150), 0, 0.5, 230, 1)
    strokes = marked != image
    assert find_marks(marked)[strokes].mean() > 0.9
    clean = remove_marks(marked)
    assert np.abs(clean[strokes].astype(int) - 80).mean() < 25
    away = cv2.dilate(strokes.astype(np.uint8), np.ones((9, 9))) == 0
    assert np.array_equal(clean[away], image[away])
    assert not find_marks(image).any()


def test_the_real_stills_are_split_by_patient(shared_data: Path) -> None:
    folder = shared_data / "stills" / "busbra"
    train, val = read_index(folder, "train"), read_index(folder, "val")
    assert (len(train), len(val)) == (1113, 385)
    assert not {record.patient for record in train} & {record.patient for record in val}
    still = read_still(val[0])
    raw = read_still(val[0], without_marks=False)
    assert still.image.shape == still.mask.shape
    assert 0 < np.mean(still.image != raw.image) < 0.2
