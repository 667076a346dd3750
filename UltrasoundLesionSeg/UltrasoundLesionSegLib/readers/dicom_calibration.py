"""Size of a pixel in mm from a DICOM header: ultrasound regions first, then spacing elements, never a guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.cine import Box, CalibratedRegion, Calibration
from UltrasoundLesionSegLib.readers import dicom_header
from UltrasoundLesionSegLib.readers.dicom_groups import items_of_frames

# DICOM PS3.3 C.8.5.5.1
_SPATIAL_2D = 1
_OVER_TIME = (2, 3, 4)
"""M-mode, spectral Doppler, wave form: time runs along the columns."""

_HIGH_PRIORITY = 1
"""Bit 0 of Region Flags: where regions overlap, this one's pixels are seen."""

_TISSUE, _COLOR_FLOW = 1, 2
_CENTIMETRES = 3
_PIXEL_MM, _DEPTH_MM = (1e-3, 5.0), (1.0, 600.0)
"""Sizes of a pixel, and depths of an image, between which a scanner's are."""

_WHOLE = 64
"""Rows from which on an image can be a whole one."""

_SCREENS = (72, 96, 150, 300)
_ROUNDING = 2e-6
_ROUNDED = 1e-3
"""Share by which one size of a pixel differs where it was rounded."""

_CONTRADICTS = 0.05
_REGION_SOURCE = "SequenceOfUltrasoundRegions"

_SPACING_KEYWORDS = ("PixelSpacing", "NominalScannedPixelSpacing", "ImagerPixelSpacing")
_MEASURES = "PixelMeasuresSequence"


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
    pixel_aspect : float or None
        Height of a pixel over its width, where the header tells it without a size.
    other_regions : tuple of Box
        Parts of the image that show something over time.
    """

    whole: Calibration | None = None
    regions: tuple[CalibratedRegion, ...] = ()
    notes: tuple[str, ...] = ()
    pixel_aspect: float | None = None
    other_regions: tuple[Box, ...] = ()


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
    pictures = [item for item in items if _is_calibrated(item)]
    others = tuple(box for item in items if (box := _box_over_time(item, pictures)) is not None)
    notes = _left_out_notes(sum(_region(item, rows, columns) is None for item in pictures))
    spacings: list[Calibration] = []
    for one in regions:
        if not any(_agree(one.calibration, other) for other in spacings):
            spacings.append(one.calibration)
    contradiction = _contradiction(header, spacings)
    if len(spacings) == 1:
        whole = _whole(regions, (rows, columns), others)
        return KnownCalibration(whole, regions, (*notes, *contradiction), other_regions=others)
    if regions:
        note = f"The image has regions of {len(spacings)} different calibrations: that of the lesion's region is used."
        return KnownCalibration(None, regions, (*notes, note, *contradiction), other_regions=others)
    found = _from_spacing(header)
    return replace(found, notes=(*notes, *found.notes), other_regions=others)


def _contradiction(header: Dataset, spacings: Sequence[Calibration]) -> tuple[str, ...]:
    """Return the sentence on a believable spacing element that none of the regions' sizes of a pixel agrees with.

    So it is where a picture was resized and one of both was not, or where a region is in mm by mistake.
    """
    told = _from_spacing(header).whole
    if told is None or not spacings:
        return ()
    pairs = [zip(one.spacing, told.spacing, strict=True) for one in spacings]
    if any(all(abs(ours - other) <= _CONTRADICTS * other for ours, other in pair) for pair in pairs):
        return ()
    return (
        f"The ultrasound regions and {told.source} tell different sizes of a pixel: those of the regions are used, and "
        "the picture may have been resized.",
    )


def is_same(one: KnownCalibration, other: KnownCalibration) -> bool:
    """Whether two headers say the same of the size of a pixel, but for rounding."""
    if replace(one, whole=None, regions=()) != replace(other, whole=None, regions=()):
        return False
    boxes = [tuple(region.box for region in known.regions) for known in (one, other)]
    pairs = [(one.whole, other.whole), *zip(*([r.calibration for r in k.regions] for k in (one, other)), strict=False)]
    return boxes[0] == boxes[1] and all(
        (first is None and second is None) or (first is not None and second is not None and _agree(first, second))
        for first, second in pairs
    )


def _agree(one: Calibration, other: Calibration) -> bool:
    """Whether two sizes of a pixel differ by rounding alone."""
    return all(
        abs(first - second) <= _ROUNDED * first for first, second in zip(one.spacing, other.spacing, strict=True)
    )


def _whole(regions: tuple[CalibratedRegion, ...], shape: tuple[int, int], others: tuple[Box, ...]) -> Calibration:
    """Return the calibration that regions share, with a word where it does not hold for the whole image.

    Volumes in Slicer have one spacing for all pixels, so its rulers show mm outside of the regions, too.
    """
    calibration = regions[0].calibration
    if not others and any(one.box == (0, 0, shape[0] - 1, shape[1] - 1) for one in regions):
        return calibration
    return replace(calibration, note="inside the calibrated part of the image alone; elsewhere a ruler's mm are wrong")


def _left_out_notes(count: int) -> tuple[str, ...]:
    """Return the sentence on regions in cm whose size of a pixel, or whose rectangle, cannot be right."""
    if not count:
        return ()
    those = "1 calibrated region has" if count == 1 else f"{count} calibrated regions have"
    return (f"{those} no rectangle, or a pixel size or depth that no scanner has: not used.",)


def _box(item: Dataset) -> Box | None:
    """Return a region's rectangle as the header states it."""
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
    if not is_of_a_scanner((row_mm, column_mm), box[2] - box[0] + 1):
        return None
    inside = (box[0], box[1], min(box[2], rows - 1), min(box[3], columns - 1))
    return CalibratedRegion(inside, Calibration(row_mm, column_mm, _REGION_SOURCE))


