"""What a segment is and where it lies, from Slicer's text of it to the codes of a DICOM file."""

from __future__ import annotations

from UltrasoundLesionSegLib.dicom import terminology
from UltrasoundLesionSegLib.dicom.body_part import ORGANS
from UltrasoundLesionSegLib.dicom.terminology import Code, Terminology
from UltrasoundLesionSegLib.mrml.segments import BREAST_MASS_TERMINOLOGY, MASS_TERMINOLOGY

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


def terminology_of(entry: str, body_part: str = "") -> Terminology:
    """Return the codes of a segment; those that are not there keep their default, a mass in no organ.

    Where nobody chose an organ for the segment, it is the one that the source, or a person for the whole cine, names.
    A breast that an earlier version may have written without being asked gives way to that one, too.

    Parameters
    ----------
    entry : str
        As ``vtkSlicerTerminologiesModuleLogic::SerializeTerminologyEntry`` writes it into the segment's tag: context,
        category, type, type modifier, anatomic context, region, region modifier, separated by ``~``; each code is
        scheme, value and meaning, separated by ``^``.
    body_part : str
        Body Part Examined in capitals; others than ``dicom.body_part.ORGANS`` say nothing.
    """
    fields = entry.split("~")
    default = Terminology(anatomic_region=ORGANS.get(body_part))
    if entry == MASS_TERMINOLOGY or (entry == BREAST_MASS_TERMINOLOGY and body_part in ORGANS):
        return default
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
