"""Options that several commands share or that need reading, and the functions that read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.logs import LogLevel

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.workflow.case_request import BoxRequest, ClickRequest, SeedFileRequest


class DirectionChoice(str, Enum):
    """Direction of propagation."""

    FORWARD = "forward"
    BACKWARD = "backward"
    BOTH = "both"


class SimulationKind(str, Enum):
    """File format of a simulated cine."""

    DICOM = "dicom"
    AVI = "avi"
    DAVIS = "davis"
    NRRD = "nrrd"


class LayoutChoice(str, Enum):
    """Layout of a labelled data set."""

    DAVIS = "davis"
    BUV = "buv"
    STILLS = "stills"


class SeedMaskChoice(str, Enum):
    """How a seed differs from the true mask (evaluation/inexact_seeds.py)."""

    EXACT = "exact"
    SHIFTED = "shifted"
    ERODED = "eroded"
    DILATED = "dilated"
    ELLIPSE = "ellipse"


def completing(choices: Sequence[str]) -> Callable[[str], list[str]]:
    """Return the function that completes an option's value when the Tab key is pressed.

    Parameters
    ----------
    choices : sequence of str

    Returns
    -------
    callable
        Takes what is typed; returns the choices that begin with it.
    """

    def begin_with(incomplete: str) -> list[str]:
        return [one for one in choices if one.startswith(incomplete)]

    return begin_with


def completing_models(*roles: str) -> Callable[[str], list[str]]:
    """Return the function that completes the names of installed models, of these roles or of all when none is named."""

    def begin_with(incomplete: str) -> list[str]:
        from UltrasoundLesionSegLib.engine.bundles import list_bundles  # loads neither torch nor MONAI

        return completing([one.name for one in list_bundles() if not roles or one.role in roles])(incomplete)

    return begin_with


def _also(*always: str, of_dicom: Sequence[str]) -> Any:
    """Return the option for further kinds of results of a command that always writes some, some of these of DICOM."""
    offered = [one for one in FURTHER_KINDS if one not in (*always, *of_dicom)]
    return typer.Option(
        help=f"Write this too: {', '.join(offered)}. Repeatable. Always written: {', '.join(always)}; of DICOM "
        f"cines also {', '.join(of_dicom)}.",
        autocompletion=completing(offered),
    )


FURTHER_KINDS = ("sr", "sr3d", "coco", "nifti", "sequence", "frames", "scene", "sheet", "video")
SUGGEST_HELP = "let a model propose one on this frame (a number, or `middle`)."
DEVICES = ("auto", "cpu", "cuda", "mps", "openvino")

Output = Annotated[Path, typer.Option(help="Folder for the results; made if it does not exist.")]
# the backslash keeps the bracket from being read as markup
Seeds = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MASK[@FRAME]",
        help=r"MASK\[@FRAME]: PNG, NRRD, .seg.nrrd or DICOM SEG; frame 0 when left out. Repeatable.",
    ),
]
Clicks = Annotated[
    list[str] | None,
    typer.Option(
        metavar="X,Y[@FRAME]",
        help=r"X,Y\[@FRAME]: pixel inside the lesion, column then row; a model draws it. Frame 0 when left out. "
        "Repeatable.",
    ),
]
Boxes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="X,Y,X,Y[@FRAME]",
        help=r"X,Y,X,Y\[@FRAME]: two opposite corners of a box around the lesion; a model draws it. Frame 0 when "
        "left out. Repeatable, one a frame.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="Model to use (see `models`); the default one when left out.",
        autocompletion=completing_models("propagate"),
    ),
]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda, mps, or openvino (CPU).", autocompletion=completing(DEVICES))
]
Frames = Annotated[str | None, typer.Option(help="A:B, first frame and one past the last; all by default.")]
SegmentAlso = Annotated[list[str] | None, _also("masks", "csv", "report", "scene", of_dicom=("seg",))]
BatchAlso = Annotated[list[str] | None, _also("masks", "csv", "report", of_dicom=("seg",))]
StudyAlso = Annotated[list[str] | None, _also("masks", "csv", "report", of_dicom=("seg", "sr"))]
# the values of make-dicom's option; a test holds them against dicom.body_part.ORGANS, which loads pydicom
ORGANS = (
    *("BLADDER", "BREAST", "GALLBLADDER", "HEART", "KIDNEY", "LIVER", "LUNG", "NECK", "OVARY", "PANCREAS", "PROSTATE"),
    *("SCROTUM", "SPLEEN", "TESTIS", "THYROID", "UTERUS"),
)
BodyPart = Annotated[
    str,
    typer.Option(
        help="Organ that SEG and SR name, for example THYROID; that of the DICOM file when left out, or none.",
        autocompletion=completing(ORGANS),
        show_default=False,
    ),
]
PixelsAllowed = Annotated[
    bool,
    typer.Option(
        help="Allow pictures: you looked at the frames, and no name is burned into the ultrasound image. All outside "
        "the image is made black, if its area is found.",
    ),
]
Direction = Annotated[
    DirectionChoice, typer.Option(help="Direction from the seeds: to later frames, to earlier ones, or both.")
]
Overlap = Annotated[bool, typer.Option("--overlap", help="Lesions may share pixels.")]
Fit = Annotated[
    bool,
    typer.Option("--fit", help="Fit the model to this lesion first; kept unless a check speaks against it."),
]
BlankOutside = Annotated[
    bool | None,
    typer.Option(
        "--blank-outside/--no-blank-outside",
        help="Make all outside the ultrasound image black in pictures, report and scene; on if pictures are allowed.",
        show_default=False,
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files in an output folder that holds something else.")
]
Level = Annotated[LogLevel, typer.Option(help="The least important messages that the log file holds.")]


def parse_seed(text: str) -> SeedFileRequest:
    """Read ``MASK[@FRAME]``; an @ that no number follows belongs to the file's name.

    Raises
    ------
    SeedError
        When there is no such file, but one whose name ends before the @.
    """
    from UltrasoundLesionSegLib.workflow.case_request import SeedFileRequest

    path, at, frame = text.rpartition("@")
    if at and frame.lstrip("-").isdigit():
        return SeedFileRequest(Path(path), int(frame))
    if at and not Path(text).exists() and Path(path).is_file():
        raise SeedError(f"'{frame}' after the @ of --seed is not a frame; write MASK@FRAME, for example mask.png@30")
    return SeedFileRequest(Path(text))


def parse_click(text: str) -> ClickRequest:
    """Read ``X,Y[@FRAME]``, a pixel's column and row.

    Raises
    ------
    SeedError
        When it is something else.
    """
    from UltrasoundLesionSegLib.workflow.case_request import ClickRequest

    point, at, frame = text.partition("@")
    try:
        column, row = (float(number) for number in point.split(","))
        return ClickRequest(row, column, int(frame) if at else 0)
    except ValueError:
        raise SeedError(
            f"the click '{text}' is not a pixel; write it as X,Y or X,Y@FRAME, for example 120,85@30"
        ) from None


def parse_box(text: str) -> BoxRequest:
    """Read ``X,Y,X,Y[@FRAME]``, column and row of two opposite corners.

    Raises
    ------
    SeedError
        When it is something else.
    """
    from UltrasoundLesionSegLib.workflow.case_request import BoxRequest

    corners, at, frame = text.partition("@")
    try:
        left, top, right, bottom = (float(number) for number in corners.split(","))
        number = int(frame) if at else 0
    except ValueError:
        raise SeedError(
            f"the box '{text}' is not two corners; write it as X,Y,X,Y or X,Y,X,Y@FRAME, for example 100,60,160,110@30"
        ) from None
    return BoxRequest(min(top, bottom), min(left, right), max(top, bottom), max(left, right), number)


def parse_suggest(text: str | None) -> int | Literal["middle"] | None:
    """Read a frame number or ``middle``; None stays None.

    Raises
    ------
    SeedError
        When it is something else.
    """
    if text is None:
        return None
    if text == "middle":
        return "middle"
    if not text.isdigit():
        raise SeedError(f"'{text}' is no frame for --suggest; give a number, counted from 0, or 'middle'")
    return int(text)


def parse_frames(text: str | None) -> tuple[int, int] | None:
    """Read ``A:B``, the first frame and one past the last; None stays None.

    Raises
    ------
    SeedError
        When it is something else.
    """
    if text is None:
        return None
    start, colon, stop = text.partition(":")
    if not (colon and start.isdigit() and stop.isdigit()):
        raise SeedError(f"the frame range '{text}' is not two numbers; write it as A:B, for example 0:60")
    return int(start), int(stop)
