"""A cine as AVI, DAVIS folder, NRRD sequence: what is read back is what was written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from UltrasoundLesionSegLib.cine import CalibratedRegion, Calibration, Cine, Frame, Timing
from UltrasoundLesionSegLib.errors import FrameError, OutputError
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.writers.frames import (
    ImageFormat,
    VideoCodec,
    write_avi,
    write_davis_folder,
    write_sequence_nrrd,
)


def simulated(color: bool = False, height: int = 61, width: int = 83, frames: int = 5) -> Cine:
    return simulate_cine(SimulationSettings(seed=2, frames=frames, height=height, width=width, color=color)).cine


class Broken:
    """A reader whose third frame cannot be read."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int, /) -> Frame:
        if index == 2:
            raise FrameError(index, "it is damaged")
        return np.zeros((16, 16), np.uint8)


def broken() -> Cine:
    good = Cine.from_array(np.zeros((5, 16, 16), np.uint8), timing=Timing(np.arange(5) / 10, "test"))
    return Cine(Broken(), 16, 16, False, good.identity, timing=good.timing)


def frames_of(cine: Cine) -> np.ndarray:
    return np.stack([cine.frames[index] for index in range(len(cine))])


@pytest.mark.parametrize("color", [False, True])
def test_mjpg_keeps_odd_sizes_rate_and_nearly_the_pixels(tmp_path: Path, color: bool) -> None:
    cine = simulated(color)
    back = read_cine(write_avi(cine, tmp_path / "cine.avi"))
    assert back.shape == (61, 83)
    assert back.timing is not None
    assert back.timing.frames_per_second == pytest.approx(20, rel=1e-3)
    original = frames_of(cine).astype(int)
    found = frames_of(back) if color == back.is_color else np.repeat(frames_of(back)[..., None], 3, axis=-1)
    assert np.abs(found - original).mean() < 4


@pytest.mark.parametrize("color", [False, True])
def test_ffv1_is_lossless(tmp_path: Path, color: bool) -> None:
    cine = simulated(color, 60, 84)
    back = read_cine(write_avi(cine, tmp_path / "cine.avi", VideoCodec.FFV1))
    np.testing.assert_array_equal(frames_of(back), frames_of(cine))


def test_ffv1_refuses_odd_sizes_rather_than_cutting_them(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="61 x 83"):
        write_avi(simulated(), tmp_path / "cine.avi", VideoCodec.FFV1)
    assert not list(tmp_path.iterdir())


def test_a_video_needs_a_rate(tmp_path: Path) -> None:
    untimed = Cine.from_array(np.zeros((3, 16, 16), np.uint8))
    with pytest.raises(OutputError, match="frame rate"):
        write_avi(untimed, tmp_path / "cine.avi")


@pytest.mark.parametrize("rate", [12.5, 30000 / 1001, 7.3])
@pytest.mark.parametrize("codec", list(VideoCodec))
def test_a_rate_need_not_be_whole(tmp_path: Path, rate: float, codec: VideoCodec) -> None:
    untimed = Cine.from_array(np.zeros((3, 16, 16), np.uint8))
    back = read_cine(write_avi(untimed, tmp_path / "cine.avi", codec, rate))
    assert back.timing is not None
    assert back.timing.frames_per_second == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize("color", [False, True])
def test_a_davis_folder_has_frames_and_annotations_by_number(tmp_path: Path, color: bool) -> None:
    cine = simulated(color)
    masks = np.zeros((5, 2, 61, 83), bool)
    masks[1, 1, 10:20, 30:50] = True
    folder = write_davis_folder(cine, tmp_path, "one", masks.__getitem__)
    assert folder == tmp_path / "JPEGImages" / "one"
    assert [path.name for path in sorted(folder.iterdir())] == [f"{index:05d}.png" for index in range(5)]
    np.testing.assert_array_equal(frames_of(read_cine(folder)), frames_of(cine))
    annotations = sorted((tmp_path / "Annotations" / "one").iterdir())
    assert len(annotations) == 5
    assert (cv2.imread(str(annotations[1]))[15, 40] == (0, 128, 0)).all()  # DAVIS' palette: label 2 is green


def test_jpeg_frames_are_close_and_masks_optional(tmp_path: Path) -> None:
    cine = simulated()
    folder = write_davis_folder(cine, tmp_path, "one", image_format=ImageFormat.JPEG)
    assert (folder / "00004.jpg").is_file()
    assert not (tmp_path / "Annotations").exists()
    assert np.abs(frames_of(read_cine(folder)).astype(int) - frames_of(cine)).mean() < 4


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("frames", [1, 5])
def test_a_nrrd_sequence_keeps_all(tmp_path: Path, color: bool, frames: int) -> None:
    cine = simulated(color, frames=frames)
    back = read_cine(write_sequence_nrrd(cine, tmp_path / "cine.seq.nrrd"))
    np.testing.assert_array_equal(frames_of(back), frames_of(cine))
    assert back.calibration is not None
    assert back.calibration.spacing == pytest.approx(cine.calibration.spacing, rel=1e-6)
    if frames > 1:
        assert back.timing is not None
        np.testing.assert_allclose(back.timing.seconds, cine.timing.seconds)


def test_irregular_times_and_different_spacings_survive_in_nrrd(tmp_path: Path) -> None:
    timing = Timing(np.array([0.0, 0.1, 0.35]), "test")
    cine = Cine.from_array(np.zeros((3, 16, 20), np.uint8), Calibration(0.2, 0.1, "test"), timing)
    back = read_cine(write_sequence_nrrd(cine, tmp_path / "cine.seq.nrrd"))
    assert back.calibration is not None
    assert back.calibration.spacing == (0.2, 0.1)
    assert back.timing is not None
    np.testing.assert_allclose(back.timing.seconds, timing.seconds)


def test_a_calibration_of_a_part_of_the_image_is_not_that_of_all(tmp_path: Path) -> None:
    size = Calibration(0.2, 0.2, "test")
    cine = replace(
        Cine.from_array(np.zeros((2, 16, 20), np.uint8), size), regions=(CalibratedRegion((0, 0, 15, 9), size),)
    )
    assert read_cine(write_sequence_nrrd(cine, tmp_path / "cine.seq.nrrd")).calibration is None


def test_unknown_calibration_stays_unknown_in_nrrd(tmp_path: Path) -> None:
    cine = Cine.from_array(np.zeros((3, 16, 16), np.uint8))
    back = read_cine(write_sequence_nrrd(cine, tmp_path / "cine.seq.nrrd"))
    assert back.calibration is None
    assert back.timing is None


@pytest.mark.parametrize("write", [write_avi, write_sequence_nrrd])
def test_a_frame_that_fails_leaves_the_old_file(tmp_path: Path, write: Callable[[Cine, Path], Path]) -> None:
    target = tmp_path / ("cine.avi" if write is write_avi else "cine.seq.nrrd")
    target.write_bytes(b"old")
    with pytest.raises(FrameError):
        write(broken(), target)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert target.read_bytes() == b"old"


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for write, name in ((write_avi, "cine.avi"), (write_sequence_nrrd, "cine.seq.nrrd")):
        with pytest.raises(OutputError):
            write(simulated(), tmp_path / "file" / name)
