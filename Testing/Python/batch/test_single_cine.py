"""Single-frame objects beside multi-frame ones: a cine that was stored one file a frame is told from stills."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from dicom_helpers import write_multiframe, write_series
from pydicom import dcmread

from UltrasoundLesionSegLib.batch.scan import scan_folder
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.open import read_cine

OTHER_CINE = "IM9"
PERHAPS = "6 single images that may be the frames of one cine (DICOM): to have them read as one, put them into a folder"
STILLS = "6 still images beside cines (DICOM, one frame)"


def tissue(seed: int) -> np.ndarray:
    """Coarse speckle, (H, W) uint8."""
    noise = np.random.default_rng(seed).normal(size=(64, 90))
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.clip(128 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def in_one_screen(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures as a scanner shows them, (T, 96, 128) uint8: the same black and the same bright bar around each."""
    screen = np.zeros((len(pictures), 96, 128), np.uint8)
    screen[:, :10] = 255
    for index, picture in enumerate(pictures):
        screen[index, 20:84, 30:110] = picture[:, :80]
    return screen


CINE = in_one_screen([tissue(0)[:, shift:] for shift in range(6)])
VIEWS = in_one_screen([tissue(seed) for seed in range(6)])
FROZEN = np.repeat(CINE[:1], 6, axis=0)
for step in range(6):  # the callipers of one measurement after the other
    FROZEN[step, 40 + 2 * step, 40 : 50 + step] = 255


def write_study(folder: Path, singles: np.ndarray, seconds: float | None, **attributes: object) -> Path:
    """A multi-frame cine, and single images of one series that were taken ``seconds`` apart (None: at one time)."""
    write_multiframe(folder / OTHER_CINE, VIEWS, SeriesInstanceUID="2.25.7")
    for index, frame in enumerate(singles):
        at = 10 + index * (seconds or 0)
        time = f"12{int(at // 60):02d}{at % 60:09.6f}"
        told = {"InstanceNumber": index + 1, "AcquisitionTime": time, "ContentTime": "120000"} | attributes
        write_series(folder / "made", frame[None], **told)
        (folder / "made" / "0000.dcm").rename(folder / f"IM1{index}")
    (folder / "made").rmdir()
    return folder


def names(folder: Path) -> list[str]:
    return [case.source.name for case in scan_folder(folder).cases]


@pytest.mark.parametrize("seconds", [0.04, 0.3, 1.0, None])
def test_the_frames_of_a_cine_beside_another_one_are_a_case(tmp_path: Path, seconds: float | None) -> None:
    study = write_study(tmp_path / "study", CINE, seconds)
    assert names(study) == ["study", OTHER_CINE]
    assert scan_folder(study).notes == ()
    cine = read_cine(study)
    np.testing.assert_array_equal(np.stack(list(cine)), CINE)
    assert cine.notes[:2] == (
        "1 other DICOM object of the folder is left out.",
        "The 6 single images are read as one cine: they are of one series, and neighbours are alike.",
    )


@pytest.mark.parametrize(
    ("singles", "seconds", "note"),
    [
        (VIEWS, 20, STILLS),
        (CINE, 2, STILLS),  # one view, stored again and again by a person
        (VIEWS, None, PERHAPS),
        (VIEWS, 0.1, PERHAPS),  # the times of the export
        (FROZEN, None, PERHAPS),
    ],
)
def test_stills_of_one_series_stay_stills_and_doubtful_ones_are_named(
    tmp_path: Path, singles: np.ndarray, seconds: float | None, note: str
) -> None:
    study = write_study(tmp_path / "study", singles, seconds)
    scanned = scan_folder(study)
    assert [case.source.name for case in scanned.cases] == [OTHER_CINE]
    assert [one for one in scanned.notes if one.startswith(note)] == list(scanned.notes)
    advice = "into a folder of their own" if note is PERHAPS else "choose one file$"
    with pytest.raises(SourceError, match=advice):
        read_cine(study)


def test_frames_of_a_cine_and_stills_in_one_series_are_doubtful(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", CINE, 0.04)
    write_series(tmp_path / "still", VIEWS[5:], AcquisitionTime="130000", InstanceNumber=7)
    (tmp_path / "still" / "0000.dcm").rename(study / "IM20")
    scanned = scan_folder(study)
    assert [case.source.name for case in scanned.cases] == [OTHER_CINE]
    assert scanned.notes[0].startswith("7 single images that may be the frames of one cine")


def test_stills_of_another_series_do_not_hide_a_cine(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", CINE, 0.04)
    write_series(tmp_path / "still", VIEWS[:5], SeriesInstanceUID="2.25.8")
    for path in (tmp_path / "still").iterdir():
        path.rename(study / f"S{path.name}")
    assert names(study) == ["study", OTHER_CINE]
    assert len(read_cine(study)) == 6


def test_two_such_cines_in_one_folder_are_named_as_doubtful(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", CINE, 0.04)
    write_series(tmp_path / "second", CINE, SeriesInstanceUID="2.25.8")
    for path in (tmp_path / "second").iterdir():
        path.rename(study / f"S{path.name}")
    assert names(study) == [OTHER_CINE]
    assert scan_folder(study).notes[0].startswith("12 single images that may be the frames of one cine")


def test_single_images_that_a_seed_is_for_stay_images(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", CINE, 0.04)
    (study / "IM12.seed.png").touch()
    assert names(study) == [OTHER_CINE, "IM12"]


def test_a_damaged_frame_leaves_a_cine_a_cine(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", CINE, 0.04)
    (study / "IM13").write_bytes((study / "IM13").read_bytes()[:-6000])
    assert names(study) == ["study", OTHER_CINE]
    assert len(read_cine(study)) == 6


def test_images_that_an_anonymiser_gave_a_series_each_are_doubtful(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", CINE, 0.04)
    for number, path in enumerate(study.glob("IM1*")):
        data = dcmread(path)
        data.SeriesInstanceUID = f"2.25.20{number}"
        data.save_as(path)
    assert names(study) == [OTHER_CINE]
    assert scan_folder(study).notes[0].startswith(PERHAPS)
