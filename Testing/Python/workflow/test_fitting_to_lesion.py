"""A model fitted to the lesions drawn on a cine: kept unless a check speaks against it, never for another cine."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import slicer
import torch
from dicom_helpers import write_multiframe
from engine_helpers import clip_of_moving_discs
from pydicom import dcmread
from tiny_bundle import write_tiny_bundle

from UltrasoundLesionSegLib.engine.bundles import find_bundle
from UltrasoundLesionSegLib.errors import ModelError, SceneError, SeedError
from UltrasoundLesionSegLib.fitting import lesion_fit, way_back
from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip
from UltrasoundLesionSegLib.fitting.lesion_fit import FitSettings, between, fit_steps
from UltrasoundLesionSegLib.mrml.steps import run_to_end
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.case import run_case
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest, SeedFileRequest
from UltrasoundLesionSegLib.workflow.fitting_to_lesion import FittingToLesion

QUICK = FitSettings(steps=2, batch=1, learning_rate=3e-2, share=1.0)
FITTED = "tiny (fitted to this cine)"


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network of random weights that two large steps change; returns its bundle."""
    write_tiny_bundle(tmp_path / "models" / "tiny")
    monkeypatch.setenv("ULS_MODELS", str(tmp_path / "models"))
    cine, truth = clip_of_moving_discs(frames=8)
    clip = Clip(np.stack([cine.frames[frame] for frame in range(8)]), truth[:, 0])
    monkeypatch.setattr(lesion_fit, "other_clips", lambda: (clip,))
    monkeypatch.setattr(lesion_fit, "FitSettings", lambda: QUICK)
    return tmp_path / "models" / "tiny"


def seeded(logic: UltrasoundLesionWorkflow, frames: int = 6, also: tuple[int, ...] = ()) -> Any:
    cine, truth = clip_of_moving_discs(frames=frames)
    browser = logic.addCine(cine)
    for frame in (0, *also):
        logic.setSeed(browser, truth[frame, 0], frame)
    return browser


def masks(logic: UltrasoundLesionWorkflow, browser: Any) -> tuple[bytes, bytes]:
    """Return all masks and all expected overlaps."""
    sequence = logic._sequence(browser)
    (segment,) = sequence.segments()
    read = [sequence.read(frame, segment.id).tobytes() for frame in range(browser.GetNumberOfItems())]
    return b"".join(read), sequence.confidences(segment.id).tobytes()


