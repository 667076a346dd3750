"""``look``: frames with their numbers and rulers of pixels, for who clicks from the shell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from engine_helpers import clip_of_moving_discs
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.report import frame_ruler
from UltrasoundLesionSegLib.report.frame_ruler import frame_picture, frame_sheet

Run = Callable[..., tuple[int, str, str]]
Folder = tuple[Path, NDArray[np.bool_]]


def test_a_pixel_lies_where_the_rulers_say() -> None:
    frames = np.zeros((1, 240, 320), np.uint8)
    frames[0, 120, 80] = 255
    picture = frame_picture(Cine.from_array(frames), 0).astype(int)
    inside = picture[110:-40, 60:-20]  # without margins and their numbers
    rows, columns = np.nonzero(inside.min(axis=2) > 150)
    brightest = round(rows.mean()) + 110, round(columns.mean()) + 60
    lines = np.flatnonzero(picture[700, 60:-20].sum(axis=1) > 60) + 60
    across = np.flatnonzero(picture[100:-40, 700].sum(axis=1) > 60) + 100
    assert np.diff(lines).tolist() == [60] * (len(lines) - 1), (
        "a line each 20 pixels of the frame, three times enlarged"
    )
    assert abs(lines - brightest[1]).min() <= 1
    assert abs(across - brightest[0]).min() <= 1


@pytest.mark.parametrize(("scale", "step"), [(3.0, 20), (1.0, 100), (0.47, 200), (12.0, 5), (60.0, 1)])
def test_the_numbers_of_a_ruler_are_round_and_apart(scale: float, step: int) -> None:
    assert frame_ruler._step(scale) == step
    assert step * scale >= frame_ruler.LABELS_APART


def test_a_sheet_shows_at_most_12_frames() -> None:
    few, many = (frame_sheet(clip_of_moving_discs(frames=count)[0]) for count in (4, 30))
    assert few.shape[1] == many.shape[1]
    assert many.shape[0] / few.shape[0] == pytest.approx(2, rel=0.15)  # four rows of three, two of three


def test_the_picture_of_all_frames_and_of_one(run: Run, frames_folder: Folder, tmp_path: Path) -> None:
    folder, _ = frames_folder
    code, said, _ = run("look", folder / "frames", "--output", tmp_path / "sheet.png")
    assert code == 0
    assert "look for burnt-in names before you share it" in said
    code, _, _ = run("look", folder / "frames", "--frame", 3, "--output", tmp_path / "new" / "one.png")
    assert code == 0
    sheet, one = Image.open(tmp_path / "sheet.png"), Image.open(tmp_path / "new" / "one.png")
    assert sheet.format == one.format == "PNG"
    assert sheet.size != one.size


def test_what_is_beside_the_image_is_black_unless_asked_for(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cine").mkdir()
    random = np.random.default_rng(1)
    for index in range(8):
        frame = np.zeros((120, 160), np.uint8)
        frame[30:, 40:] = random.integers(60, 200, (90, 120))
        frame[4:12, 4:60] = 255  # as a name that is burnt in
        Image.fromarray(frame).save(tmp_path / "cine" / f"{index}.png")
    white = []
    for options in ((), ("--no-blank-outside",)):
        code, said, _ = run(
            "look", tmp_path / "cine", "--frame", 0, "--output", tmp_path / "o.png", *options, "--overwrite"
        )
        assert code == 0
        assert ("is black" in said) == (not options)
        picture = np.asarray(Image.open(tmp_path / "o.png"))
        white.append((picture[130:160, 80:350] > 250).all(axis=2).mean())
    assert white[0] == 0
    assert white[1] > 0.5


def test_a_picture_that_cannot_be_written_or_made_is_refused(run: Run, frames_folder: Folder, tmp_path: Path) -> None:
    folder, _ = frames_folder
    (tmp_path / "there.png").write_bytes(b"")
    for output, options, words in (
        (tmp_path / "there.png", (), "give a name that is free, or --overwrite"),
        (tmp_path / "a.jpg", (), "a name that ends in .png"),
        (folder / "frames" / "a.png", ("--overwrite",), "among the frames of the cine"),
        (tmp_path / "a.png", ("--frame", 99), "frame 99 is not in the cine, which has frames 0 to 5"),
    ):
        code, _, said = run("look", folder / "frames", "--output", output, *options)
        assert code == 2
        (sentence,) = said.strip().splitlines()
        assert words in sentence
    assert not (tmp_path / "a.png").exists()
