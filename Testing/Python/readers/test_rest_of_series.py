"""One image of a DICOM series, chosen by a person: what the folder holds beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from source_makers import PLANTED, dicom_object, moving_frames

from UltrasoundLesionSegLib.readers import rest_of_series
from UltrasoundLesionSegLib.readers.open import read_chosen, read_cine

FRAMES = moving_frames(12)
ADVICE = "If they are the frames of one cine, load the folder instead of the file."


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy computer takes longer than a person should wait."""
    monkeypatch.setattr(rest_of_series, "MOST_SECONDS", 60.0)


@pytest.fixture
def save_images(save_dicom: Callable[..., Path]) -> Callable[..., list[Path]]:
    """``save_images(3, "b", **elements)``: single-frame objects b0.dcm, b1.dcm, ... in one folder."""

    def save(count: int, name: str = "", **elements: Any) -> list[Path]:
        values = {"NumberOfFrames": None, **elements}
        objects = [dicom_object(FRAMES[number : number + 1], **values) for number in range(count)]
        return [save_dicom(data, f"{PLANTED}/{name}{number}.dcm") for number, data in enumerate(objects)]

    return save


def test_the_other_images_of_the_series_are_counted(save_images: Callable[..., list[Path]]) -> None:
    paths = save_images(12)
    assert read_chosen(paths[5]).notes == (f"The folder holds 11 more images of this series. {ADVICE}",)
    assert read_cine(paths[5]).notes == (), "a batch reads the stills of a series one after the other"
    assert "more image" not in " ".join(read_chosen(paths[0].parent).notes)


@pytest.mark.parametrize("number", [None, 1])
def test_only_images_that_can_be_frames_of_the_same_cine_count(
    save_images: Callable[..., list[Path]], save_dicom: Callable[..., Path], number: int | None
) -> None:
    chosen, other = save_images(2, NumberOfFrames=number)
    folder = chosen.parent
    save_images(3, "series", SeriesInstanceUID="1.2.3.5")
    save_images(3, "study", StudyInstanceUID="1.2.3.5")
    save_dicom(dicom_object(moving_frames(1, 64, 64), NumberOfFrames=None), f"{PLANTED}/larger.dcm")
    save_dicom(dicom_object(FRAMES), f"{PLANTED}/cine.dcm")
    (folder / "copy.dcm").write_bytes(chosen.read_bytes())
    (folder / ".hidden.dcm").write_bytes(other.read_bytes())
    (folder / "notes.txt").write_text("no image")
    (folder / "damaged.dcm").write_bytes(other.read_bytes()[:150])
    (folder / "folder.dcm").mkdir()
    assert read_chosen(chosen).notes[-1] == f"The folder holds 1 more image of this series. {ADVICE}"


def test_an_image_alone_has_no_note(save_images: Callable[..., list[Path]]) -> None:
    (chosen,) = save_images(1)
    save_images(2, "series", SeriesInstanceUID="1.2.3.5")
    assert read_chosen(chosen).notes == ()


def test_objects_that_name_no_series_are_not_taken_for_one(save_images: Callable[..., list[Path]]) -> None:
    assert "more image" not in " ".join(read_chosen(save_images(3, SeriesInstanceUID=None)[0]).notes)


def test_a_cine_and_a_picture_have_no_such_note(
    save_images: Callable[..., list[Path]], save_dicom: Callable[..., Path], tmp_path: Path
) -> None:
    save_images(2)
    assert read_chosen(save_dicom(dicom_object(FRAMES), f"{PLANTED}/cine.dcm")).notes == ()
    for number in range(3):
        Image.fromarray(FRAMES[number]).save(tmp_path / f"{number}.png")
    assert "series" not in " ".join(read_chosen(tmp_path / "1.png").notes)


def test_of_many_files_those_with_the_nearest_names_are_looked_at(
    save_images: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_images(12, "a", SeriesInstanceUID="1.2.3.5")
    chosen = save_images(3, "m")[1]
    save_images(12, "z", SeriesInstanceUID="1.2.3.6")
    monkeypatch.setattr(rest_of_series, "MOST_HEADERS", 4)
    assert read_chosen(chosen).notes == (f"The folder holds at least 2 more images of this series. {ADVICE}",)


def test_a_folder_that_answers_slowly_is_left_alone(
    save_images: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_of_series, "MOST_SECONDS", -1.0)
    assert read_chosen(save_images(4)[0]).notes == ()
