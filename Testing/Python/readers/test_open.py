"""Recognising a source, and refusing what is none, without naming a path."""

import gzip
import os
import zipfile

import cv2
import numpy as np
import pytest
from source_makers import PLANTED, dicom_object, moving_frames

from UltrasoundLesionSegLib.cine import SourceKind
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.open import read_cine


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"just text, long enough to be something\n" * 40, "no cine"),
        ("empty.dcm", b"", "no cine"),
        ("zip.mp4", b"PK\x03\x04" + bytes(2000), "is packed"),
        ("cut.mp4", b"\x00\x00\x00\x20ftypisom" + bytes(64), "cannot be decoded"),
        ("cut.avi", b"RIFF\x00\x10\x00\x00AVI LIST" + bytes(64), "cannot be decoded"),
        ("cut.png", b"\x89PNG\r\n\x1a\n" + bytes(20), "no picture"),
        ("cut.nrrd", b"NRRD0004\ntype: unsigned char\n\n", "header is damaged"),
        ("cut.dcm", bytes(128) + b"DICM", "no image"),
    ],
)
def test_what_is_no_cine_is_refused_in_one_sentence(tmp_path, name, content, words):
    path = tmp_path / f"{PLANTED}_{name}"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=words) as caught:
        read_cine(path)
    assert PLANTED not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_missing_source_is_refused_without_its_path(tmp_path):
    with pytest.raises(SourceError, match="cannot be opened") as caught:
        read_cine(tmp_path / PLANTED)
    assert PLANTED not in str(caught.value)


def test_folders_without_frames_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no frames"):
        read_cine(tmp_path / "empty")
    with pytest.raises(SourceError, match="1 folders but no frames"):
        read_cine(tmp_path)


@pytest.mark.parametrize("wrong_suffix", [".txt", ".png", ""])
def test_content_decides_and_not_the_suffix(wrong_suffix, save_dicom, save_video, tmp_path):
    frames = moving_frames(3)
    assert read_cine(save_dicom(dicom_object(frames), f"a{wrong_suffix}")).identity.kind is SourceKind.DICOM_MULTIFRAME
    renamed = tmp_path / f"b{wrong_suffix}"
    save_video(frames).rename(renamed)
    assert read_cine(renamed).identity.kind is SourceKind.VIDEO


def test_a_folder_with_one_cine_beside_unknown_files_is_that_cine(tmp_path, save_dicom):
    save_dicom(dicom_object(moving_frames(4)), "folder/clip")
    (tmp_path / "folder" / "readme.txt").write_text("read me")
    (tmp_path / "folder" / ".hidden.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert len(read_cine(tmp_path / "folder")) == 4


def test_a_video_beside_pictures_is_ambiguous(save_pictures, save_video, tmp_path):
    folder = save_pictures(moving_frames(3))
    save_video(moving_frames(3)).rename(folder / "clip.avi")
    with pytest.raises(SourceError, match="choose one file"):
        read_cine(folder)


def test_the_digest_is_of_the_content_alone(save_pictures, tmp_path):
    frames = moving_frames(3)
    first = read_cine(save_pictures(frames, folder="one")).identity.digest
    assert read_cine(save_pictures(frames, "picture{}.png", folder="two")).identity.digest == first
    frames[1, 0, 0] ^= 1
    assert read_cine(save_pictures(frames, folder="three")).identity.digest != first


def test_frames_handed_out_are_the_callers_own(save_pictures):
    cine = read_cine(save_pictures(moving_frames(2)))
    before = cine.frames[0].copy()
    cine.frames[0][:] = 0
    np.testing.assert_array_equal(cine.frames[0], before)


def test_frames_can_be_counted_from_the_end_but_not_beyond(save_pictures):
    cine = read_cine(save_pictures(moving_frames(3)))
    np.testing.assert_array_equal(cine.frames[-1], cine.frames[2])
    for outside in (3, -4):
        with pytest.raises(IndexError):
            cine.frames[outside]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read_says_so(tmp_path):
    path = tmp_path / "clip.png"
    cv2.imwrite(str(path), np.zeros((8, 8), np.uint8))
    path.chmod(0)
    with pytest.raises(SourceError, match="Permission denied"):
        read_cine(path)


@pytest.mark.parametrize("kind", ["pictures", "DICOM"])
def test_what_may_be_a_lost_frame_is_noted(save_dicom, save_pictures, kind):
    frames = moving_frames(12)[:4]
    if kind == "pictures":
        folder = save_pictures(frames, "f{}.png")
    else:
        for number in range(4):
            data = dicom_object(frames[number : number + 1], NumberOfFrames=None)
            folder = save_dicom(data, f"series/IM{number}").parent
        (folder / "IM4").write_bytes(b"")
    assert len(read_cine(folder).notes) == (0 if kind == "pictures" else 2)
    (folder / "f9.png").symlink_to(folder / "gone.png")
    (folder / "README").write_bytes(b"about")
    notes = read_cine(folder).notes
    assert "1 file of the folder is a link to a file that is not there: frames may be missing." in notes
    named = "1 file of the folder is named like a frame but of no known kind: frames may be missing."
    assert (named in notes) == (kind == "DICOM")


def test_a_packed_file_is_to_be_unpacked(tmp_path):
    frames = moving_frames(2)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a.raw", frames.tobytes())
    (tmp_path / "a.dcm.gz").write_bytes(gzip.compress(bytes(128) + b"DICM"))
    for name in ("a.zip", "a.dcm.gz"):
        with pytest.raises(SourceError, match="unpack it, then choose the cine in it"):
            read_cine(tmp_path / name)
