"""The DICOM instances a cine was read from: what a SEG or SR must say of them, and nothing more."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from UltrasoundLesionSegLib.cine import Cine, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.dicom import normalize
from UltrasoundLesionSegLib.dicom.quiet import quiet_dicom
from UltrasoundLesionSegLib.errors import NotExpressibleError, OutputError
from UltrasoundLesionSegLib.readers.deflated import plain_stream

# Only what is named here is ever taken over: comments, institutions, stations, serial numbers, operators and private
# elements cannot slip into an output, because they are not read.
_IDENTIFYING = ("PatientName", "PatientID", "StudyInstanceUID", "StudyID", "AccessionNumber")
_HEADER = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    *_IDENTIFYING,
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "BodyPartExamined",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "ImageType",
    "AcquisitionDateTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "ContentDate",
    "ContentTime",
    "TimezoneOffsetFromUTC",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
_IDENTIFIERS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
# as archives accept it: a stricter rule would refuse studies of real devices (a component that begins with 0)
_UID = re.compile(r"[0-9.]{1,64}")
_READ_AGAIN = "load the cine from its DICOM files again"


@dataclass(frozen=True)
class Instance:
    """One SOP instance of the source (PS3.3 Table 10-11).

    ``frame_count`` is how many frames it really has, or how many its header claims if that is more.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    frame_count: int

    @property
    def is_multi_frame(self) -> bool:
        """Whether a reference to one of its frames needs a Referenced Frame Number (PS3.3 10.3)."""
        return self.frame_count > 1


@dataclass(frozen=True)
class DicomSource:
    """What outputs need to know of the DICOM instances behind a cine.

    Parameters
    ----------
    identity : SourceIdentity
    instances : tuple of Instance
        One for a multi-frame source, one a frame for a series of single frames.
    frame_count, rows, columns : int
        Of the cine.
    study : Dataset
        The patient and study attributes that must be identical in every object of a study, and no others. Not shown
        in the source's ``repr``, which can end in a log.
    lossy : Dataset
        The source's lossy image compression attributes (PS3.3 C.7.6.1.1.5), which a derived image repeats.
    frame_date_times : tuple of str or None
        DT value of each frame; None when the source does not say when its frames were acquired.
    body_part : str
        Body Part Examined in capitals (PS3.16 Annex L); '' where the source does not say it.
    """

    identity: SourceIdentity
    instances: tuple[Instance, ...]
    frame_count: int
    rows: int
    columns: int
    study: Dataset = field(repr=False)
    lossy: Dataset
    frame_date_times: tuple[str, ...] | None = None
    body_part: str = ""

    @classmethod
    def from_cine(cls, cine: Cine) -> DicomSource:
        """Read the headers of the files a cine came from; no pixel data is read.

        Raises
        ------
        OutputError
            When the cine did not come from DICOM, or its files are gone, changed, or not of one study.
        """
        _check_kind(cine.identity)
        headers = [_read_header(path) for path in cine.identity.paths]
        try:
            return cls._from_headers(cine, headers)
        except OutputError:
            raise
        # pydicom parses elements when they are read and can raise any exception, whose text may quote the file
        except Exception:
            raise NotExpressibleError(
                "the source's DICOM header is damaged where results must repeat it; export the masks in another format"
            ) from None

    @classmethod
    def _from_headers(cls, cine: Cine, headers: list[Dataset]) -> DicomSource:
        _check_headers(cine, headers)
        with quiet_dicom():
            instances = tuple(_instance(header, len(cine) if len(headers) == 1 else 1) for header in headers)
        first = headers[0]
        return cls(
            cine.identity,
            instances,
            len(cine),
            cine.height,
            cine.width,
            _study_attributes(first),
            _lossy_attributes(first),
            _frame_date_times(first, cine.timing),
            normalize.text(first, "BodyPartExamined").strip().upper(),
        )

    def instance(self, frame: int) -> Instance:
        """Return the SOP instance that holds a frame (counted from 0)."""
        return self.instances[0] if len(self.instances) == 1 else self.instances[frame]

    def frame_number(self, frame: int) -> int | None:
        """Return the DICOM frame number, counted from 1, or None when the instance is a single-frame image."""
        return frame + 1 if self.instance(frame).is_multi_frame else None


def _check_kind(identity: SourceIdentity) -> None:
    """Raise ``OutputError`` when there is nothing DICOM to refer to."""
    if identity.kind in (SourceKind.DICOM_MULTIFRAME, SourceKind.DICOM_SERIES):
        if not identity.paths:
            raise NotExpressibleError(f"it is no longer known where the cine's DICOM files are; {_READ_AGAIN}")
        return
    raise NotExpressibleError(
        f"the cine came from {_PLAIN_NAMES[identity.kind]}, so there is no DICOM image to refer to; make an ultrasound "
        "multi-frame image of it first and load that, or export the masks in another format"
    )


