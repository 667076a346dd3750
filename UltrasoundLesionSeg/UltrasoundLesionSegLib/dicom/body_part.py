"""The organ that a cine shows: Body Part Examined (PS3.16 Annex L) and the code that SEG and SR say it with."""

from __future__ import annotations

import re

from pydicom.sr.codedict import codes

from UltrasoundLesionSegLib.dicom import terminology
from UltrasoundLesionSegLib.dicom.terminology import Code
from UltrasoundLesionSegLib.errors import OutputError

# of the defined terms of Body Part Examined (PS3.16 Table L-1), the organs whose lesions ultrasound shows
ORGANS: dict[str, Code] = {
    "BLADDER": codes.SCT.Bladder,
    "BREAST": terminology.BREAST,
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


def checked_body_part(text: str) -> str:
    """Return a body part in capitals, as a code string must be (PS3.5 6.2); '' stays ''.

    Raises
    ------
    OutputError
        When it is no code string.
    """
    part = text.strip().upper()
    if part and not re.fullmatch("[A-Z0-9_ ]{1,16}", part):
        raise OutputError(
            f"the body part '{text}' is no term of DICOM, which has 1 to 16 letters, digits, spaces and '_'; "
            "give one such as BREAST, THYROID or LUNG, or leave it out"
        )
    return part


def named_organ(text: str) -> str:
    """Return the organ that a person names for SEG and SR, in capitals; '' where none is named.

    Raises
    ------
    OutputError
        When there is no code for it here.
    """
    part = checked_body_part(text)
    if part and part not in ORGANS:
        raise OutputError(
            f"the body part '{part}' has no code here that a SEG could name; give {', '.join(ORGANS)}, or leave it out"
        )
    return part
