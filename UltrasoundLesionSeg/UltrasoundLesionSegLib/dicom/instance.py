"""What every DICOM object of ours has in common: series, equipment, references, file meta information."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.dicom.identifiers import new_uid
from UltrasoundLesionSegLib.dicom.source import Instance

PRODUCT = "UltrasoundLesionSeg"


def add_instance(dataset: Dataset, sop_class: UID, modality: str, series_number: int, description: str) -> None:
    """Add the series, equipment and SOP common modules of a new object (PS3.3 C.7.3.1, C.7.5.1, C.7.5.2, C.12.1)."""
    now = datetime.now()
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = new_uid()
    dataset.SeriesInstanceUID = new_uid()
    dataset.Modality = modality
    dataset.SeriesNumber = series_number
    dataset.SeriesDescription = description
    dataset.InstanceNumber = 1
    dataset.InstanceCreationDate = dataset.ContentDate = dataset.SeriesDate = now.strftime("%Y%m%d")
    dataset.InstanceCreationTime = dataset.ContentTime = dataset.SeriesTime = now.strftime("%H%M%S")
    dataset.Manufacturer = PRODUCT
    dataset.ManufacturerModelName = PRODUCT
    dataset.DeviceSerialNumber = "none"  # type 1 in Enhanced General Equipment, and software has none
    dataset.SoftwareVersions = __version__


def file_meta(dataset: Dataset, transfer_syntax: UID) -> FileMetaDataset:
    """Return the file meta information of a data set (PS3.10 7.1)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    meta.ImplementationVersionName = f"ULS_{__version__}"[:16]
    return meta


def instance_reference(instance: Instance, frame_number: int | None = None) -> Dataset:
    """Return a SOP instance reference (PS3.3 Table 10-11), or with a number an image reference (Table 10-3).

    ``frame_number`` counts from 1.
    """
    reference = Dataset()
    reference.ReferencedSOPClassUID = instance.sop_class_uid
    reference.ReferencedSOPInstanceUID = instance.sop_instance_uid
    if frame_number is not None:
        reference.ReferencedFrameNumber = frame_number
    return reference


def by_series(instances: Iterable[Instance]) -> dict[str, list[Instance]]:
    """Sort instances by Series Instance UID, each named once, in the order given."""
    series: dict[str, list[Instance]] = {}
    for instance in dict.fromkeys(instances):
        series.setdefault(instance.series_instance_uid, []).append(instance)
    return series