def always(monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    monkeypatch.setattr(way_back, "LESS", 1.0 if kept else -1.1)
    monkeypatch.setattr(way_back, "LOST", 0.0)


def test_a_result_that_is_kept_stays_and_repeats(
    logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    always(monkeypatch, kept=True)
    one, other, plain = (seeded(logic, also=(3,)) for _ in range(3))
    stages: list[str] = []
    summary = logic.fitToLesion(one, "tiny", device="cpu", progress=lambda step: stages.append(step.stage))
    logic.propagate(plain, "tiny", device="cpu")
    assert list(dict.fromkeys(stages)) == [
        "Propagating without the fit",
        "Fitting to this lesion",
        "Propagating with the fit",
        "Checking the fit",
    ]
    assert summary.model == FITTED
    assert summary.fit is not None
    assert summary.fit.used
    assert summary.fit.anchors == [0, 3]
    assert summary.fit.expected_overlap["with"] != summary.fit.expected_overlap["without"]
    assert set(summary.fit.way_back) == {"with", "without"}
    assert summary.frames_computed == [1, 2, 4, 5]
    assert logic.isFitted(one, "tiny")
    assert masks(logic, one) != masks(logic, plain)
    assert logic.fitToLesion(other, "tiny", device="cpu").sha256 == summary.sha256
    assert masks(logic, other) == masks(logic, one)
    logic.undoPropagation(one)  # takes the fitted result back to the one without
    assert masks(logic, one) == masks(logic, plain)


def test_a_result_that_is_not_kept_leaves_the_one_without(
    logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    always(monkeypatch, kept=False)
    browser, plain = seeded(logic), seeded(logic)
    logic.propagate(plain, "tiny", device="cpu")
    summary = logic.fitToLesion(browser, "tiny", device="cpu")
    assert masks(logic, browser) == masks(logic, plain)
    assert summary.model == "tiny"
    assert summary.fit is not None
    assert not summary.fit.used
    (notice,) = summary.notices
    assert "was not used: followed back to the drawn frame" in notice
    assert f"(Dice {summary.fit.way_back['with']:.2f})" in notice
    assert not logic.isFitted(browser, "tiny")
    assert logic.propagate(browser, "tiny", device="cpu").frames_computed == []


def test_a_fit_that_loses_the_lesion_earlier_is_not_kept(
    logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, plain = seeded(logic), seeded(logic)
    logic.propagate(plain, "tiny", device="cpu")
    monkeypatch.setattr(way_back, "LOST", 1.1)  # whatever comes back
    counts = iter((5, 4))  # of frames that show the lesion, without the fit and with it
    monkeypatch.setattr(FittingToLesion, "_shown", lambda *_: next(counts))
    summary = logic.fitToLesion(browser, "tiny", device="cpu")
    assert summary.fit is not None
    assert not summary.fit.used
    (notice,) = summary.notices
    assert "was not used: its result shows the lesion on fewer frames (4) than the result without it (5)." in notice
    assert masks(logic, browser) == masks(logic, plain)


def test_frames_that_show_a_lesion_are_counted(logic: UltrasoundLesionWorkflow) -> None:
    browser = seeded(logic)
    logic.propagate(browser, "tiny", device="cpu")
    sequence, expected = logic._sequence(browser), logic.confidences(browser)
    (segment,) = expected
    with_mask = [frame for frame in range(1, 6) if sequence.read(frame, segment).any()]
    assert logic._shown(browser, expected) == len(with_mask) > 0


def test_a_fit_that_could_not_be_checked_is_kept_with_a_notice(
    logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, nothing = seeded(logic), np.zeros((96, 128), bool)
    monkeypatch.setattr(FittingToLesion, "_ends", lambda _self, _browser, ways: dict.fromkeys(ways, nothing))
    summary = logic.fitToLesion(browser, "tiny", device="cpu")
    assert summary.fit is not None
    assert (summary.fit.used, summary.fit.way_back) == (True, {})
    (notice,) = summary.notices
    assert "kept without a check: on frame 5, from which the lesion would be followed back" in notice


@pytest.mark.parametrize(
    ("stage", "propagated"),
    [
        ("Propagating without the fit", False),
        ("Fitting to this lesion", False),
        ("Propagating with the fit", False),
        ("Fitting to this lesion", True),
        ("Propagating with the fit", True),
        ("Checking the fit", True),
    ],
)
def test_cancelling_leaves_everything_as_it_was(
    logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch, stage: str, propagated: bool
) -> None:
    always(monkeypatch, kept=True)
    browser = seeded(logic)
    if propagated:
        logic.propagate(browser, "tiny", device="cpu")
    before, seen = masks(logic, browser), []
    with pytest.raises(SceneError, match="as it was"):
        logic.fitToLesion(
            browser, "tiny", device="cpu", progress=lambda s: seen.append(s.stage), cancelled=lambda: seen[-1] == stage
        )
    assert masks(logic, browser) == before
    assert logic.canUndoPropagation(browser) == propagated
    assert not logic.isFitted(browser, "tiny")
    if propagated:
        assert logic.propagate(browser, "tiny", device="cpu").frames_computed == []


def test_fitted_weights_hold_for_their_cine_until_what_they_were_fitted_to_changes(
    logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch, quick: Path
) -> None:
    always(monkeypatch, kept=True)
    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in quick.rglob("*") if path.is_file()}
    browser, other = seeded(logic), seeded(logic, frames=7)
    logic.fitToLesion(browser, "tiny", device="cpu")
    assert before == {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in before}
    assert logic.propagate(other, "tiny", device="cpu").model == "tiny"
    again = logic.propagate(browser, "tiny", device="cpu")
    assert (again.model, again.frames_computed) == (FITTED, [])
    assert logic.isFittedToAll(browser, "tiny")
    logic.confirmFrame(browser, 4)  # a correction does not cost what the fit has won
    assert logic.isFitted(browser, "tiny")
    assert not logic.isFittedToAll(browser, "tiny")
    corrected = logic.propagate(browser, "tiny", device="cpu")
    assert (corrected.model, corrected.frames_computed, corrected.notices) == (FITTED, [1, 2, 3, 5], [])
    assert corrected.fit is not None
    assert corrected.fit.anchors == [0]
    logic.setSeed(browser, clip_of_moving_discs(frames=6)[1][1, 0], 0)
    assert not logic.isFitted(browser, "tiny")
    plain = logic.propagate(browser, "tiny", device="cpu")
    assert plain.model == "tiny"
    assert any("fit again" in notice for notice in plain.notices)
    assert logic.propagate(browser, "tiny", device="cpu").notices == []
    logic.fitToLesion(browser, "tiny", device="cpu")
    logic.releaseAnchor(browser, 4)
    assert not logic.isFitted(browser, "tiny")
    logic.fitToLesion(browser, "tiny", device="cpu")
    assert logic.isFitted(browser, "tiny")
    logic.clearFit(browser)
    assert logic.propagate(browser, "tiny", device="cpu").model == "tiny"


def test_nothing_is_fitted_where_every_frame_is_drawn(logic: UltrasoundLesionWorkflow) -> None:
    browser = seeded(logic, frames=3, also=(1, 2))
    summary = logic.fitToLesion(browser, "tiny", device="cpu")
    assert summary.fit is None
    (notice,) = summary.notices
    assert notice.startswith("Nothing was computed")
    assert not logic.isFitted(browser, "tiny")


def test_a_lesion_too_small_to_fit_to_gives_the_result_without_a_fit(
    logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesion_fit, "FitSettings", lambda: replace(QUICK, other_share=0.0))
    cine, truth = clip_of_moving_discs(frames=5)
    speck = np.zeros_like(truth[0, 0])
    speck[20, 20] = True
    browsers = [logic.addCine(cine) for _ in range(2)]
    for browser in browsers:
        logic.setSeed(browser, speck, 0)
    summary = logic.fitToLesion(browsers[0], "tiny", device="cpu")
    logic.propagate(browsers[1], "tiny", device="cpu")
    assert masks(logic, browsers[0]) == masks(logic, browsers[1])
    assert summary.model == "tiny"
    assert summary.fit is not None
    assert not summary.fit.used
    assert len(summary.notices) == 2
    assert (
        "The model was not fitted to this lesion: the lesion drawn is too small to fit a model to." in summary.notices
    )
    assert any("is less than 6 pixels long" in notice for notice in summary.notices)
    assert not logic.isFitted(browsers[0], "tiny")
    assert logic.lastPropagation(browsers[0]) is summary


def test_weights_that_are_no_numbers_give_the_result_without_a_fit(
    logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ModelError("the steps led to weights of 'tiny' that are not numbers")

    monkeypatch.setattr(lesion_fit, "between", broken)
    browser = seeded(logic)
    summary = logic.fitToLesion(browser, "tiny", device="cpu")
    assert summary.model == "tiny"
    assert summary.fit is not None
    assert not summary.fit.used
    assert "weights of 'tiny' that are not numbers" in summary.notices[0]
    assert len(summary.frames_computed) == 5


def test_frames_outside_the_range_asked_for_are_not_checked(
    logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    always(monkeypatch, kept=True)
    browser = seeded(logic)
    logic.propagate(browser, "tiny", device="cpu")
    checked: list[int] = []

    def remember(step: Any) -> None:
        if step.stage == "Checking the fit":
            checked.append(step.frame)

    logic.fitToLesion(browser, "tiny", frames=(0, 3), device="cpu", progress=remember)
    assert set(checked) <= {0, 1}


@pytest.mark.parametrize(("low", "told"), [(5, 5), (3, 0)])
def test_a_fit_is_recommended_where_many_masks_are_poor(
    logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch, low: int, told: int
) -> None:
    values = np.full(11, 0.9, np.float32)
    values[1 : 1 + low] = 0.7
    values[0] = np.nan
    lesions = {"one": values, "another": np.full(11, 0.95, np.float32), "drawn": np.full(11, np.nan, np.float32)}
    monkeypatch.setattr(logic, "confidences", lambda browser: lesions)
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    assert logic.poorFrames(browser) == told


def test_nothing_is_fitted_where_the_model_or_the_images_have_gone(
    logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch, quick: Path
) -> None:
    always(monkeypatch, kept=True)
    browser, other = seeded(logic), seeded(logic)
    for one in (browser, other):
        logic.fitToLesion(one, "tiny", device="cpu")
        assert logic.isFittedToAll(one, "tiny")
    slicer.mrmlScene.RemoveNode(other.GetMasterSequenceNode())
    assert not logic.isFitted(other, "tiny")
    shutil.rmtree(quick)
    assert not logic.isFitted(browser, "tiny")
    assert not logic.isFittedToAll(browser, "tiny")


def test_records_name_the_fit(logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    always(monkeypatch, kept=True)
    cine, truth = clip_of_moving_discs(frames=6)
    browser = logic.loadCine(write_multiframe(tmp_path / "cine.dcm", np.stack(list(cine))))
    logic.setSeed(browser, truth[0, 0], 0)
    summary = logic.fitToLesion(browser, "tiny", device="cpu")
    logic.export(browser, tmp_path / "out", ["report", "seg"])
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert FITTED in page
    assert summary.sha256[:12] in page
    (segment,) = dcmread(tmp_path / "out" / "segmentation.dcm").SegmentSequence
    assert FITTED in segment.SegmentAlgorithmName


def test_a_case_of_the_shell_records_the_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    always(monkeypatch, kept=True)
    cine, truth = clip_of_moving_discs(frames=4)
    (tmp_path / "frames").mkdir()
    for frame in range(4):
        cv2.imwrite(str(tmp_path / "frames" / f"{frame}.png"), cine.frames[frame])
    cv2.imwrite(str(tmp_path / "seed.png"), truth[0, 0].astype(np.uint8) * 255)
    seeds = (SeedFileRequest(tmp_path / "seed.png", 0),)
    run_case(CaseRequest(tmp_path / "frames", tmp_path / "out", seeds, model="tiny", device="cpu", fit=True))
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert record["model"]["name"] == FITTED
    assert record["fit"]["used"] is True
    assert record["fit"]["model_sha256"] != record["model"]["sha256"]
    assert (record["fit"]["anchors"], record["fit"]["steps"], record["fit"]["seed"]) == ([0], 2, 0)
    assert record["seconds"]["fit"] >= record["fit"]["seconds"] > 0


def test_a_lesion_of_one_pixel_is_too_small(quick: Path) -> None:
    speck = np.zeros((96, 128), bool)
    speck[20, 20] = True
    steps = fit_steps(find_bundle("tiny"), [(np.zeros((96, 128), np.uint8), speck)], replace(QUICK, other_share=0.0))
    with pytest.raises(SeedError, match="too small"):
        run_to_end(steps)


def test_the_weights_move_by_the_share_asked_for(quick: Path) -> None:
    bundle = find_bundle("tiny")
    cine, truth = clip_of_moving_discs(frames=3)
    colour = np.repeat(np.asarray(cine.frames[2])[..., None], 3, axis=2)
    drawn = [(cine.frames[0], truth[0, 0]), (colour, truth[2, 0])]
    led_to = run_to_end(fit_steps(bundle, drawn, QUICK))

    def weights(one: Any) -> torch.Tensor:
        return torch.cat([value.detach().flatten() for value in one.load_network("cpu").parameters()])

    none, half, whole = (weights(between(bundle, led_to, share)) for share in (0.0, 0.5, 1.0))
    assert torch.equal(none, weights(bundle))
    torch.testing.assert_close(half - none, (whole - none) / 2)
    assert float((whole - none).abs().max()) > 1e-3
    again = run_to_end(fit_steps(bundle, drawn, QUICK))
    assert between(bundle, again, 0.5).sha256 == between(bundle, led_to, 0.5).sha256


def test_a_drawing_on_a_frame_that_cannot_be_read_is_left_out_of_the_fit(
    logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    always(monkeypatch, kept=True)
    cine, truth = clip_of_moving_discs(frames=6, broken=(5,))
    browser = logic.addCine(cine)
    for frame in (0, 5):
        logic.setSeed(browser, truth[frame, 0], frame)
    summary = logic.fitToLesion(browser, "tiny", device="cpu")
    assert summary.fit is not None
    assert summary.fit.anchors == [0]
    assert summary.fit.way_back["without"] > 0
