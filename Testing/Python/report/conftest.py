"""A small case: two lesions, one of which leaves; drawn, corrected, computed frames; one frame that cannot be read."""

from pathlib import Path

import numpy as np
import pytest

from UltrasoundLesionSegLib.cine import Calibration, Cine, Origin, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.errors import FrameError
from UltrasoundLesionSegLib.measurement.frame import measure_frame
from UltrasoundLesionSegLib.measurement.lesion import summarize_lesion
from UltrasoundLesionSegLib.report.case import CaseReport, LesionReport, ModelRecord

FRAMES, HEIGHT, WIDTH, BROKEN = 14, 90, 121, 6
PLANTED = "Planted_Name"


class Reader:
    """Frames of even tissue with a dark lesion; one of them is broken."""

    def __len__(self):
        return FRAMES

    def __getitem__(self, index):
        if index == BROKEN:
            raise FrameError(index, "its data is damaged")
        return np.where(masks_of(index).any(axis=0), 50, 120).astype(np.uint8)


def masks_of(frame):
    stack = np.zeros((2, HEIGHT, WIDTH), bool)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    stack[0] = ((rows - 40) / 14) ** 2 + ((columns - 40 - frame) / 22) ** 2 <= 1
    stack[1] = (np.hypot(rows - 60, columns - 95) <= 9) & (frame < 8)
    return stack & (frame != BROKEN)


ORIGINS = {0: Origin.MANUAL, 1: Origin.CONFIRMED, 9: Origin.EDITED}


def make_case(calibration, timing, names=("Mass left", "<b>Cyst</b> & co"), origins=ORIGINS):
    identity = SourceIdentity(
        SourceKind.VIDEO, "3fa92c1b" * 8, sop_instance_uids=("1.2.999",), paths=(Path(f"/{PLANTED}/{PLANTED}.avi"),)
    )
    cine = Cine(Reader(), HEIGHT, WIDTH, False, identity, calibration, (), timing, ("The clip has a cut.",))
    lesions = []
    for index, name in enumerate(names):
        frames = [frame for frame in range(FRAMES) if frame != BROKEN]
        measurements = []
        for frame in frames:
            origin = origins.get(frame, Origin.MODEL)
            confidence = 0.3 + frame / 20 if origin is Origin.MODEL else float("nan")
            mask = masks_of(frame)[index]
            measurements.append(measure_frame(mask, cine.frames[frame], calibration, confidence, origin))
        summary = summarize_lesion(measurements, frames, timing)
        colour = ((255, 255, 0), (0, 0, 90))[index]
        lesions.append(LesionReport(name, colour, tuple(frames), tuple(measurements), summary))
    return CaseReport(
        cine,
        masks_of,
        tuple(lesions),
        ModelRecord("stpfnet_light", "1.2", "ab" * 32),
        {"ultrasound-lesion-seg": "0.1.0"},
        {"Device": "cpu"},
        {BROKEN: f"frame {BROKEN} cannot be read: its data is damaged"},
    )


@pytest.fixture(scope="session")
def case():
    """Calibrated, with timing."""
    timing = Timing(np.arange(FRAMES, dtype=np.float64) * 0.04, "FrameTime")
    return make_case(Calibration(0.12, 0.1, "SequenceOfUltrasoundRegions", "Measured twice."), timing)


@pytest.fixture(scope="session", params=[Origin.SIMULATED, Origin.SUGGESTED])
def unwatched_case(request):
    """A case whose only seed, on frame 3, was drawn by nobody."""
    return make_case(None, None, origins={3: request.param})


@pytest.fixture(scope="session")
def bare_case():
    """Neither calibration nor timing."""
    return make_case(None, None)