_PLAIN_NAMES = {
    SourceKind.VIDEO: "a video file",
    SourceKind.IMAGES: "a folder of images",
    SourceKind.VOLUME: "an image file that is not DICOM",
    SourceKind.SCENE: "a saved scene",
    SourceKind.MEMORY: "an array in memory",
}


def _read_header(path: Path) -> Dataset:
    """Read the attributes of ``_HEADER`` from one file."""
    try:
        with quiet_dicom(), path.open("rb") as stream:
            return dcmread(plain_stream(stream), stop_before_pixels=True, force=True, specific_tags=list(_HEADER))
    # any exception of pydicom for a damaged file; its text is not passed on, because it may quote the file
    except Exception:
        raise NotExpressibleError(f"a DICOM file of the cine can no longer be read; {_READ_AGAIN}") from None


def _check_headers(cine: Cine, headers: list[Dataset]) -> None:
    """Raise ``OutputError`` when the files are not those the cine was read from."""
    with quiet_dicom():
        found = tuple(normalize.text(header, "SOPInstanceUID") for header in headers)
        needed = [normalize.text(header, keyword) for header in headers for keyword in _IDENTIFIERS]
        studies = {(normalize.text(one, "StudyInstanceUID"), normalize.text(one, "PatientID")) for one in headers}
        sizes = {(one.get("Rows"), one.get("Columns")) for one in headers}
    is_each_own = len(set(found)) == len(found)
    if not is_each_own or not all(_UID.fullmatch(one) for one in needed):
        raise NotExpressibleError(
            "the source's DICOM header lacks the unique identifiers that results must refer to; "
            "export the masks in another format"
        )
    if found != cine.identity.sop_instance_uids or sizes != {cine.shape} or len(found) not in (1, len(cine)):
        raise NotExpressibleError(f"the DICOM files of the cine have changed since it was loaded; {_READ_AGAIN}")
    if len(studies) != 1:
        raise NotExpressibleError(
            "the DICOM files of the cine are not of one patient and study; load the files of one series alone"
        )


def _instance(header: Dataset, found: int) -> Instance:
    """Return what references to one file need.

    The cine's own count decides: headers say 1 or nothing of objects with many frames. Only an object that was cut down
    to one frame keeps its header's, because a reference without a number would mean all the frames it once had.
    """
    try:
        told = int(header.get("NumberOfFrames") or 1)
    except (TypeError, ValueError):
        told = 1
    frames = max(found, told)
    return Instance(
        normalize.text(header, "SOPClassUID"),
        normalize.text(header, "SOPInstanceUID"),
        normalize.text(header, "SeriesInstanceUID"),
        frames,
    )


def _study_attributes(header: Dataset) -> Dataset:
    """Return the Patient and General Study attributes (PS3.3 C.7.1.1, C.7.2.1), valid, type 2 ones empty if absent."""
    study = Dataset()
    with quiet_dicom():
        study.SpecificCharacterSet = "ISO_IR 192"
        for keyword in _IDENTIFYING:
            setattr(study, keyword, normalize.text(header, keyword))
        study.PatientBirthDate = normalize.date(normalize.text(header, "PatientBirthDate"))
        study.PatientSex = normalize.sex(normalize.text(header, "PatientSex"))
        study.StudyDate = normalize.date(normalize.text(header, "StudyDate"))
        study.StudyTime = normalize.time(normalize.text(header, "StudyTime"))
        study.ReferringPhysicianName = ""
    return study


def _lossy_attributes(header: Dataset) -> Dataset:
    """Return what a derived image repeats of its source's lossy compression."""
    lossy = Dataset()
    with quiet_dicom():
        compressed = normalize.text(header, "LossyImageCompression") == "01"
        lossy.LossyImageCompression = "01" if compressed else "00"
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            value = header.get(keyword)
            if compressed and value:
                setattr(lossy, keyword, list(value) if isinstance(value, MultiValue) else value)
    return lossy


def _frame_date_times(header: Dataset, timing: Timing | None) -> tuple[str, ...] | None:
    """Return the DT value of each frame; a display rate says nothing of the acquisition and is not used."""
    with quiet_dicom():
        start = normalize.acquisition_start(header)
    if start is None or timing is None or timing.approximate:
        return None
    moment, offset = start
    return tuple(normalize.date_time(moment, float(seconds), offset) for seconds in timing.seconds)
