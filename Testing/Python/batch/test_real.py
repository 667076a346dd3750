"""A batch with nothing stood in for: the command line, worker processes, shipped weights, a patient in the DICOM."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_helpers import write_multiframe
from engine_helpers import clip_of_moving_discs, dice
from PIL import Image

SECRETS = (b"Doe", b"P-4711", b"Jane")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path, np.ndarray]:
    """``batch`` over a DICOM cine with a sidecar seed, one with none, and one that is cut off; with its truth."""
    folder = tmp_path_factory.mktemp("batch")
    cine, truth = clip_of_moving_discs(frames=4)
    frames = np.stack([cine.frames[index] for index in range(4)])
    write_multiframe(folder / "cines" / "Doe_Jane_1.dcm", frames)
    write_multiframe(folder / "cines" / "Doe_Jane_2.dcm", frames)
    content = (folder / "cines" / "Doe_Jane_1.dcm").read_bytes()
    (folder / "cines" / "Doe_Jane_3.dcm").write_bytes(content[:2000])
    for number in (1, 3):
        Image.fromarray(truth[1][0]).save(folder / "cines" / f"Doe_Jane_{number}.seed.1.png")
    command = [sys.executable, "-c", "from UltrasoundLesionSegLib.cli.main import main; main()", "batch"]
    command += [str(folder / "cines"), "--output", str(folder / "out"), "--device", "cpu", "--processes", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done, folder / "out", truth


def test_it_exits_with_1_and_names_what_failed(ran: tuple[subprocess.CompletedProcess[str], Path, np.ndarray]) -> None:
    done, out, _ = ran
    assert done.returncode == 1, done.stderr
    assert "1 case computed, 0 were finished before, 2 failed" in done.stdout
    assert "error: case-0002: no seed was found" in done.stderr
    assert "error: case-0003: the DICOM object is cut off" in done.stderr
    failed = list(csv.DictReader((out / "key" / "failed.csv").open()))
    assert [row["case"] for row in failed] == ["case-0002", "case-0003"]


def test_a_case_is_what_segment_writes(ran: tuple[subprocess.CompletedProcess[str], Path, np.ndarray]) -> None:
    _, out, truth = ran
    case = out / "cases" / "case-0001"
    masks = [np.asarray(Image.open(case / "masks" / f"{frame:05d}.png")) == 1 for frame in range(4)]
    assert min(dice(mask, truth[frame][0]) for frame, mask in enumerate(masks)) > 0.8
    assert pydicom.dcmread(case / "segmentation.dcm").Modality == "SEG"
    record = json.loads((case / "run.json").read_text())
    files = {path.relative_to(case).as_posix() for path in case.rglob("*") if path.is_file()}
    assert files == {*record["outputs"], "run.json"}
    assert {"lesions.csv", "measurements.csv", "report.html", "run.log"} <= files
    assert "scene.mrb" not in files  # it holds all images: written with --also scene alone
    assert not any(one["holds_images"] for one in record["outputs"].values())


def test_no_identifier_stands_anywhere_but_in_the_key_and_the_seg(
    ran: tuple[subprocess.CompletedProcess[str], Path, np.ndarray],
) -> None:
    done, out, _ = ran
    assert not any(secret.decode() in done.stdout + done.stderr for secret in SECRETS)
    for path in out.rglob("*"):
        assert not any(secret.decode() in path.name for secret in SECRETS)
        # a SEG must name the patient of its images
        if path.is_file() and path.parent.name != "key" and path.suffix != ".dcm":
            assert not any(secret in path.read_bytes() for secret in SECRETS), path.name


def test_the_log_tells_each_event_with_case_and_frame(
    ran: tuple[subprocess.CompletedProcess[str], Path, np.ndarray],
) -> None:
    _, out, _ = ran
    (log,) = (out / "logs").iterdir()
    text = log.read_text()
    assert "INFO case-0001 read 4 frames of 96 x 128 pixels (dicom-multiframe)" in text
    assert "INFO case-0001 frame 1 seeded" in text
    assert "3 frames computed by stpfnet_light on cpu" in text
    assert "ERROR case-0002 no seed was found" in text
    assert "frame 1 seeded" in (out / "cases" / "case-0001" / "run.log").read_text()
