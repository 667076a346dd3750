"""Names beside the image are in no file where pictures are allowed, and the scene in memory stays as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import slicer
from engine_helpers import clip_of_moving_discs
from numpy.typing import NDArray
from PIL import Image
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.mrml.scene_file import load_scene
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.case import run_case
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest, SeedFileRequest
from UltrasoundLesionSegLib.writers.masks import write_davis


def named_frames(count: int = 6) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Frames of 156 x 188: a moving disc on speckle, with a name in the margin above; and the seed of frame 0."""
    cine, truth = clip_of_moving_discs(frames=count)
    random = np.random.default_rng(1)
    frames = np.zeros((count, 156, 188), np.uint8)
    seed = np.zeros((156, 188), bool)
    for index in range(count):
        speckle = random.integers(10, 90, cine.shape).astype(np.uint8)
        frames[index, 30:126, 30:158] = np.maximum(cine.frames[index], speckle)
        cv2.putText(frames[index], "DOE^JANE", (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
    seed[30:126, 30:158] = truth[0][0]
    return frames, seed


@pytest.fixture
def case(tmp_path: Path, logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork) -> Callable[..., Path]:
    frames, seed = named_frames()
    (tmp_path / "frames").mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{index}.png")
    (mask,) = write_davis(tmp_path / "seed", lambda _: seed[np.newaxis], 1)

    def run(name: str, **options: object) -> Path:
        out = tmp_path / name
        kinds = ("sheet", "video") if options.get("pixels_allowed") else ()
        request = CaseRequest(tmp_path / "frames", out, (SeedFileRequest(mask),), further_kinds=kinds, **options)  # type: ignore[arg-type]
        run_case(request)
        return out

    return run


def scene_frames(out: Path) -> list[NDArray[np.uint8]]:
    slicer.mrmlScene.Clear(0)
    (browser,) = load_scene(out / "scene.mrb")
    volume = UltrasoundLesionWorkflow().volumeNode(browser)
    shown = slicer.util.arrayFromVolume(volume)[0].copy()
    found = [*(frame.copy() for frame in UltrasoundLesionWorkflow().cine(browser)), shown]
    slicer.mrmlScene.Clear(0)
    return found


def has_name(frames: list[NDArray[np.uint8]]) -> bool:
    return any(frame[:22].max() > 128 for frame in frames)


def test_pictures_and_scene_are_black_outside_where_pictures_are_allowed(case: Callable[..., Path]) -> None:
    out = case("out", pixels_allowed=True)
    assert not has_name(scene_frames(out))
    video = cv2.VideoCapture(str(out / "overlay.mp4"))
    read, frame = video.read()
    assert read
    assert frame[:22].max() < 64
    record = json.loads((out / "run.json").read_text())
    assert "the area that moves over the cine" in record["blank_outside"]
    assert "the area that moves over the cine" in (out / "report.html").read_text()


def test_it_can_be_switched_off_and_on(case: Callable[..., Path]) -> None:
    whole = case("whole", pixels_allowed=True, blank_outside=False)
    assert has_name(scene_frames(whole))
    assert json.loads((whole / "run.json").read_text())["blank_outside"] is None
    assert has_name(scene_frames(case("working document")))  # without pictures, the scene is whole
    assert not has_name(scene_frames(case("blank", blank_outside=True)))


def test_the_scene_in_memory_stays_as_it_was(logic: UltrasoundLesionWorkflow, tmp_path: Path) -> None:
    frames, seed = named_frames()
    browser = logic.loadCine(frames)
    logic.setSeed(browser, seed, frame=0)
    logic.export(browser, tmp_path, ("scene", "sheet"), pixels_allowed=True)
    for index, frame in enumerate(logic.cine(browser)):
        np.testing.assert_array_equal(frame, frames[index])
    shown = slicer.util.arrayFromVolume(logic.volumeNode(browser))[0]
    np.testing.assert_array_equal(shown, frames[browser.GetSelectedItemNumber()])
    assert not has_name(scene_frames(tmp_path))


def test_a_models_mask_on_a_name_uncovers_nothing_and_a_persons_does(
    logic: UltrasoundLesionWorkflow, tmp_path: Path
) -> None:
    frames, seed = named_frames()
    browser = logic.loadCine(frames)
    segment = logic.setSeed(browser, seed, frame=0)[0]
    on_name = np.zeros_like(seed)
    on_name[2:20, 2:90] = True
    sequence = logic._sequence(browser)
    sequence.write(3, {segment: on_name}, {segment: Origin.MODEL})
    assert not (logic.imageArea(browser).mask & on_name).any()
    logic.export(browser, tmp_path, ("scene", "sheet"), pixels_allowed=True)
    assert not has_name(scene_frames(tmp_path))
    browser = logic.loadCine(frames)
    segment = logic.setSeed(browser, seed, frame=0)[0]
    logic._sequence(browser).write(3, {segment: on_name}, {segment: Origin.MANUAL})
    assert (logic.imageArea(browser).mask & on_name).sum() == on_name.sum()
