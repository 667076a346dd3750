"""The kinds of results: their names, what they need, and which of their files show the cine's images.

Light to import, so that the shell can refuse a kind before anything is read or computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from UltrasoundLesionSegLib.errors import NotExpressibleError, OutputError


@dataclass(frozen=True)
class Kind:
    """One kind of result.

    Parameters
    ----------
    names : tuple of str
        Of its files, or of the folder that holds one for each frame.
    of_dicom : bool
        Whether the cine must come from DICOM, because the file refers to its instances.
    is_picture : bool
        Whether it is made of the cine's images, so that ``pixels_allowed`` must be given.
    """

    names: tuple[str, ...]
    of_dicom: bool = False
    is_picture: bool = False


KINDS = {
    "masks": Kind(("masks",)),  # 00000.png and on, with the palette of DAVIS
    "csv": Kind(("measurements.csv", "lesions.csv")),
    "scene": Kind(("scene.mrb",)),
    "sequence": Kind(("segmentation.seq.mrb",)),
    "frames": Kind(("segmentation",)),  # 00000.seg.nrrd and on
    "seg": Kind(("segmentation.dcm",), of_dicom=True),
    "sr": Kind(("measurements.dcm", "segmentation.dcm"), of_dicom=True),  # a report refers to the segmentation
    "sr3d": Kind(("measurements_3d.dcm", "segmentation.dcm"), of_dicom=True),  # the same, as Comprehensive 3D SR
    "coco": Kind(("masks.json",)),
    "nifti": Kind(("masks.nii.gz",)),
    "report": Kind(("report.html",)),  # with pictures where they are allowed
    "sheet": Kind(("contact_sheet.png",), is_picture=True),
    "video": Kind(("overlay.mp4",), is_picture=True),
}


def check_kinds(kinds: Sequence[str], pixels_allowed: bool) -> None:
    """Refuse what can be told from the request alone.

    Parameters
    ----------
    kinds : sequence of str
        Among ``KINDS``.
    pixels_allowed : bool
        Whether pictures may be written.

    Raises
    ------
    OutputError
        When a kind is unknown, or shows the cine's images and that was not allowed.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise OutputError(f"the kind of export '{kind}' is unknown; choose among {', '.join(KINDS)}")
        if KINDS[kind].is_picture and not pixels_allowed:
            raise OutputError(
                f"'{kind}' shows the cine's images, and a patient's name may be burned into them; look at the frames, "
                "then allow pictures with --pixels-allowed (in Python, pixels_allowed=True)"
            )


def check_source(kinds: Sequence[str], is_dicom: bool) -> None:
    """Refuse what needs DICOM where the cine does not come from it.

    Parameters
    ----------
    kinds : sequence of str
        Among ``KINDS``.
    is_dicom : bool
        Whether the cine comes from DICOM.

    Raises
    ------
    NotExpressibleError
        When one of the kinds refers to DICOM instances that there are not.
    """
    refused = [kind for kind in kinds if KINDS[kind].of_dicom]
    if refused and not is_dicom:
        raise NotExpressibleError(
            f"'{refused[0]}' must refer to DICOM images, and this cine does not come from DICOM; make a DICOM image of "
            "it with `ultrasound-lesion-seg make-dicom` and segment that"
        )


def holds_images(file: str, pixels_allowed: bool) -> bool:
    """Whether a file of a result shows the cine's images.

    Parameters
    ----------
    file : str
        Relative to the result's folder.
    pixels_allowed : bool
        Whether the report has pictures.
    """
    if file in KINDS["report"].names:
        return pixels_allowed
    is_picture = any(file in kind.names for kind in KINDS.values() if kind.is_picture)
    return is_picture or file in KINDS["scene"].names