def _box_over_time(item: Dataset, pictures: list[Dataset]) -> Box | None:
    """Return the rectangle of a region that shows something over time, None for any other.

    Where it overlaps a picture whose pixels alone are seen there (Region Flags), it does not count either.
    """
    box = _box(item)
    if box is None or dicom_header.integer(item, "RegionSpatialFormat") not in _OVER_TIME:
        return None
    above = (_box(one) for one in pictures if _has_priority(one) and not _has_priority(item))
    return None if any(one is not None and _overlap(one, box) for one in above) else box


def _has_priority(item: Dataset) -> bool:
    return bool((dicom_header.integer(item, "RegionFlags") or 0) & _HIGH_PRIORITY)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def dots_per_inch(values: Sequence[float]) -> int | None:
    """Return the resolution that programs write into converted pictures, None for any other spacing.

    Some round it to four or five digits.
    """
    for dots in _SCREENS:
        told = [25.4 / dots, *(round(25.4 / dots, digits) for digits in (4, 5))]
        if all(min(abs(value - one) for one in told) < _ROUNDING for value in values):
            return dots
    return None


def is_unknown(values: Sequence[float]) -> bool:
    """Whether a size of a pixel is the 1 x 1 mm that programs write for an unknown one."""
    return all(abs(one - 1) < _ROUNDING for one in values)


def is_of_a_scanner(spacing: Sequence[float], rows: int) -> bool:
    """Whether a scanner's images have such a size of a pixel, and depth.

    A depth of a metre is that of millimetres that are called centimetres, one of a millimetre that of metres.

    Parameters
    ----------
    spacing : sequence of float
        Height and width of a pixel in mm.
    rows : int
        Of the calibrated part of the image.
    """
    is_plausible = all(_PIXEL_MM[0] < one < _PIXEL_MM[1] for one in spacing)
    # pictures of a few rows are no whole images
    return is_plausible and spacing[0] * rows < _DEPTH_MM[1] and (rows < _WHOLE or spacing[0] * rows > _DEPTH_MM[0])


def _from_spacing(header: Dataset) -> KnownCalibration:
    """Return the calibration of the spacing elements (row first); an aspect ratio alone gives no mm.

    In objects with functional groups the spacing is in Pixel Measures (PS3.3 C.7.6.16.2.1).
    """
    notes: list[str] = []
    told = [(keyword, dicom_header.numbers(header, keyword)) for keyword in _SPACING_KEYWORDS]
    measures = {tuple(dicom_header.numbers(one, "PixelSpacing")) for one in items_of_frames(header, _MEASURES)}
    if len(measures) > 1:
        notes.append("The size of a pixel changes within the object: it is not used.")
    elif measures:
        told.append((_MEASURES, list(measures.pop())))
    for keyword, values in told:
        if len(values) != 2 or min(values) <= 0:
            continue
        if is_unknown(values):
            notes.append(f"{keyword} is 1 x 1 mm, which programs write for an unknown size of a pixel: it is not used.")
        elif dots := dots_per_inch(values):
            notes.append(
                f"{keyword} is that of {dots} dots an inch, the resolution of a screen or printer: it is not used."
            )
        elif not is_of_a_scanner(values, dicom_header.frame_size(header)[0]):
            notes.append(f"{keyword} is {values[0]:g} x {values[1]:g} mm, which no scanner has: it is not used.")
        else:
            note = "no ultrasound region is calibrated"
            return KnownCalibration(Calibration(values[0], values[1], keyword, note), notes=tuple(notes))
    ratio = dicom_header.numbers(header, "PixelAspectRatio")
    if len(ratio) != 2 or min(ratio) <= 0 or not 0.1 <= ratio[0] / ratio[1] <= 10:
        return KnownCalibration(notes=tuple(notes))
    vertical, horizontal = ratio
    if vertical != horizontal:
        notes.append(
            f"Only the shape of a pixel is known (height to width {vertical:g} to {horizontal:g}), not its size."
        )
    return KnownCalibration(notes=tuple(notes), pixel_aspect=vertical / horizontal)
