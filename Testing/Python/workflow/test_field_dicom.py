"""What a defective or unusual DICOM header makes of measurements and outputs, on the inputs from the field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.errors import OutputError, SeedError
from UltrasoundLesionSegLib.measurement.shape import Orientation
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.case import run_case
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest, SeedFileRequest


@pytest.fixture
def field(shared_data: Path) -> Path:
    folder = shared_data / "field"
    if not folder.is_dir():
        pytest.skip("the inputs from the field are not here")
    return folder


def measured(logic: UltrasoundLesionWorkflow, source: Path, seed: Path, frame: int = 2):
    browser = logic.loadCine(source)
    logic.setSeed(browser, seed, frame)
    found = logic.measure(browser).segments[0]
    return found, found.measurements[found.frames.index(frame)]


def test_22_the_shape_of_a_pixel_counts_as_its_size_does(logic: UltrasoundLesionWorkflow, field: Path) -> None:
    folder = field / "22_pixel_shape_known_but_not_used"
    by_shape, shape = measured(logic, folder / "par43.dcm", folder / "par_seed.png")
    _, size = measured(logic, folder / "mm43.dcm", folder / "par_seed.png")
    assert shape.depth_width_ratio == pytest.approx(1.18, abs=0.005)
    assert shape.orientation is size.orientation is Orientation.NOT_PARALLEL
    assert not shape.is_calibrated
    assert size.is_calibrated
    assert shape.long_axis == pytest.approx(size.long_axis / 0.3)
    assert "1.333 times as high as wide" in by_shape.summary.note


def test_17_a_lesion_outside_the_region_is_in_pixels(logic: UltrasoundLesionWorkflow, field: Path) -> None:
    folder = field / "17_mm_outside_the_calibrated_region"
    lesion, one = measured(logic, folder / "m_mode_region.dcm", folder / "seedw.png")
    assert not one.is_calibrated
    assert not lesion.summary.is_calibrated
    assert "outside every calibrated region" in lesion.summary.note


@pytest.mark.parametrize("is_inside", [True, False])
def test_17_a_volume_of_masks_has_mm_only_inside_the_region(
    logic: UltrasoundLesionWorkflow, field: Path, tmp_path: Path, is_inside: bool
) -> None:
    browser = logic.loadCine(field / "17_mm_outside_the_calibrated_region" / "m_mode_region.dcm")
    mask = np.zeros((160, 320), np.uint8)
    mask[40:60, 30:60] = is_inside
    mask[40:60, 230:260] = not is_inside
    logic.setSeed(browser, mask, 2)
    (written,) = logic.export(browser, tmp_path, ("nifti",))
    assert SimpleITK.ReadImage(str(written)).GetSpacing()[:2] == pytest.approx((0.2, 0.2) if is_inside else (1, 1))


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
@pytest.mark.parametrize("how", ["empty", "missing", "text"])
def test_25_without_uids_everything_but_seg_and_sr_is_written(
    field: Path, tmp_path: Path, bright_model: BrightNetwork, keyword: str, how: str
) -> None:
    data = pydicom.dcmread(field / "00_base" / "base.dcm")
    if how == "empty":
        setattr(data, keyword, "")
    elif how == "text":
        with pydicom.config.disable_value_validation():
            setattr(data, keyword, "ANONYMIZED")
    else:
        delattr(data, keyword)
    data.save_as(tmp_path / "anonymised.dcm")
    seed = SeedFileRequest(field / "00_base" / "seed.png", 2)
    request = CaseRequest(tmp_path / "anonymised.dcm", tmp_path / "out", (seed,), further_kinds=("sr", "report"))
    record = run_case(request).record
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"masks", "measurements.csv", "lesions.csv", "report.html", "run.json"} <= written
    assert not written & {"segmentation.dcm", "measurements.dcm"}
    assert any(one.startswith("no DICOM SEG and SR could be written: ") for one in record["notices"])


def test_25_the_file_of_the_field(field: Path, tmp_path: Path, bright_model: BrightNetwork) -> None:
    seed = SeedFileRequest(field / "00_base" / "seed.png", 2)
    source = field / "25_uids_emptied_by_anonymiser" / "no_study_uid.dcm"
    record = run_case(CaseRequest(source, tmp_path / "out", (seed,))).record
    assert any("lacks the unique identifiers" in one for one in record["notices"])


def test_a_seed_that_does_not_fit_is_refused_with_the_notes_on_the_cine(
    field: Path, tmp_path: Path, bright_model: BrightNetwork
) -> None:
    data = pydicom.dcmread(field / "00_base" / "base.dcm")
    data.NumberOfFrames = 1
    data.save_as(tmp_path / "one.dcm")
    seed = SeedFileRequest(field / "00_base" / "seed.png", 2)
    with pytest.raises(SeedError, match=r"frames 0 to 0.*note on the cine: The header says 1 frame but 6 are stored"):
        run_case(CaseRequest(tmp_path / "one.dcm", tmp_path / "out", (seed,)))
    missing = SeedFileRequest(tmp_path / "none.png", 0)  # has nothing to do with what is odd about the cine
    with pytest.raises(SeedError, match=r"cannot be opened; name a mask that exists$"):
        run_case(CaseRequest(tmp_path / "one.dcm", tmp_path / "out", (missing,)))


def test_a_stack_of_more_pages_than_frames_is_refused_with_the_lesion_and_the_frame(
    logic: UltrasoundLesionWorkflow, field: Path
) -> None:
    browser = logic.loadCine(field / "24_rle_in_fragments" / "one_frame_two_fragments.dcm")
    with pytest.raises(SeedError, match="the seed of lesion 1 is on frame 1 but the cine has frames 0 to 0"):
        logic.setSeed(browser, field / "04_tiff_stack_as_seed" / "six_pages.tif")


def test_one_uid_in_all_files_of_a_series(field: Path, tmp_path: Path, bright_model: BrightNetwork) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    for path in (field / "15_series_across_midnight" / "series").iterdir():
        data = pydicom.dcmread(path)
        data.SOPInstanceUID = "1.2.3"
        data.save_as(folder / path.name)
    request = CaseRequest(folder, tmp_path / "out", (SeedFileRequest(field / "00_base" / "seed.png", 2),))
    record = run_case(request).record
    assert record["source"]["frames"] == 6
    assert any("lacks the unique identifiers" in one for one in record["notices"])


def test_22_the_shape_of_a_pixel_is_recorded(field: Path, tmp_path: Path, bright_model: BrightNetwork) -> None:
    folder = field / "22_pixel_shape_known_but_not_used"
    seed = SeedFileRequest(folder / "par_seed.png", 2)
    request = CaseRequest(folder / "par43.dcm", tmp_path / "out", (seed,), further_kinds=("report", "sr"))
    record = run_case(request).record
    assert record["source"]["pixel_aspect"] == pytest.approx(4 / 3)
    assert "1.333 times as high as wide" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "1.333 times as high as wide" in (tmp_path / "out" / "lesions.csv").read_text(encoding="utf-8")
    assert b"1.333 times as high as wide" in (tmp_path / "out" / "measurements.dcm").read_bytes()


@pytest.mark.parametrize("kind", ["seg", "sr", "sr3d"])
def test_a_case_of_many_gets_all_but_what_needs_dicom(
    field: Path, tmp_path: Path, bright_model: BrightNetwork, kind: str
) -> None:
    """A batch with some cines that are no DICOM; `segment`, which was asked for this one, refuses it."""
    seed = SeedFileRequest(field / "26_jpeg_masks" / "clip.seed.5.jpg", 5)
    request = CaseRequest(field / "26_jpeg_masks" / "clip.mp4", tmp_path / "out", (seed,), further_kinds=(kind, "coco"))
    with pytest.raises(OutputError, match=f"'{kind}' must refer to DICOM images"):
        run_case(request)
    record = run_case(replace(request, skips_dicom_kinds=True)).record
    assert {"masks.json", "measurements.csv"} <= record["outputs"].keys()
    assert not any(name.endswith(".dcm") for name in record["outputs"])
    (notice,) = [one for one in record["notices"] if "make-dicom" in one]
    assert notice.startswith(f"no DICOM {kind.upper()} could be written: '{kind}' must refer to DICOM images")
