"""A model fitted to the lesion from the panel: kept, dropped, cancelled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer


@pytest.fixture
def fitting(module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """The lesion drawn on frame 0 of eight; the only model is a small one that two steps fit."""
    import monai.inferers  # noqa: F401 - as after a first computation
    from engine_helpers import clip_of_moving_discs
    from slicer_harness.user import User
    from tiny_bundle import write_tiny_bundle

    from UltrasoundLesionSegLib.engine import bundles
    from UltrasoundLesionSegLib.fitting import lesion_fit
    from UltrasoundLesionSegLib.fitting.clip_synthesis import Clip

    write_tiny_bundle(tmp_path / "tiny")
    tiny = bundles.read_bundle(tmp_path / "tiny")
    cine, truth = clip_of_moving_discs(frames=8)
    clip = Clip(np.stack([cine.frames[frame] for frame in range(8)]), truth[:, 0])
    settings = lesion_fit.FitSettings(steps=2, batch=1)
    monkeypatch.setenv("ULS_MODELS", str(tmp_path))
    monkeypatch.setattr(bundles, "list_bundles", lambda: [tiny])
    monkeypatch.setattr(bundles, "default_bundle", lambda role: tiny)
    monkeypatch.setattr(lesion_fit, "other_clips", lambda: (clip,))
    monkeypatch.setattr(lesion_fit, "FitSettings", lambda: settings)
    module.open()
    user = User(module)
    browser = user.module.widget.logic.addCine(cine, "Discs")
    user.choose("browserSelector", browser.GetName())
    user.click("newLesionButton")
    user.paint("segmentEditor", truth[0, 0])
    return user


def fit(user: Any) -> str:
    user.click("fitButton")
    assert user.read("propagateButton") == "Cancel"
    user.wait_until(lambda: user.read("propagateButton") == "Propagate", 60.0)
    return str(user.read("propagateMessageLabel"))


def test_a_fit_that_is_kept_is_used_until_it_is_forgotten(fitting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from UltrasoundLesionSegLib.fitting import way_back

    monkeypatch.setattr(way_back, "LESS", 1.0)
    monkeypatch.setattr(way_back, "LOST", 0.0)
    assert "The model is fitted to this lesion: expected overlap" in fit(fitting)
    assert fitting.read("fitButton") == "Fit again"
    assert not fitting.see("fitButton").isEnabled()  # nothing was drawn since
    browser = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
    browser.SetSelectedItemNumber(4)
    fitting.click("confirmButton")
    fitting.click("propagateButton")
    fitting.wait_until(lambda: fitting.read("propagateButton") == "Propagate", 60.0)
    assert "press Fit again to include them" in fitting.read("propagateMessageLabel")
    told = fit(fitting)
    assert "The model is fitted to this lesion: expected overlap" in told
    assert "Fit again" not in told
    assert fitting.module.widget.logic.lastPropagation(browser).fit.anchors == [0, 4]
    fitting.click("forgetFitButton")
    assert fitting.read("fitButton") == "Fit to this lesion"
    assert not fitting.sees("forgetFitButton")
    assert "forgotten" in fitting.read("propagateMessageLabel")


def test_a_fit_that_is_not_kept_is_said_to_be_of_no_use(fitting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from UltrasoundLesionSegLib.fitting import way_back

    monkeypatch.setattr(way_back, "LESS", -1.1)
    monkeypatch.setattr(way_back, "LOST", 0.0)
    assert "The fit to this lesion was not used" in fit(fitting)
    assert fitting.read("fitButton") == "Fit to this lesion"


def test_a_cancelled_fit_changes_nothing(fitting: Any) -> None:
    fitting.click("fitButton")
    fitting.wait_until(lambda: fitting.read("progressLabel").startswith("Fitting"), 60.0)
    fitting.click("propagateButton")
    assert fitting.read("propagateMessageLabel") == "Cancelled; nothing was changed."
    logic = fitting.module.widget.logic
    browser = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
    (confidences,) = logic.confidences(browser).values()
    assert not np.isfinite(confidences).any()
    assert not fitting.sees("reviewMessageLabel")
