"""Size of a pixel: which regions count, the stale calibration, the order of the other elements."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from source_makers import dicom_object, moving_frames, region

from UltrasoundLesionSegLib.readers.open import read_cine

FRAMES = moving_frames(2, 100, 120)
WHOLE = (0, 0, 119, 99)
PARTLY = "inside the calibrated part of the image alone; elsewhere a ruler's mm are wrong"


def read(save_dicom, regions=(), **elements):
    if regions:
        elements["SequenceOfUltrasoundRegions"] = list(regions)
    return read_cine(save_dicom(dicom_object(FRAMES, **elements)))


def mask_at(row, column):
    mask = np.zeros((100, 120), bool)
    mask[row - 2 : row + 3, column - 2 : column + 3] = True
    return mask


def test_a_region_gives_mm_for_rows_and_columns_apart(save_dicom):
    cine = read(save_dicom, [region((10, 20, 100, 90), (0.012, -0.02))])
    assert cine.calibration.spacing == pytest.approx((0.2, 0.12))
    assert cine.calibration.source == "SequenceOfUltrasoundRegions"
    assert [one.box for one in cine.regions] == [(20, 10, 90, 100)]
    assert cine.notes == ()
    assert cine.calibration.note == PARTLY
    assert cine.whole_calibration is None


@pytest.mark.parametrize(("x1", "y1"), [(120, 100), (119, 99)])
def test_one_pixel_past_the_image_is_forgiven(save_dicom, x1, y1):
    cine = read(save_dicom, [region((0, 0, x1, y1), (0.01, 0.01))])
    assert cine.calibration.spacing == pytest.approx((0.1, 0.1))
    assert cine.regions[0].box == (0, 0, 99, 119)
    assert cine.calibration == cine.whole_calibration == cine.regions[0].calibration


@pytest.mark.parametrize("box", [(0, 0, 121, 99), (0, 0, 119, 101), (0, 0, 639, 479)])
def test_a_region_past_the_image_is_a_stale_calibration(save_dicom, box):
    cine = read(save_dicom, [region(box, (0.01, 0.01))], PixelSpacing=[0.1, 0.1])
    assert cine.calibration is None
    assert cine.regions == ()
    assert cine.calibration_at(mask_at(50, 50)) is None
    assert len(cine.notes) == 1
    assert "reaches past the image" in cine.notes[0]


@pytest.mark.parametrize(
    "elements",
    [
        {"RegionSpatialFormat": 3},
        {"RegionDataType": 3},
        {"PhysicalUnitsXDirection": 4},
        {"PhysicalUnitsYDirection": 0},
        {"PhysicalDeltaX": 0.0},
        {"PhysicalDeltaY": 3.0},
        {"RegionLocationMaxX1": 0},
    ],
)
def test_regions_that_are_no_calibrated_picture_do_not_count(save_dicom, elements):
    cine = read(save_dicom, [region(WHOLE, (0.01, 0.01), **elements)])
    assert cine.calibration is None
    assert cine.regions == ()


@pytest.mark.parametrize(
    "wrong", [{"PhysicalDeltaX": 0.0}, {"PhysicalDeltaY": 3.0}, {"PhysicalDeltaX": None}, {"RegionLocationMaxX1": 0}]
)
def test_regions_in_cm_that_cannot_be_right_are_noted(save_dicom, wrong):
    cine = read(save_dicom, [region(WHOLE, (0.01, 0.01), **wrong)])
    assert cine.notes == (
        "1 calibrated region has no rectangle, or a pixel size or depth that no scanner has: not used.",
    )
    left, right = region((0, 0, 59, 99), (0.01, 0.01)), region((60, 0, 119, 99), (0.01, 0.01), **wrong)
    cine = read(save_dicom, [left, right])
    assert "1 calibrated region has" in cine.notes[0]
    assert cine.calibration_at(mask_at(50, 30)).spacing == pytest.approx((0.1, 0.1))
    assert cine.calibration_at(mask_at(50, 90)) is None


def test_a_doppler_trace_below_the_picture_changes_nothing(save_dicom):
    trace = region((0, 60, 119, 99), (0.005, 1.0), RegionSpatialFormat=3, RegionDataType=3, PhysicalUnitsXDirection=4)
    cine = read(save_dicom, [region((0, 0, 119, 59), (0.01, 0.01)), trace])
    assert cine.calibration.spacing == pytest.approx((0.1, 0.1))


def test_of_two_calibrations_the_lesions_own_is_used(save_dicom):
    left, right = region((0, 0, 59, 99), (0.01, 0.01)), region((60, 0, 119, 99), (0.02, 0.02), RegionDataType=2)
    cine = read(save_dicom, [left, right], PixelSpacing=[0.5, 0.5])
    assert cine.calibration is None
    assert "2 different calibrations" in cine.notes[0]
    assert cine.calibration_at(mask_at(50, 30)).spacing == pytest.approx((0.1, 0.1))
    assert cine.calibration_at(mask_at(50, 90)).spacing == pytest.approx((0.2, 0.2))
    assert cine.calibration_at(mask_at(50, 60)) is None


def test_two_regions_of_one_calibration_hold_for_the_image(save_dicom):
    cine = read(save_dicom, [region((0, 0, 59, 99), (0.01, 0.01)), region((60, 0, 119, 99), (0.01, 0.01))])
    assert cine.calibration.spacing == pytest.approx((0.1, 0.1))
    assert len(cine.regions) == 2


def test_the_order_of_the_spacing_elements(save_dicom):
    spacings = {"PixelSpacing": [0.3, 0.1], "NominalScannedPixelSpacing": [0.4, 0.2], "ImagerPixelSpacing": [0.5, 0.3]}
    while spacings:
        keyword, (row_mm, column_mm) = next(iter(spacings.items()))
        calibration = read(save_dicom, **spacings).calibration
        assert (calibration.source, calibration.spacing) == (keyword, (row_mm, column_mm))
        assert calibration.note == "no ultrasound region is calibrated"
        del spacings[keyword]
    assert read(save_dicom).calibration is None


@pytest.mark.parametrize("value", [[0, 0.1], [-1, 1], [0.1]])
def test_nonsense_spacing_is_not_used(save_dicom, value):
    assert read(save_dicom, PixelSpacing=value).calibration is None


def test_an_aspect_ratio_alone_gives_no_mm(save_dicom):
    cine = read(save_dicom, PixelAspectRatio=[4, 3])
    assert cine.calibration is None
    assert cine.pixel_aspect == pytest.approx(4 / 3)
    assert "height to width 4 to 3" in cine.notes[0]


def test_real_calibrations(shared_data):
    folder = shared_data / "cine" / "dicom_us"
    echo = read_cine(folder / "echo_sonosite_120f_ybr422_jpegbaseline.dcm")
    assert echo.calibration.spacing == pytest.approx((0.510497, 0.510497), abs=1e-6)
    resampled = read_cine(folder / "echo_sonosite_30f_240x320_examples_ybr_color.dcm")
    assert resampled.calibration is None
    assert "reaches past the image" in resampled.notes[0]
    philips = read_cine(folder / "OBXXXX1A_2frame.dcm")  # its region ends at column 800 of 800
    assert philips.calibration.spacing == pytest.approx((0.262288, 0.262288), abs=1e-6)


@pytest.mark.parametrize("keyword", ["PixelSpacing", "NominalScannedPixelSpacing", "ImagerPixelSpacing"])
def test_a_spacing_of_1_mm_is_unknown_and_noted(save_dicom, keyword):
    cine = read(save_dicom, **{keyword: [1, 1]})
    assert cine.calibration is None
    assert cine.notes == (
        f"{keyword} is 1 x 1 mm, which programs write for an unknown size of a pixel: it is not used.",
    )


def test_the_spacing_after_one_of_1_mm_is_used(save_dicom):
    cine = read(save_dicom, PixelSpacing=[1, 1], ImagerPixelSpacing=[0.2, 0.1])
    assert (cine.calibration.source, cine.calibration.spacing) == ("ImagerPixelSpacing", (0.2, 0.1))
    assert "PixelSpacing is 1 x 1 mm" in cine.notes[0]


@pytest.mark.parametrize("value", [[1000, 1000], [8, 6], [0.0001, 0.0001]])
def test_a_spacing_no_scanner_has_is_unknown_and_noted(save_dicom, value):
    cine = read(save_dicom, PixelSpacing=value)
    assert cine.calibration is None
    assert "which no scanner has" in cine.notes[0]


def test_a_region_calibrates_its_own_rectangle_alone(save_dicom):
    cine = read(save_dicom, [region((0, 0, 59, 99), (0.01, 0.01))], PixelSpacing=[0.1, 0.1])
    assert cine.calibration_at(mask_at(50, 30)).spacing == pytest.approx((0.1, 0.1))
    assert cine.calibration_at(mask_at(50, 90)) is None
    assert cine.calibration_at(mask_at(50, 60)) is None


M_MODE = {"RegionSpatialFormat": 2, "PhysicalUnitsXDirection": 4}


@pytest.mark.parametrize(
    ("flags", "is_mm"),
    [((None, None), False), ((0, 0), False), ((0, 1), False), ((1, 1), False), ((1, 0), True)],
    ids=["not told", "both low", "trace above", "both high", "picture above"],
)
def test_a_trace_inside_the_rectangle_of_a_picture_is_in_pixels(save_dicom, flags, is_mm):
    picture, trace = region(WHOLE, (0.01, 0.01)), region((0, 60, 119, 99), (0.005, 0.01), **M_MODE)
    for item, flag in zip((picture, trace), flags, strict=True):
        if flag is not None:
            item.RegionFlags = flag
    cine = read(save_dicom, [picture, trace])
    assert cine.calibration.note == ("" if is_mm else PARTLY)
    assert cine.calibration_at(mask_at(30, 60)).spacing == pytest.approx((0.1, 0.1))
    assert (cine.calibration_at(mask_at(80, 60)) is not None) is is_mm


def test_pixel_spacing_does_not_hold_in_a_trace(save_dicom):
    cine = read(save_dicom, [region((0, 60, 119, 99), (0.005, 0.01), **M_MODE)], PixelSpacing=[0.1, 0.1])
    assert cine.calibration_at(mask_at(30, 60)).spacing == (0.1, 0.1)
    assert cine.calibration_at(mask_at(80, 60)) is None


def groups(*spacings):
    items = []
    for spacing in spacings:
        measures, group = Dataset(), Dataset()
        measures.PixelSpacing = list(spacing)
        group.PixelMeasuresSequence = [measures]
        items.append(group)
    return items


@pytest.mark.parametrize("keyword", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
def test_pixel_measures_of_functional_groups(save_dicom, keyword):
    count = 1 if keyword.startswith("Shared") else 2
    calibration = read(save_dicom, **{keyword: groups(*[(0.3, 0.2)] * count)}).calibration
    assert (calibration.source, calibration.spacing) == ("PixelMeasuresSequence", (0.3, 0.2))
    assert read(save_dicom, **{keyword: groups(*[(1, 1)] * count)}).calibration is None


def test_pixel_measures_that_change_are_not_used(save_dicom):
    cine = read(save_dicom, PerFrameFunctionalGroupsSequence=groups((0.3, 0.2), (0.4, 0.2)))
    assert cine.calibration is None
    assert cine.notes == ("The size of a pixel changes within the object: it is not used.",)


@pytest.mark.parametrize("ratio", [[0, 3], [4], [-4, 3], [400, 3]])
def test_nonsense_aspect_ratios_are_not_used(save_dicom, ratio):
    cine = read(save_dicom, PixelAspectRatio=ratio)
    assert (cine.pixel_aspect, cine.notes) == (None, ())


@pytest.mark.parametrize("dots", [72, 96, 300])
@pytest.mark.parametrize("digits", [4, 5, 6])
def test_the_resolution_of_a_screen_is_no_spacing(save_dicom, dots, digits):
    told = [f"{25.4 / dots:.{digits}f}"] * 2
    cine = read_cine(save_dicom(dicom_object(moving_frames(2), PixelSpacing=told)))
    assert cine.calibration is None
    assert any(f"{dots} dots an inch" in note for note in cine.notes)


def test_regions_whose_calibrations_differ_by_rounding_are_one(save_dicom):
    cine = read(save_dicom, [region((0, 0, 50, 99), (0.02, 0.03)), region((55, 0, 119, 99), (0.020001, 0.03))])
    assert cine.calibration.spacing == pytest.approx((0.3, 0.2))


@pytest.mark.parametrize(("spacing", "is_noted"), [([0.3, 0.2], False), ([0.6, 0.4], True), ([1, 1], False)])
def test_a_spacing_that_contradicts_the_regions_is_noted(save_dicom, spacing, is_noted):
    cine = read(save_dicom, [region((0, 0, 50, 99), (0.02, 0.03))], PixelSpacing=spacing)
    assert cine.calibration.spacing == pytest.approx((0.3, 0.2))
    assert any("different sizes of a pixel" in note for note in cine.notes) is is_noted


@pytest.mark.parametrize(("centimetres", "is_used"), [(0.2, False), (0.02, True), (0.0002, False)])
@pytest.mark.parametrize("element", ["region", "PixelSpacing"])
def test_a_depth_that_no_scanner_has_is_not_believed(save_dicom, centimetres, is_used, element):
    frames = moving_frames(2, 320, 56)
    region_or_spacing = (
        {"SequenceOfUltrasoundRegions": [region((0, 0, 55, 319), (centimetres, centimetres))]}
        if element == "region"
        else {"PixelSpacing": [10 * centimetres, 10 * centimetres]}
    )
    cine = read_cine(save_dicom(dicom_object(frames, **region_or_spacing)))
    assert (cine.calibration is not None) == is_used
    assert len(cine.notes) == (not is_used)
