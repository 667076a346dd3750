"""One folder and two cines: whose results are in it, what may be written of the next cine, what has no mask."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from dicom_helpers import speckle, write_multiframe
from engine_helpers import clip_of_moving_discs

FOLDER_OF_OTHER = "Nothing was written: the folder holds results of another cine"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def choose(user: Any, tmp_path: Path, out: Path) -> Callable[[int], Any]:
    """``choose(seed)``: another DICOM cine for each seed, with a lesion on frame 1, chosen in the panel."""
    user.see("exportCollapsibleButton").setProperty("collapsed", False)
    user.see("exportFolderButton").setProperty("directory", str(out))
    mask = np.zeros((48, 64), bool)
    mask[10:30, 20:45] = True

    def load(seed: int) -> Any:
        logic = user.module.widget.logic
        frames = np.roll(speckle(6, 48, 64), seed, axis=2)
        browser = logic.loadCine(write_multiframe(tmp_path / f"cine_{seed}.dcm", frames))
        logic.setSeed(browser, mask, 1)
        user.choose("browserSelector", browser.GetName())
        assert user.module.widget.panel.browser is browser
        return user

    return load


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a window asked; the answer is Cancel."""
    texts: list[str] = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: texts.append(text) or False)
    return texts


def test_results_of_another_cine_stay_as_they_are(choose: Any, asked: list[str], out: Path) -> None:
    choose(1).click("exportButton")
    before = contents(out)
    assert {"segmentation.dcm", "measurements.dcm", "measurements.csv"} <= set(before)
    user = choose(2)
    user.click("exportSegCheckBox")
    user.click("exportSrCheckBox")
    user.click("exportButton")
    assert contents(out) == before
    assert asked == []
    assert user.read("exportMessageLabel") == (
        f"{FOLDER_OF_OTHER} (measurements.csv, lesions.csv, segmentation.dcm, measurements.dcm); choose another folder."
    )


def test_tables_are_not_saved_beside_results_of_another_cine(choose: Any, asked: list[str], out: Path) -> None:
    choose(1).click("exportButton")
    before = contents(out)
    user = choose(2)
    user.see("measureCollapsibleButton").setProperty("collapsed", False)
    user.click("measureButton")
    user.module.session.file_dialogs.waiting.append(str(out))
    user.click("saveTablesButton")
    assert contents(out) == before
    assert user.read("measureMessageLabel").startswith(FOLDER_OF_OTHER)


def test_the_same_cine_replaces_its_results_unasked(choose: Any, asked: list[str], out: Path) -> None:
    user = choose(1)
    user.click("exportButton")
    (out / "lesions.csv").write_text("to be replaced")
    user.click("exportButton")
    assert "Measurements: measurements.csv, lesions.csv" in user.read("exportMessageLabel")
    assert (out / "lesions.csv").read_text() != "to be replaced"
    assert asked == []


def test_the_same_pixels_in_another_file_are_the_same_cine(choose: Any, asked: list[str], out: Path) -> None:
    user = choose(1)
    user.click("exportButton")
    record = json.loads((out / "export.json").read_text())
    record["source"]["sha256"] = "0" * 64
    (out / "export.json").write_text(json.dumps(record))
    user.click("exportButton")
    assert "Measurements: measurements.csv" in user.read("exportMessageLabel")


def test_a_result_of_segment_belongs_to_the_cine_in_its_run_json(choose: Any, asked: list[str], out: Path) -> None:
    out.mkdir()
    (out / "masks.nii.gz").write_bytes(b"masks")
    (out / "run.json").write_text(json.dumps({"source": {"sha256": "0" * 64, "pixels": "1" * 64}}))
    user = choose(1)
    user.click("exportButton")
    assert user.read("exportMessageLabel").startswith(FOLDER_OF_OTHER)
    assert sorted(contents(out)) == ["masks.nii.gz", "run.json"]


