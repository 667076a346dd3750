"""What a folder of cases holds: which files are cines, which seeds belong to them, what is left out."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest
import SimpleITK
from dicom_helpers import describe, speckle, write_multiframe, write_series
from PIL import Image
from pydicom import dcmread
from pydicom.fileset import FileSet
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from UltrasoundLesionSegLib.batch.fingerprint import content_digest
from UltrasoundLesionSegLib.batch.plan import find_cases
from UltrasoundLesionSegLib.batch.scan import scan_folder
from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation
from UltrasoundLesionSegLib.dicom.source import DicomSource
from UltrasoundLesionSegLib.errors import BatchError
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.seed_masks import SUFFIXES


def write_video(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for frame in speckle(3, 48, 64):
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def write_picture(path: Path, is_mask: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = speckle(1, 48, 64)[0]
    Image.fromarray((frame > 200) if is_mask else frame).save(path)
    return path


def found(folder: Path) -> dict[str, list[tuple[str, int]]]:
    """Sources and their seeds, by name relative to the folder."""
    return {
        case.source.relative_to(folder).as_posix(): [(seed.path.name, seed.frame) for seed in case.seeds]
        for case in scan_folder(folder).cases
    }


def test_seeds_beside_cines_go_by_their_names(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi")
    write_video(tmp_path / "deep" / "a.avi")
    write_multiframe(tmp_path / "deep" / "IM0001", speckle(3, 48, 64))
    for name in ("a.seed.png", "a.seed.12.png", "deep/a.avi.seed.2.png", "deep/IM0001.seed.7.png", "b.seed.png"):
        write_picture(tmp_path / name, is_mask=True)
    (tmp_path / "a.3.seg.nrrd").write_bytes(b"NRRD0004\n")
    assert found(tmp_path) == {
        "a.avi": [("a.seed.png", 0), ("a.3.seg.nrrd", 3), ("a.seed.12.png", 12)],
        "deep/a.avi": [("a.avi.seed.2.png", 2)],
        "deep/IM0001": [("IM0001.seed.7.png", 7)],
    }


def test_folders_of_frames_are_cines_and_folders_of_masks_are_not(tmp_path: Path) -> None:
    for index in range(3):
        write_picture(tmp_path / "JPEGImages" / "clip" / f"{index}.png")
        write_picture(tmp_path / "Annotations" / "clip" / f"{index}.png", is_mask=True)
    write_series(tmp_path / "series", speckle(3, 48, 64))
    write_picture(tmp_path / "series.seed.1.png", is_mask=True)
    write_picture(tmp_path / "series" / "series.seed.2.png", is_mask=True)
    write_picture(tmp_path / "JPEGImages" / "clip.seed.png", is_mask=True)
    write_picture(tmp_path / "JPEGImages" / "clip" / "clip.seed.1.png", is_mask=True)
    assert found(tmp_path) == {
        "JPEGImages/clip": [("clip.seed.png", 0), ("clip.seed.1.png", 1)],
        "series": [("series.seed.1.png", 1), ("series.seed.2.png", 2)],
    }


def test_dicom_segs_belong_to_the_cines_they_refer_to_wherever_they_lie(tmp_path: Path) -> None:
    cines = {
        "one.dcm": write_multiframe(tmp_path / "one.dcm", speckle(4, 48, 64)),
        "two": write_series(tmp_path / "two", speckle(3, 48, 64)),
        "three.dcm": write_multiframe(tmp_path / "three.dcm", speckle(4, 48, 64)),
    }
    for name in ("one.dcm", "two"):
        cine = read_cine(cines[name])
        masks = np.zeros((len(cine), 1, *cine.shape), bool)
        masks[1, 0, 10:20, 10:20] = True
        (tmp_path / "segs").mkdir(exist_ok=True)
        target = tmp_path / "segs" / f"x{len(name)}.dcm"
        write_segmentation(target, DicomSource.from_cine(cine), [describe(cine, 1)], masks)
    assert found(tmp_path) == {"one.dcm": [("x7.dcm", 0)], "two": [("x3.dcm", 0)], "three.dcm": []}


def test_results_hidden_files_and_the_output_are_not_looked_into(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi")
    for place in (".hidden", "out", "earlier", "study/review"):
        write_video(tmp_path / place / "b.avi")
    (tmp_path / "study" / ".batch").mkdir()
    (tmp_path / "earlier" / "run.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("a text")
    scanned = scan_folder(tmp_path, leave_out=[tmp_path / "out"])
    assert [case.source.name for case in scanned.cases] == ["a.avi"]
    assert scanned.notes == ("1 file of another kind",)


def test_stills_of_a_study_are_left_out_and_counted(shared_data: Path) -> None:
    scanned = scan_folder(shared_data / "field" / "27_stills_in_a_study_folder" / "study")
    assert [case.source.name for case in scanned.cases] == ["IM_0000", "IM_0001"]
    assert [[(seed.path.suffix, seed.frame) for seed in case.seeds] for case in scanned.cases] == [
        [(".png", 2)],
        [(".jpg", 2)],
    ]
    assert scanned.notes == ("2 still images beside cines (DICOM, one frame)",)


def test_a_still_with_a_seed_is_a_case_and_a_damaged_object_is_no_still(tmp_path: Path) -> None:
    write_multiframe(tmp_path / "A", speckle(3, 48, 64))
    for name in ("B", "C", "D"):
        write_series(tmp_path / f"made{name}", speckle(1, 48, 64))
        next((tmp_path / f"made{name}").iterdir()).rename(tmp_path / name)
        (tmp_path / f"made{name}").rmdir()
    (tmp_path / "D").write_bytes((tmp_path / "D").read_bytes()[:140])
    write_picture(tmp_path / "B.seed.png", is_mask=True)
    scanned = scan_folder(tmp_path)
    assert [case.source.name for case in scanned.cases] == ["A", "B", "D"]
    assert scanned.notes == ("1 still image beside cines (DICOM, one frame)",)


def test_stills_beside_a_video_are_left_out_and_a_folder_of_them_alone_is_one_case(tmp_path: Path) -> None:
    write_series(tmp_path / "mixed", speckle(3, 48, 64))
    write_series(tmp_path / "alone", speckle(3, 48, 64))
    write_video(tmp_path / "mixed" / "clip.avi")
    scanned = scan_folder(tmp_path)
    assert [case.source.name for case in scanned.cases] == ["alone", "clip.avi"]
    assert scanned.notes == ("3 still images beside cines (DICOM, one frame)",)


def test_a_still_in_a_folder_of_its_own_is_left_out_beside_cines_alone(tmp_path: Path) -> None:
    write_series(tmp_path / "study" / "1", speckle(1, 48, 64))
    write_series(tmp_path / "study" / "2", speckle(1, 48, 64))
    assert len(scan_folder(tmp_path).cases) == 2
    write_multiframe(tmp_path / "study" / "IM1", speckle(3, 48, 64))
    scanned = scan_folder(tmp_path)
    assert [case.source.name for case in scanned.cases] == ["IM1"]
    assert scanned.notes == ("2 still images beside cines (DICOM, one frame)",)


def test_a_video_in_dicom_is_a_cine_whatever_its_header_counts(shared_data: Path) -> None:
    folder = shared_data / "field" / "09_number_of_frames_and_seg"
    names = {path.name for path in folder.glob("*.dcm")}
    assert names
    assert {case.source.name for case in scan_folder(folder).cases} >= names


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_a_multi_frame_object_without_a_number_of_frames_is_what_it_holds(tmp_path: Path, syntax: str) -> None:
    for name, count in (("A", 3), ("B", 3), ("C", 1), ("D", 1)):
        write_multiframe(tmp_path / name, speckle(count, 48, 64))
        if name != "A":
            data = dcmread(tmp_path / name)
            if syntax == RLELossless:
                data.compress(syntax, generate_instance_uid=False)
            del data.NumberOfFrames
            data.save_as(tmp_path / name)
    scanned = scan_folder(tmp_path)
    assert [case.source.name for case in scanned.cases] == ["A", "B"]
    assert scanned.notes == ("2 still images beside cines (DICOM, one frame)",)


@pytest.mark.parametrize("kind", ["", "1.2.840.10008.5.1.4.1.1.7.2"])
def test_objects_of_any_class_without_a_number_of_frames_are_counted(tmp_path: Path, kind: str) -> None:
    """Secondary captures, and objects whose class an anonymiser emptied."""
    for name, count in (("A", 3), ("B", 3), ("C", 1)):
        data = dcmread(write_multiframe(tmp_path / name, speckle(count, 48, 64)))
        data.SOPClassUID = kind
        del data.NumberOfFrames
        data.save_as(tmp_path / name)
    scanned = scan_folder(tmp_path)
    assert [case.source.name for case in scanned.cases] == ["A", "B"]
    assert scanned.notes == ("1 still image beside cines (DICOM, one frame)",)


def test_cines_without_a_file_header_are_a_case_each(shared_data: Path, tmp_path: Path) -> None:
    bare = shared_data / "field" / "12_no_file_meta_information" / "nometa_expl.dcm"
    for name in ("A.dcm", "B.dcm"):
        (tmp_path / name).write_bytes(bare.read_bytes())
        write_picture(tmp_path / f"{Path(name).stem}.seed.2.png", is_mask=True)
    assert found(tmp_path) == {"A.dcm": [("A.seed.2.png", 2)], "B.dcm": [("B.seed.2.png", 2)]}


def test_a_line_break_in_a_name_is_a_character_as_any_other(tmp_path: Path) -> None:
    write_video(tmp_path / "two\nlines.avi")
    write_picture(tmp_path / "two\nlines.seed.2.png", is_mask=True)
    assert found(tmp_path) == {"two\nlines.avi": [("two\nlines.seed.2.png", 2)]}


def test_links_to_folders_are_counted(tmp_path: Path) -> None:
    write_video(tmp_path / "elsewhere" / "a.avi")
    write_video(tmp_path / "study" / "b.avi")
    (tmp_path / "study" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    scanned = scan_folder(tmp_path / "study")
    assert [case.source.name for case in scanned.cases] == ["b.avi"]
    assert scanned.notes == ("1 link to a folder",)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_of_seed_is_found_beside_its_cine(tmp_path: Path, suffix: str) -> None:
    write_video(tmp_path / "clip.avi")
    (tmp_path / f"clip.seed.5.{suffix}").write_bytes(b"")
    (tmp_path / f"other.seed.{suffix}").write_bytes(b"")
    assert found(tmp_path) == {"clip.avi": [(f"clip.seed.5.{suffix}", 5)]}
    assert scan_folder(tmp_path).notes == ("1 seed without its cine",)


def test_the_jpeg_seed_from_the_field_is_found_as_segment_finds_it(shared_data: Path) -> None:
    folder = shared_data / "field" / "26_jpeg_masks"
    assert found(folder) == {"clip.mp4": [("clip.seed.5.jpg", 5)]}
    assert scan_folder(folder).notes == ("1 picture that is a mask",)


def test_what_is_left_out_is_counted_by_kind_and_never_by_name(tmp_path: Path) -> None:
    write_video(tmp_path / "Doe.avi")
    for name in ("Doe1.txt", "Doe2.txt"):
        (tmp_path / name).write_text("Doe")
    write_picture(tmp_path / "Doe3.png")
    write_picture(tmp_path / "masks" / "Doe4.png", is_mask=True)
    notes = scan_folder(tmp_path).notes
    assert notes == ("2 files of another kind", "1 picture beside cines", "1 picture that is a mask")


def test_picture_stacks_are_a_cine_each(tmp_path: Path) -> None:
    pages = [Image.fromarray(one) for one in speckle(3, 48, 64)]
    for name in ("a.tif", "b.tif", "c.gif"):
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    write_picture(tmp_path / "a.seed.png", is_mask=True)
    write_picture(tmp_path / "Still.png")
    assert found(tmp_path) == {"a.tif": [("a.seed.png", 0)], "b.tif": [], "c.gif": []}
    assert scan_folder(tmp_path).notes == ("1 picture beside cines",)
    masks = [Image.fromarray(255 * (one > 200).astype(np.uint8)) for one in speckle(3, 48, 64)]
    masks[0].save(tmp_path / "masks.tif", save_all=True, append_images=masks[1:])
    assert "masks.tif" not in found(tmp_path)


def test_a_picture_beside_cines_is_a_case_where_it_has_a_seed_as_a_dicom_still_is(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi")
    for name in ("b.png", "c.png"):
        write_picture(tmp_path / name)
    write_picture(tmp_path / "b.seed.png", is_mask=True)
    assert found(tmp_path) == {"a.avi": [], "b.png": [("b.seed.png", 0)]}
    assert scan_folder(tmp_path).notes == ("1 picture beside cines",)


@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii.gz"])
def test_volumes_that_are_masks_are_no_cines_as_pictures_are_none(tmp_path: Path, suffix: str) -> None:
    frames = speckle(4, 48, 64)
    masks = (frames > 200).astype(np.uint8)
    masks[0] = 0  # no lesion there
    for name, values in (("cine", frames), ("cine_mask", masks), ("two_lesions", masks * 2 - masks // 3)):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(tmp_path / f"{name}.{suffix}"))
    assert list(found(tmp_path)) == [f"cine.{suffix}"]
    assert scan_folder(tmp_path).notes == ("2 volumes that are masks",)


def test_frames_and_masks_in_turns_are_a_cine(tmp_path: Path) -> None:
    for index in range(12):
        write_picture(tmp_path / "clip" / f"{index:02d}_a_mask.png", is_mask=True)
        write_picture(tmp_path / "clip" / f"{index:02d}_b.png")
    assert found(tmp_path) == {"clip": []}


def test_cases_come_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 9, 100):
        write_video(tmp_path / f"clip{number}.avi")
    assert [case.source.stem for case in scan_folder(tmp_path).cases] == ["clip9", "clip10", "clip100"]


def test_a_folder_without_a_cine_and_one_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match="holds no cine"):
        scan_folder(tmp_path)
    with pytest.raises(BatchError, match="cannot be read") as refused:
        scan_folder(tmp_path / "Doe")
    assert "Doe" not in str(refused.value)
    with pytest.raises(BatchError, match="no such folder or manifest; name a folder of cines") as refused:
        find_cases(tmp_path / "Doe", tmp_path / "out")
    assert "Doe" not in str(refused.value)


@pytest.mark.parametrize(
    ("count", "seconds", "is_series"), [(2, 40, False), (3, 5, False), (6, 60, False), (6, 1, True)]
)
def test_images_of_a_folder_that_were_taken_far_apart_are_stills(
    tmp_path: Path, count: int, seconds: int, is_series: bool
) -> None:
    write_multiframe(tmp_path / "IM1", speckle(3, 48, 64))
    for index, frame in enumerate(speckle(count, 48, 64)):
        time = f"12{index * seconds // 60:02d}{index * seconds % 60:02d}"
        write_series(tmp_path / f"part{index}", frame[None], InstanceNumber=index + 1, ContentTime=time)
        (tmp_path / "stills").mkdir(exist_ok=True)
        (tmp_path / f"part{index}" / "0000.dcm").rename(tmp_path / "stills" / f"{index}.dcm")
    scanned = scan_folder(tmp_path)
    assert [case.source.name for case in scanned.cases] == (["IM1", "stills"] if is_series else ["IM1"])
    assert scanned.notes == (() if is_series else (f"{count} still images beside cines (DICOM, one frame)",))


def test_a_dicom_seg_in_a_byte_order_that_it_does_not_name_finds_its_cine(tmp_path: Path) -> None:
    source = write_multiframe(tmp_path / "IM1", speckle(3, 48, 64))
    cine = read_cine(source)
    masks = np.ones((3, 1, 48, 64), bool)
    write_segmentation(tmp_path / "seg.dcm", DicomSource.from_cine(cine), [describe(cine, 1)], masks)
    content = (tmp_path / "seg.dcm").read_bytes()
    (tmp_path / "seg.dcm").write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0", 1))
    assert found(tmp_path) == {"IM1": [("seg.dcm", 0)]}


def write_disc(folder: Path, cines: int = 2) -> None:
    """Write a CD of cines with a DICOMDIR, and a viewer with pictures."""
    disc = FileSet()
    for number in range(cines):
        path = write_multiframe(folder.parent / "made" / f"{number}.dcm", speckle(3, 48, 64))
        disc.add(path)
    disc.write(folder)
    for number in range(3):
        write_picture(folder / "VIEWER" / f"ICON{number}.PNG")


@pytest.mark.parametrize("chosen", ["", "DICOMDIR"])
def test_the_cases_of_a_cd_are_its_cines_and_no_picture_of_its_viewer(tmp_path: Path, chosen: str) -> None:
    write_disc(tmp_path / "disc")
    cases, notes = find_cases(tmp_path / "disc" / chosen, tmp_path / "out")
    assert sorted(case.source.name for case in cases) == ["IM000000", "IM000001"]
    assert notes == ("3 pictures of a CD that are no DICOM",)


def test_images_that_a_dicomdir_lists_in_vain_are_counted(tmp_path: Path) -> None:
    write_disc(tmp_path / "disc", 3)
    images = sorted((tmp_path / "disc").rglob("IM0*"))
    images[0].unlink()
    assert scan_folder(tmp_path / "disc").notes == (
        "3 pictures of a CD that are no DICOM",
        "1 image that a DICOMDIR lists and that is not there",
    )
    for image in images[1:]:
        image.unlink()
    shutil.rmtree(tmp_path / "disc" / "VIEWER")
    with pytest.raises(BatchError, match="a DICOMDIR but none of the images that it lists; copy all of the CD"):
        scan_folder(tmp_path / "disc")


def test_a_case_of_a_dicomdir_is_another_when_its_image_changes(tmp_path: Path) -> None:
    write_disc(tmp_path / "disc", 1)
    before = [content_digest(tmp_path / "disc" / name) for name in ("", "DICOMDIR")]
    (image,) = (tmp_path / "disc").rglob("IM0*")
    image.write_bytes(image.read_bytes()[:-1] + b"\1")
    after = [content_digest(tmp_path / "disc" / name) for name in ("", "DICOMDIR")]
    assert all(one != other for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("is_composed", [True, False])
def test_a_seed_whose_accents_are_written_in_the_other_way_belongs_to_its_cine(
    tmp_path: Path, is_composed: bool
) -> None:
    """macOS writes an accent as a character of its own."""
    names = [unicodedata.normalize("NFC", "Jos\u00e9"), unicodedata.normalize("NFD", "Jos\u00e9")]
    of_cine, of_seed = names if is_composed else names[::-1]
    write_video(tmp_path / f"{of_cine}.avi")
    write_picture(tmp_path / f"{of_seed}.seed.2.png", is_mask=True)
    assert found(tmp_path) == {f"{of_cine}.avi": [(f"{of_seed}.seed.2.png", 2)]}
    (tmp_path / "cases.csv").write_text(f"source,seed,frame\n{of_seed}.avi,{of_cine}.seed.2.png,2\n", encoding="utf-8")
    (case,), _ = find_cases(tmp_path / "cases.csv", tmp_path / "out")
    assert case.source.exists()
    assert case.seeds[0].path.exists()
