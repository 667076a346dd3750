"""What is said of a lesion in DICOM: its name, terminology, tracking identity, and who made its masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.dicom.terminology import Terminology
from UltrasoundLesionSegLib.errors import OutputError


class AlgorithmType(str, Enum):
    """Segment Algorithm Type (0062,0008), PS3.3 C.8.20.2."""

    MANUAL = "MANUAL"  # a user-entered segment
    SEMIAUTOMATIC = "SEMIAUTOMATIC"  # calculated with a user's assistance
    AUTOMATIC = "AUTOMATIC"  # calculated

    @classmethod
    def of(cls, origins: Iterable[Origin], assisted: bool = False) -> AlgorithmType:
        """Return what SEG and SR say of masks of these origins.

        * Every mask drawn by a person: MANUAL.
        * Every mask a model's, and no person had a hand in the lesion: AUTOMATIC.
        * Anything else: SEMIAUTOMATIC. A propagation from a seed that a person drew, confirmed or edited was
          calculated with that person's assistance, on the untouched frames too.

        Parameters
        ----------
        origins : iterable of Origin
            Of the masks that are written.
        assisted : bool
            Whether a person drew or confirmed anything else of the lesion, e.g. declared it invisible on a frame.
        """
        found = set(origins)
        if found == {Origin.MANUAL}:
            return cls.MANUAL
        if not any(origin.is_by_person for origin in found) and not assisted:
            return cls.AUTOMATIC
        return cls.SEMIAUTOMATIC


def is_label(text: str) -> bool:
    """Whether a text fits the value representation LO (PS3.5 6.2) and says something."""
    return bool(text.strip()) and len(text) <= 64 and text.isprintable() and "\\" not in text


@dataclass(frozen=True)
class ModelIdentity:
    """Which model made a mask; becomes the Algorithm Identification Macro (PS3.3 Table 10-19).

    Raises
    ------
    OutputError
        When name or version is empty or too long for its attribute (LO, 64 characters).
    """

    name: str
    version: str

    def __post_init__(self) -> None:
        if not (is_label(self.name) and is_label(self.version)):
            raise OutputError(
                "a model's name and version must each have 1 to 64 characters; correct the model's metadata"
            )


@dataclass(frozen=True)
class LesionDescription:
    """One lesion of a cine as SEG and SR describe it.

    Parameters
    ----------
    name : str
        Segment label, as the person called it.
    tracking_uid, tracking_id : str
        Say in SEG and SR that it is the same lesion; see ``identifiers.py``.
    origins : mapping of int to Origin
        Who made the mask of each frame; frames not named are ``Origin.MODEL``. A frame that a person declared free of
        the lesion is named too.
    model : ModelIdentity or None
        Needed unless a person drew everything.
    seed_models : tuple of ModelIdentity
        The models that drew seeds, from clicks or on their own, which a person accepted.
    terminology : Terminology
    color : tuple of int, or None
        Recommended display colour, RGB in 0 to 255.

    Raises
    ------
    OutputError
        When the name is empty or too long for a Segment Label (LO, 64 characters).
    """

    name: str
    tracking_uid: str
    tracking_id: str
    origins: Mapping[int, Origin] = field(default_factory=dict)
    model: ModelIdentity | None = None
    seed_models: tuple[ModelIdentity, ...] = ()
    terminology: Terminology = field(default_factory=Terminology)
    color: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        if not is_label(self.name):
            raise OutputError(
                "a lesion's name must have 1 to 64 characters on one line without backslash, to fit DICOM; rename it"
            )

    def origin(self, frame: int) -> Origin:
        """Return who made the mask of a frame."""
        return self.origins.get(frame, Origin.MODEL)

    def algorithm_type(self, frames: Iterable[int]) -> AlgorithmType:
        """Return the segment's algorithm type when these frames hold its masks.

        Raises
        ------
        OutputError
            When a model made some of them and none is named.
        """
        assisted = any(origin.is_by_person for origin in self.origins.values())
        kind = AlgorithmType.of((self.origin(frame) for frame in frames), assisted)
        if kind is not AlgorithmType.MANUAL and self.model is None:
            raise OutputError(
                "a lesion has masks that no person drew but no model is named for them; name the model and its version"
            )
        return kind
