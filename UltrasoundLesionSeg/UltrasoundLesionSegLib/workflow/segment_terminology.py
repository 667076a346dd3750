"""What a segment is and where it lies, from Slicer's text of it to the codes of a DICOM file."""

from __future__ import annotations

from dataclasses import replace

from pydicom.sr.codedict import codes

from UltrasoundLesionSegLib.dicom import terminology
from UltrasoundLesionSegLib.dicom.terminology import Code, Terminology
from UltrasoundLesionSegLib.mrml.segments import BREAST_MASS_TERMINOLOGY

# Slicer's lists name some of these codes in other words
_NAMED = {
    (one.scheme_designator, one.value): one
    for one in (
        terminology.MORPHOLOGICALLY_ABNORMAL,
        terminology.MASS,
        terminology.LESION,
        terminology.CYST,
        terminology.BREAST,
        terminology.LEFT,
        terminology.RIGHT,
    )
}
_SIDES = (terminology.LEFT, terminology.RIGHT)
# of the defined terms of Body Part Examined (PS3.16 Table L-1), the organs whose lesions ultrasound shows
_ORGANS = {
    "BLADDER": codes.SCT.Bladder,
    "GALLBLADDER": codes.SCT.Gallbladder,
    "HEART": codes.SCT.Heart,
    "KIDNEY": codes.SCT.Kidney,
    "LIVER": codes.SCT.Liver,
    "LUNG": codes.SCT.Lung,
    "NECK": codes.SCT.Neck,
    "OVARY": codes.SCT.Ovary,
    "PANCREAS": codes.SCT.Pancreas,
    "PROSTATE": codes.SCT.Prostate,
    "SCROTUM": codes.SCT.Scrotum,
    "SPLEEN": codes.SCT.Spleen,
    "TESTIS": codes.SCT.Testis,
    "THYROID": codes.SCT.Thyroid,
    "UTERUS": codes.SCT.Uterus,
}


def terminology_of(entry: str, body_part: str = "") -> Terminology:
    """Return the codes of a segment; those that are not there keep their default, a mass of the breast.

    Where nobody chose anything, a lesion lies in the organ that the source names.

    Parameters
    ----------
    entry : str
        As ``vtkSlicerTerminologiesModuleLogic::SerializeTerminologyEntry`` writes it into the segment's tag: context,
        category, type, type modifier, anatomic context, region, region modifier, separated by ``~``; each code is
        scheme, value and meaning, separated by ``^``.
    body_part : str
        Body Part Examined of the source in capitals; others than the organs in PS3.16 Table L-1 say nothing.
    """
    fields = entry.split("~")
    default = Terminology()
    if entry == BREAST_MASS_TERMINOLOGY and body_part in _ORGANS:
        return replace(default, anatomic_region=_ORGANS[body_part])
    if len(fields) != 7:
        return default
    category, kind, region, side = (_code(fields[place]) for place in (1, 2, 5, 6))
    return Terminology(
        category or default.category,
        kind or default.property_type,
        region or default.anatomic_region,
        side if region and side and side in _SIDES else None,
    )


def _code(text: str) -> Code | None:
    scheme, _, rest = text.partition("^")
    value, _, meaning = rest.partition("^")
    if not (scheme and value and meaning):
        return None
    return _NAMED.get((scheme, value), Code(value, scheme, meaning))
