"""Coded concepts (PS3.16) that segments and measurements are described with."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

MORPHOLOGICALLY_ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
MASS = Code("4147007", "SCT", "Mass")
LESION = Code("52988006", "SCT", "Lesion")
CYST = Code("367643001", "SCT", "Cyst")
BREAST = Code("76752008", "SCT", "Breast")
LEFT = Code("7771000", "SCT", "Left")
RIGHT = Code("24028007", "SCT", "Right")

BACKGROUND = Code("125040", "DCM", "Background")
SEGMENTATION_DERIVATION = Code("113076", "DCM", "Segmentation")
SOURCE_IMAGE_PURPOSE = Code("121322", "DCM", "Source image for image processing operation")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")

# what TID 1500, 1410, 1501, 300 and 4019 are made of
MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
IMAGING_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
MEASUREMENT_GROUP = Code("125007", "DCM", "Measurement Group")
LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH = Code("en", "RFC5646", "English")
OBSERVER_TYPE = Code("121005", "DCM", "Observer Type")
DEVICE = Code("121007", "DCM", "Device")
DEVICE_UID = Code("121012", "DCM", "Device Observer UID")
DEVICE_NAME = Code("121013", "DCM", "Device Observer Name")
DEVICE_MODEL = Code("121015", "DCM", "Device Observer Model Name")
PROCEDURE = Code("121058", "DCM", "Procedure reported")
BREAST_ULTRASONOGRAPHY = Code("47079000", "SCT", "Ultrasonography of breast")
ULTRASONOGRAPHY = Code("16310003", "SCT", "Diagnostic ultrasonography")
TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UID = Code("112040", "DCM", "Tracking Unique Identifier")
FINDING_CATEGORY = Code("276214006", "SCT", "Finding category")
FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
LATERALITY = Code("272741003", "SCT", "Laterality")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION = Code("111003", "DCM", "Algorithm Version")
SEGMENTATION_FRAME = Code("121214", "DCM", "Referenced Segmentation Frame")
SEGMENTATION_SOURCE = Code("121233", "DCM", "Source image for segmentation")
SOURCE_OF_MEASUREMENT = Code("121112", "DCM", "Source of Measurement")
SOURCE = Code("260753009", "SCT", "Source")
DERIVATION = Code("121401", "DCM", "Derivation")
COMMENT = Code("121106", "DCM", "Comment")
MAXIMUM = Code("56851009", "SCT", "Maximum")
MEAN = Code("373098007", "SCT", "Mean")

# quantities: CID 7469; orientation of a mass: CID 6152
AREA = Code("131184002", "SCT", "Area of defined region")
LONG_AXIS = Code("103339001", "SCT", "Long axis")
PERPENDICULAR_AXIS = Code("131189007", "SCT", "Perpendicular Axis")
PERIMETER = Code("131191004", "SCT", "Perimeter")
DEPTH = Code("131197000", "SCT", "Depth")
WIDTH = Code("103355008", "SCT", "Width")
ORIENTATION = Code("111354", "DCM", "Orientation")
PARALLEL = Code("111355", "DCM", "Parallel")
NOT_PARALLEL = Code("111356", "DCM", "Not parallel")
MILLIMETER = Code("mm", "UCUM", "mm")
SQUARE_MILLIMETER = Code("mm2", "UCUM", "square millimeter")
PIXELS = Code("{pixels}", "UCUM", "pixels")


@dataclass(frozen=True)
class Terminology:
    """What a segment is and where it lies.

    Parameters
    ----------
    category : Code
        Segmented property category, CID 7150.
    property_type : Code
        Segmented property type, e.g. mass, lesion or cyst.
    anatomic_region : Code or None
        None when it is not known, never guessed: SEG and SR need none (PS3.3 Table 10-8, PS3.16 TID 1410).
    laterality : Code or None
        Left or right (CID 244); None when it is not known, never guessed.
    """

    category: Code = MORPHOLOGICALLY_ABNORMAL
    property_type: Code = MASS
    anatomic_region: Code | None = None
    laterality: Code | None = None


def code_item(code: Code) -> Dataset:
    """Return a code sequence item (PS3.3 8.8): Long Code Value for codes over 16 characters, Code Value otherwise."""
    item = Dataset()
    if len(code.value) > 16:
        item.LongCodeValue = code.value
    else:
        item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    if code.scheme_version:
        item.CodingSchemeVersion = code.scheme_version
    item.CodeMeaning = code.meaning
    return item