@pytest.mark.parametrize("is_agreed", [False, True])
def test_it_is_asked_where_nothing_tells_whose_results_they_are(
    choose: Any, asked: list[str], out: Path, monkeypatch: pytest.MonkeyPatch, is_agreed: bool
) -> None:
    out.mkdir()
    (out / "lesions.csv").write_text("whose?")
    if is_agreed:
        monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: asked.append(text) or True)
    user = choose(1)
    user.click("exportButton")
    assert len(asked) == 1
    assert "already holds results (lesions.csv)" in asked[0]
    assert ((out / "lesions.csv").read_text() != "whose?") == is_agreed
    assert (out / "segmentation.dcm").exists() == is_agreed
    if not is_agreed:
        assert user.read("exportMessageLabel") == "Nothing was written; choose another folder."


def test_other_files_in_the_folder_stop_nothing(choose: Any, asked: list[str], out: Path) -> None:
    (out / "masks").mkdir(parents=True)
    (out / "notes.txt").write_text("of the user")
    choose(1).click("exportButton")
    assert (out / "segmentation.dcm").exists()
    assert asked == []


def test_the_record_names_no_file_and_no_patient(choose: Any, out: Path) -> None:
    choose(1).click("exportButton")
    record = json.loads((out / "export.json").read_text())
    assert set(record) == {"software", "source"}
    assert set(record["source"]) == {"kind", "sha256", "pixels"}


def test_images_allowed_for_one_cine_are_not_for_the_next(choose: Any) -> None:
    user = choose(1)
    first = user.module.widget.panel.browser
    user.click("pixelsAllowedCheckBox")
    user.click("exportVideoCheckBox")
    user.module.widget.panel.refresh()
    assert user.see("pixelsAllowedCheckBox").isChecked(), "it is still the same cine"
    choose(2)
    assert not user.see("pixelsAllowedCheckBox").isChecked()
    assert not user.see("exportVideoCheckBox").isEnabled()
    user.choose("browserSelector", first.GetName())
    assert not user.see("pixelsAllowedCheckBox").isChecked()


def test_images_allowed_for_a_cine_that_was_removed_are_not_for_the_next(choose: Any) -> None:
    user = choose(1)
    user.click("pixelsAllowedCheckBox")
    user.module.widget.logic.removeCine(user.module.widget.panel.browser)
    user.module.session.process_events()
    choose(2)
    assert not user.see("pixelsAllowedCheckBox").isChecked()


def test_images_allowed_when_a_scene_was_saved_are_not_once_it_is_loaded(choose: Any, tmp_path: Path) -> None:
    user = choose(1)
    user.click("pixelsAllowedCheckBox")
    path = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear(0)
    user.module.session.process_events()
    assert slicer.mrmlScene.ReadFromMRB(path)
    user.module.session.process_events()
    assert user.module.widget.panel.browser is not None
    assert not user.see("pixelsAllowedCheckBox").isChecked()


def test_an_export_before_propagation_says_how_few_frames_have_a_mask(choose: Any) -> None:
    user = choose(1)
    user.click("exportButton")
    said = user.read("exportMessageLabel")
    assert "Only 1 of the 6 frames has a mask; the others were neither drawn nor computed." in said


def test_an_export_with_masks_on_all_frames_says_nothing_of_it(discs: Any, out: Path) -> None:
    _, truth = clip_of_moving_discs(frames=12)
    discs.draw(0, truth[0, 0])
    discs.propagate()
    discs.user.see("exportCollapsibleButton").setProperty("collapsed", False)
    discs.user.see("exportFolderButton").setProperty("directory", str(out))
    discs.user.click("exportButton")
    said = discs.user.read("exportMessageLabel")
    assert "measurements.csv" in said
    assert "of the 12 frames" not in said


def test_a_folder_that_may_not_be_read_is_said_to_be_so(
    choose: Any, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = choose(1)

    def refuse(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied", "Doe^Jane")

    monkeypatch.setattr(Path, "is_dir", refuse)
    user.click("exportButton")
    said = user.read("exportMessageLabel")
    assert said == "The folder cannot be read (Permission denied); choose another one."
