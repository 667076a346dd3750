"""On real lesions the measurements tell what the literature says they tell."""

import csv

import cv2
import numpy as np
import pytest

from UltrasoundLesionSegLib.measurement.frame import FrameMeasurement, measure_frame


@pytest.fixture(scope="module")
def measured(shared_data):
    """Every tenth image of BUS-BRA, by pathology."""
    folder = shared_data / "stills" / "busbra"
    with (folder / "index.csv").open() as file:
        rows = list(csv.DictReader(file))[::10]
    images = {path.stem: path for path in (folder / "images").iterdir()}
    masks = {path.stem.split("_")[-1]: path for path in (folder / "masks").iterdir()}
    found: dict[str, list[FrameMeasurement]] = {"benign": [], "malignant": []}
    for row in rows:
        image = np.asarray(cv2.imread(str(images[row["id"]]), cv2.IMREAD_GRAYSCALE), np.uint8)
        mask = cv2.imread(str(masks[row["id"].split("_")[-1]]), cv2.IMREAD_GRAYSCALE) > 0
        found[row["pathology"]].append(measure_frame(mask, image, None))
    return found


def medians(measured, quantity):
    return (float(np.nanmedian([getattr(one, quantity) for one in measured[kind]])) for kind in ("benign", "malignant"))


@pytest.mark.parametrize(
    "quantity", ["boundary_sharpness", "posterior_echo_ratio", "solidity", "circularity", "contrast"]
)
def test_benign_lesions_are_smoother_and_sharper_with_less_shadow(measured, quantity):
    benign, malignant = medians(measured, quantity)
    if quantity == "contrast":
        assert benign < 0
        assert malignant < 0  # both hypoechoic
    else:
        assert benign > malignant


def test_malignant_lesions_are_deeper_for_their_width(measured):
    benign, malignant = medians(measured, "depth_width_ratio")
    assert benign < malignant
    assert benign < 0.7


def test_every_real_mask_is_measured(measured):
    every = [*measured["benign"], *measured["malignant"]]
    assert len(every) > 140
    for one in every:
        assert one.is_visible
        assert one.perpendicular_axis <= one.long_axis
        assert max(one.depth, one.width) <= one.long_axis + 1
        assert 0 < one.circularity <= 1
        assert 0.5 < one.solidity <= 1
        assert 0 <= one.boundary_sharpness <= 1
        assert one.area <= one.depth * one.width
