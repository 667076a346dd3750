"""A DICOMDIR leads to the cine that it lists, or to a sentence on what it lists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.fileset import FileSet
from pydicom.uid import UltrasoundImageStorage
from source_makers import PLANTED, dicom_object, moving_frames

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.open import read_cine


def write_disc(folder, cines=0, stills=0):
    """Write a CD: so many multi-frame objects, and so many single images of one series."""
    frames = moving_frames(6)
    about: dict[str, Any] = {
        "StudyID": "1",
        "SeriesNumber": "1",
        "StudyDate": "20240102",
        "StudyTime": "101500",
        "AccessionNumber": "",
    }
    disc = FileSet()
    for _ in range(cines):
        disc.add(dicom_object(frames, InstanceNumber=1, **about))
    for number in range(stills):
        one = dicom_object(frames[number : number + 1], NumberOfFrames=None, InstanceNumber=number + 1, **about)
        one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = UltrasoundImageStorage
        disc.add(one)
    disc.write(folder)
    return frames


def images_of(folder: Path) -> list[Path]:
    return sorted(one for one in folder.rglob("*") if one.is_file() and one.name != "DICOMDIR")


@pytest.mark.parametrize("chosen", ["", "DICOMDIR"])
@pytest.mark.parametrize("kind", ["cines", "stills"])
def test_a_disc_with_one_cine_is_that_cine(tmp_path, chosen, kind):
    frames = write_disc(tmp_path / "disc", **{kind: 1 if kind == "cines" else 6})
    cine = read_cine(tmp_path / "disc" / chosen)
    np.testing.assert_array_equal(np.stack(list(cine)), frames)


@pytest.mark.parametrize("ending", ["", ".dcm", ";1", ".;1"])
def test_names_that_copying_changed_are_found(tmp_path, ending):
    frames = write_disc(tmp_path, cines=1)
    (image,) = images_of(tmp_path)
    image.rename(image.with_name(image.name.lower() + ending))
    for folder in image.relative_to(tmp_path).parents[:-1]:
        (tmp_path / folder).rename((tmp_path / folder).with_name(folder.name.lower()))
    np.testing.assert_array_equal(read_cine(tmp_path / "DICOMDIR").frames[3], frames[3])


def test_several_cines_are_counted_and_what_to_do_is_said(tmp_path):
    write_disc(tmp_path, cines=2, stills=1)
    for chosen in (tmp_path, tmp_path / "DICOMDIR"):
        with pytest.raises(SourceError, match="lists 3 images that are not one cine; choose the file or folder"):
            read_cine(chosen)


def test_missing_images_are_told(tmp_path):
    write_disc(tmp_path, stills=6)
    images = images_of(tmp_path)
    images[2].unlink()
    cine = read_cine(tmp_path)
    assert len(cine) == 5
    assert "Of 6 images that the DICOMDIR lists, 1 is missing: the copy may be incomplete." in cine.notes
    for image in images:
        image.unlink(missing_ok=True)
    with pytest.raises(SourceError, match="images of which none is there; copy all of the CD") as caught:
        read_cine(tmp_path)
    assert PLANTED not in str(caught.value)


def test_a_folder_that_holds_images_beside_its_dicomdir_is_read_as_any_other(tmp_path):
    frames = write_disc(tmp_path / "disc", stills=6)
    for image in images_of(tmp_path / "disc"):
        image.rename(tmp_path / "disc" / image.name)
    np.testing.assert_array_equal(np.stack(list(read_cine(tmp_path / "disc"))), frames)


def test_nothing_outside_of_the_disc_is_opened(tmp_path):
    write_disc(tmp_path / "disc", cines=1)
    write_disc(tmp_path / "elsewhere", cines=1)
    contents = (tmp_path / "disc" / "DICOMDIR").read_bytes()
    data = dcmread(tmp_path / "disc" / "DICOMDIR")
    inside = data.DirectoryRecordSequence[-1].ReferencedFileID
    for outside in (["..", "elsewhere", *inside], [str(tmp_path / "elsewhere"), *inside], [".."], [""]):
        data.DirectoryRecordSequence[-1].ReferencedFileID = outside
        data.save_as(tmp_path / "disc" / "DICOMDIR")
        with pytest.raises(SourceError, match="lists images of which none is there"):
            read_cine(tmp_path / "disc" / "DICOMDIR")
    (tmp_path / "disc" / "DICOMDIR").write_bytes(contents[: len(contents) // 2])
    with pytest.raises(SourceError, match=re.escape("the DICOMDIR lists no image; copy all")):
        read_cine(tmp_path / "disc" / "DICOMDIR")
