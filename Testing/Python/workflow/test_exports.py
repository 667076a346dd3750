"""Every kind of export, read back; and nothing of the patient where it should not be."""

from __future__ import annotations

import csv
import json
import logging
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
import slicer
from PIL import Image
from stand_in_networks import BrightNetwork, HoldNetwork, PointedNetwork

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.errors import LesionSegError, OutputError
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.readers.seed_masks import read_seed_file
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.write import write_simulation
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.case import run_case
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest, ClickRequest, SeedFileRequest
from UltrasoundLesionSegLib.workflow.export_folder import results_in
from UltrasoundLesionSegLib.workflow.exports import KINDS

FRAMES = 5
MARKS = {
    "PatientName": "Quenby^Ottoline",
    "PatientID": "ID-4711-ZX",
    "PatientBirthDate": "19480229",
    "PatientComments": "COMMENTMARK",
    "AdditionalPatientHistory": "HISTORYMARK",
    "InstitutionName": "INSTITUTIONMARK",
    "InstitutionAddress": "ADDRESSMARK",
    "StationName": "STATIONMARK",
    "OperatorsName": "Operator^Mark",
    "ReferringPhysicianName": "Referrer^Mark",
    "DeviceSerialNumber": "SERIALMARK",
    "StudyDescription": "STUDYMARK",
    "SeriesDescription": "SERIESMARK",
    "AccessionNumber": "ACCESSIONMARK",
}
# a SEG and an SR join the study of their source: these attributes are the same by the standard
SHARED_IN_DICOM = {"PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "ReferringPhysicianName"}
PATHMARK = "Quenby-Ottoline-PATHMARK"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated DICOM cine whose header and path are full of marks, with its truth beside it."""
    folder = tmp_path_factory.mktemp("source") / PATHMARK
    settings = SimulationSettings(seed=3, frames=FRAMES, height=96, width=120)
    write_simulation(simulate_cine(settings), folder, "dicom")
    dataset = pydicom.dcmread(folder / "cine.dcm")
    for keyword, value in MARKS.items():
        setattr(dataset, keyword, value)
    dataset.save_as(folder / f"{PATHMARK}.dcm")
    return folder


def run_all(source: Path, output: Path) -> dict[str, Any]:
    """Do the case with every kind of export."""
    slicer.mrmlScene.Clear(0)
    seed = SeedFileRequest(source / "truth" / "00002.png", 2)
    request = CaseRequest(source / f"{PATHMARK}.dcm", output, (seed,), further_kinds=tuple(KINDS), pixels_allowed=True)
    return run_case(request).record


@pytest.fixture(scope="module")
def exported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("exported")
    UltrasoundLesionWorkflow()
    with pytest.MonkeyPatch.context() as patch:
        from UltrasoundLesionSegLib.engine.bundles import Bundle

        # the simulated lesion is dark: what calls bright pixels lesion would lose it
        network = HoldNetwork()
        described = Bundle(
            "hold",
            "Hold",
            "stand-in",
            "propagate",
            64,
            "1",
            "0" * 64,
            Path(),
            {"_target_": "stand-in"},
            {"input_size": 64},
        )
        patch.setattr("UltrasoundLesionSegLib.engine.bundles.default_bundle", lambda role: described)
        patch.setattr(Bundle, "load_network", lambda self, device: network)
        record = run_all(source, output)
    assert set(record["outputs"]) >= {"report.html", "overlay.mp4", "segmentation.seq.mrb"}
    slicer.mrmlScene.Clear(0)
    return output


@pytest.fixture(scope="module")
def masks(exported: Path) -> np.ndarray:
    """The masks as the PNG files say, bool (T, H, W); every other format must say the same."""
    found = np.stack([np.asarray(Image.open(exported / "masks" / f"{i:05d}.png")) == 1 for i in range(FRAMES)])
    assert found.any(axis=(1, 2)).all()
    return found


def test_every_file_of_an_export_counts_as_a_result_of_its_folder(exported: Path) -> None:
    names = {path.name for path in exported.iterdir()} - {"run.json", "run.log"}
    assert names == {name for kind in KINDS.values() for name in kind.names} == set(results_in(exported))


def test_dicom_seg_and_sr_say_what_the_pngs_say(exported: Path, masks: np.ndarray) -> None:
    read = highdicom.seg.segread(exported / "segmentation.dcm")
    numbers = [
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        for group in read.PerFrameFunctionalGroupsSequence
    ]
    planes = read.pixel_array.reshape(-1, *masks.shape[1:])
    assert [n - 1 for n in numbers] == [i for i in range(FRAMES) if masks[i].any()]
    for number, plane in zip(numbers, planes, strict=True):
        assert np.array_equal(plane > 0, masks[number - 1])
    for name in ("measurements.dcm", "measurements_3d.dcm"):
        assert read.SOPInstanceUID in str(highdicom.sr.srread(exported / name))
    assert read.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"


def test_the_dicom_seg_names_the_model_that_drew_from_clicks(
    source: Path, pointed_model: PointedNetwork, tmp_path: Path
) -> None:
    UltrasoundLesionWorkflow()
    slicer.mrmlScene.Clear(0)
    request = CaseRequest(source / f"{PATHMARK}.dcm", tmp_path / "out", clicks=(ClickRequest(48, 60, 2),))
    record = run_case(request).record
    segment = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm").SegmentSequence[0]
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert algorithm.AlgorithmName == record["model"]["name"]
    assert algorithm.AlgorithmParameters == "seed_model={name} {version}".format(**record["suggested_by"][0])
    assert segment.SegmentAlgorithmType == "SEMIAUTOMATIC"
    slicer.mrmlScene.Clear(0)


def test_nifti_and_coco_say_what_the_pngs_say(exported: Path, masks: np.ndarray) -> None:
    volume = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(exported / "masks.nii.gz")))
    assert np.array_equal(volume == 1, masks)
    coco = json.loads((exported / "masks.json").read_text())
    areas = {one["image_id"] - 1: one["area"] for one in coco["annotations"]}
    assert areas == {i: int(masks[i].sum()) for i in range(FRAMES) if masks[i].any()}


def test_segmentations_of_slicer_say_what_the_pngs_say(exported: Path, masks: np.ndarray) -> None:
    for frame in range(FRAMES):
        if masks[frame].any():
            (labels,) = read_seed_file(exported / "segmentation" / f"{frame:05d}.seg.nrrd").masks.values()
            assert np.array_equal(labels > 0, masks[frame])
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceStorageNode")
    storage.SetFileName(str(exported / "segmentation.seq.mrb"))
    sequence = slicer.vtkMRMLSequenceNode()
    slicer.mrmlScene.AddNode(sequence)
    assert storage.ReadData(sequence)
    assert sequence.GetNumberOfDataNodes() == FRAMES
    slicer.mrmlScene.Clear(0)


def test_a_dicom_seg_comes_back_as_results_with_who_made_them(
    source: Path, exported: Path, masks: np.ndarray, logic: UltrasoundLesionWorkflow
) -> None:
    browser = logic.loadCine(source / f"{PATHMARK}.dcm")
    (segment,) = logic.importSegmentation(browser, exported / "segmentation.dcm")
    sequence = SegmentationSequence.find(browser)
    assert sequence is not None
    assert [sequence.segments()[0].name] == ["Lesion"]
    for frame in range(FRAMES):
        assert np.array_equal(sequence.read(frame, segment), masks[frame])
        if masks[frame].any():
            assert sequence.origin(frame, segment) is (Origin.MANUAL if frame == 2 else Origin.MODEL)
    assert logic.anchors(browser) == {segment: [2]}


def test_tables_agree_with_the_masks(exported: Path, masks: np.ndarray) -> None:
    rows = list(csv.DictReader((exported / "measurements.csv").open()))
    pixel = float(rows[2]["pixel_row_mm"]) * float(rows[2]["pixel_column_mm"])
    assert [float(row["area_mm2"]) for row in rows] == pytest.approx([mask.sum() * pixel for mask in masks])


def test_pictures_are_refused_until_they_are_allowed(
    source: Path, tmp_path: Path, logic: UltrasoundLesionWorkflow
) -> None:
    browser = logic.loadCine(source / f"{PATHMARK}.dcm")
    logic.setSeed(browser, source / "truth" / "00002.png", frame=2)
    for kind in ("sheet", "video"):
        with pytest.raises(OutputError, match="burned"):
            logic.export(browser, tmp_path, (kind,))
    (report,) = logic.export(browser, tmp_path, ("report",))
    assert "data:image" not in report.read_text()
    with pytest.raises(OutputError, match="'hologram' is unknown"):
        logic.export(browser, tmp_path, ("hologram",))


def contents(path: Path) -> bytes:
    """Return what is in a file, archives opened up, nested ones too."""
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    found = b""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            found += name.encode() + content
            if name.endswith(".mrb"):
                inner = path.parent / f".{path.name}.inner"
                inner.write_bytes(content)
                found += contents(inner)
                inner.unlink()
    return found


def test_nothing_of_the_patient_is_in_any_output(exported: Path) -> None:
    files = [path for path in exported.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        content = contents(path).lower() + path.name.lower().encode()
        allowed = SHARED_IN_DICOM if path.suffix == ".dcm" else set()
        for keyword, mark in {**MARKS, "path": PATHMARK}.items():
            if keyword not in allowed:
                for spelling in {mark, mark.replace("^", " "), mark.split("^")[0]}:
                    assert spelling.lower().encode() not in content, (path.name, keyword)


def test_nothing_of_the_patient_is_said_or_logged(
    source: Path,
    tmp_path: Path,
    logic: UltrasoundLesionWorkflow,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    bright_model: BrightNetwork,
) -> None:
    caplog.set_level(logging.DEBUG)
    run_all(source, tmp_path / PATHMARK)
    said = []
    broken = tmp_path / f"{PATHMARK}.dcm"
    broken.write_bytes((source / f"{PATHMARK}.dcm").read_bytes()[:3000])
    other = tmp_path / f"{PATHMARK}.png"
    Image.fromarray(np.ones((4, 4), bool)).save(other)
    for request in (
        CaseRequest(broken, tmp_path / "a", (SeedFileRequest(other),)),
        CaseRequest(source / f"{PATHMARK}.dcm", tmp_path / "b", (SeedFileRequest(other),)),
        CaseRequest(source / f"{PATHMARK}.dcm", tmp_path / "c", (SeedFileRequest(broken),)),
        CaseRequest(source / f"{PATHMARK}.dcm", other, (SeedFileRequest(other),)),
        CaseRequest(tmp_path / PATHMARK / "nowhere", tmp_path / "d", (SeedFileRequest(other),)),
    ):
        with pytest.raises(LesionSegError) as refused:
            run_case(request)
        said.append(str(refused.value))
    out, err = capfd.readouterr()
    everything = "\n".join([out, err, *said, *(record.getMessage() for record in caplog.records)]).lower()
    for mark in [*MARKS.values(), PATHMARK]:
        for spelling in {mark, mark.replace("^", " "), mark.split("^")[0]}:
            assert spelling.lower() not in everything


def test_a_case_that_no_person_touched_says_so_in_every_format(
    source: Path, tmp_path: Path, logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork
) -> None:
    browser = logic.loadCine(source / f"{PATHMARK}.dcm")
    truth = np.asarray(Image.open(source / "truth" / "00002.png")) > 0
    logic.setSeed(browser, truth, frame=2, origin=Origin.SUGGESTED)
    logic.propagate(browser)
    logic.export(browser, tmp_path, tuple(KINDS), pixels_allowed=True)
    read = pydicom.dcmread(tmp_path / "segmentation.dcm")
    assert read.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    assert "seen by nobody" in (tmp_path / "report.html").read_text()
    rows = list(csv.DictReader((tmp_path / "measurements.csv").open()))
    assert rows[2]["origin"] == "suggested"
    assert rows[2]["anchor"] == "false"


def test_writing_needs_no_library_for_networks(tmp_path: Path) -> None:
    write_simulation(simulate_cine(SimulationSettings(frames=2, height=64, width=64)), tmp_path / "cine", "dicom")
    code = """
import sys
from pathlib import Path
import numpy as np
sys.modules["torch"] = sys.modules["monai"] = None  # importing them fails; in Slicer it takes many seconds
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
logic = UltrasoundLesionWorkflow()
browser = logic.loadCine(Path(sys.argv[1]))
logic.setSeed(browser, np.pad(np.ones((20, 20), bool), 22), 0)
print(*(path.name for path in logic.export(browser, sys.argv[2], ("seg", "sr", "csv"))))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "cine" / "cine.dcm"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "measurements.dcm" in done.stdout
