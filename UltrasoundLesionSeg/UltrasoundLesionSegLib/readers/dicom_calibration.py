"""Size of a pixel in mm from a DICOM header: ultrasound regions first, then spacing elements, never a guess."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.cine import CalibratedRegion, Calibration
from UltrasoundLesionSegLib.readers import dicom_header

# DICOM PS3.3 C.8.5.5.1
_SPATIAL_2D = 1
_TISSUE, _COLOR_FLOW = 1, 2
_CENTIMETRES = 3
_PLAUSIBLE_MM = (1e-3, 5.0)
_REGION_SOURCE = "SequenceOfUltrasoundRegions"

_SPACING_KEYWORDS = ("PixelSpacing", "NominalScannedPixelSpacing", "ImagerPixelSpacing")


@dataclass(frozen=True)
class KnownCalibration:
    """What a header says of the size of a pixel.

    Parameters
    ----------
    whole : Calibration or None
        Holds for the whole image.
    regions : tuple of CalibratedRegion
        The calibrated two-dimensional regions.
    notes : tuple of str
    """

    whole: Calibration | None = None
    regions: tuple[CalibratedRegion, ...] = ()
    notes: tuple[str, ...] = ()


def read_calibration(header: Dataset) -> KnownCalibration:
    """Return what the header says of the size of a pixel.

    Regions that are two-dimensional tissue or colour flow in cm count (PS3.3 C.8.5.5). A region that reaches more
    than one pixel past the image is the mark of a picture resized after it was calibrated: then no spacing of this
    header is used at all. One pixel is forgiven, because Philips writes the width as the last column.
    """
    rows, columns = dicom_header.frame_size(header)
    items = dicom_header.items(header, _REGION_SOURCE)
    if any(_reaches_past(item, rows, columns) for item in items):
        note = (
            "A calibrated region reaches past the image, so the picture was resized or cropped after its calibration: "
            "the calibration is not used."
        )
        return KnownCalibration(notes=(note,))
    regions = tuple(region for item in items if (region := _region(item, rows, columns)) is not None)
    spacings = {(round(one.calibration.row_mm, 6), round(one.calibration.column_mm, 6)) for one in regions}
    if len(spacings) == 1:
        return KnownCalibration(regions[0].calibration, regions)
    if regions:
        note = f"The image has regions of {len(spacings)} different calibrations: that of the lesion's region is used."
        return KnownCalibration(None, regions, (note,))
    return _from_spacing(header)


def _box(item: Dataset) -> tuple[int, int, int, int] | None:
    """Return ``(row_min, column_min, row_max, column_max)``, all inclusive, as the header states it."""
    keywords = ("RegionLocationMinY0", "RegionLocationMinX0", "RegionLocationMaxY1", "RegionLocationMaxX1")
    values = [dicom_header.integer(item, keyword) for keyword in keywords]
    if None in values:
        return None
    row_min, column_min, row_max, column_max = (int(value or 0) for value in values)
    return row_min, column_min, row_max, column_max


def _is_calibrated(item: Dataset) -> bool:
    return (
        dicom_header.integer(item, "RegionSpatialFormat") == _SPATIAL_2D
        and dicom_header.integer(item, "RegionDataType") in (_TISSUE, _COLOR_FLOW)
        and dicom_header.integer(item, "PhysicalUnitsXDirection") == _CENTIMETRES
        and dicom_header.integer(item, "PhysicalUnitsYDirection") == _CENTIMETRES
    )


def _reaches_past(item: Dataset, rows: int, columns: int) -> bool:
    box = _box(item)
    if box is None or not _is_calibrated(item):
        return False
    return box[0] < 0 or box[1] < 0 or box[2] > rows or box[3] > columns


def _region(item: Dataset, rows: int, columns: int) -> CalibratedRegion | None:
    """Return a region that gives mm in both directions of the image, None for Doppler traces, M-mode and the like."""
    box = _box(item)
    if box is None or not _is_calibrated(item) or box[2] <= box[0] or box[3] <= box[1]:
        return None
    row_mm, column_mm = (
        10 * abs(dicom_header.number(item, keyword) or 0.0) for keyword in ("PhysicalDeltaY", "PhysicalDeltaX")
    )
    if not all(_PLAUSIBLE_MM[0] < value < _PLAUSIBLE_MM[1] for value in (row_mm, column_mm)):
        return None
    inside = (box[0], box[1], min(box[2], rows - 1), min(box[3], columns - 1))
    return CalibratedRegion(inside, Calibration(row_mm, column_mm, _REGION_SOURCE))


def _from_spacing(header: Dataset) -> KnownCalibration:
    """Return the calibration of the spacing elements (row first); an aspect ratio alone gives no mm."""
    for keyword in _SPACING_KEYWORDS:
        values = dicom_header.numbers(header, keyword)
        if len(values) == 2 and min(values) > 0:
            note = "no ultrasound region is calibrated"
            return KnownCalibration(Calibration(values[0], values[1], keyword, note))
    ratio = dicom_header.numbers(header, "PixelAspectRatio")
    if len(ratio) == 2 and min(ratio) > 0 and ratio[0] != ratio[1]:
        vertical, horizontal = ratio
        note = f"Only the shape of a pixel is known (height to width {vertical:g} to {horizontal:g}), not its size."
        return KnownCalibration(notes=(note,))
    return KnownCalibration()
