from __future__ import annotations

import numpy as np
import pytest

from UltrasoundLesionSegLib.engine.window import Window, rgb, without_tint


def disc(height: int, width: int, row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


@pytest.mark.parametrize(("height", "width"), [(64, 64), (301, 455), (670, 670), (1200, 900)])
@pytest.mark.parametrize("size", [96, 240])
def test_cut_and_paste_bring_a_mask_back_where_it_was(height: int, width: int, size: int) -> None:
    radius = min(height, width) / 8
    mask = disc(height, width, height * 0.4, width * 0.6, radius)
    window = Window.around(mask, 2.0, 16)
    seen = window.cut(mask.astype(np.float32), size)
    back = window.paste(seen, height, width) > 0.5
    dice = 2 * (back & mask).sum() / (back.sum() + mask.sum())
    assert dice > 0.975
    centre = [axis.mean() for axis in np.nonzero(back)]
    assert centre == pytest.approx([axis.mean() for axis in np.nonzero(mask)], abs=0.3)


def test_around_centres_on_the_mask_and_takes_the_margin() -> None:
    mask = np.zeros((200, 300), bool)
    mask[50:90, 100:180] = True
    window = Window.around(mask, 2.0, 16)
    assert (window.row, window.column, window.side) == (69.5, 139.5, 160.0)
    seen = window.cut(mask.astype(np.float32), 160)
    assert seen.sum() == pytest.approx(mask.sum())
    assert seen[40 + 20, 40 + 1] == 1


def test_around_never_falls_below_the_smallest_side() -> None:
    mask = np.zeros((200, 300), bool)
    mask[50, 60] = True
    assert Window.around(mask, 2.0, 48).side == 48


def test_outside_the_frame_the_window_is_black_and_paste_returns_only_the_frame() -> None:
    frame = np.full((40, 40), 200, np.uint8)
    window = Window(0, 0, 40)
    seen = window.cut(frame, 40)
    assert seen[:19, :].max() == 0
    assert seen[30, 30] == 200
    full = window.paste(np.ones((40, 40), np.float32), 40, 40)
    assert full.shape == (40, 40)
    assert full[0, 0] == 1
    assert full[30, 30] == 0


def test_far_outside_pastes_nothing() -> None:
    assert not Window(-500, -500, 40).paste(np.ones((40, 40), np.float32), 40, 40).any()


def test_shrinking_averages_instead_of_aliasing() -> None:
    checkers = (np.indices((800, 800)).sum(0) % 2 * 200).astype(np.uint8)
    seen = Window.whole(800, 800).cut(checkers, 100)
    assert seen[10:-10, 10:-10].std() < 3
    assert seen.mean() == pytest.approx(100, abs=4)


@pytest.mark.parametrize(("height", "width"), [(600, 800), (491, 317), (223, 801)])
@pytest.mark.parametrize("side", [95.0, 161.3, 333.0])
def test_shrinking_shows_what_lies_under_the_window(height: int, width: int, side: float) -> None:
    rows, columns = np.mgrid[:height, :width]
    window = Window(height * 0.4, width * 0.55, side)
    seen = window.cut((rows + 0.5 * columns).astype(np.float32), 40)
    offsets = (np.arange(40) + 0.5) * side / 40 - side / 2
    under_row, under_column = window.row + offsets[:, None], window.column + offsets
    reach = side / 40  # blocks that the frame's edge cuts are averaged in part
    inside = (under_row > reach) & (under_row < height - 1 - reach)
    inside = inside & (under_column > reach) & (under_column < width - 1 - reach)
    assert np.abs(seen - (under_row + 0.5 * under_column))[inside].max() < 0.01


def test_box_holds_everything_that_is_pasted() -> None:
    window = Window(10.3, 50.7, 33.3)
    full = window.paste(np.ones((32, 32), np.float32), 60, 60)
    rows, columns = window.box(60, 60)
    assert full[rows, columns].sum() == full.sum() > 0
    assert Window(-500, 20, 40).box(60, 60)[0] == slice(0, 0)


def test_colour_frames_keep_their_channels() -> None:
    frame = np.zeros((50, 60, 3), np.uint8)
    frame[..., 1] = 90
    seen = Window.whole(50, 60).cut(frame, 32)
    assert seen.shape == (32, 32, 3)
    assert seen[16, 16].tolist() == [0, 90, 0]


def test_another_window_sees_what_cutting_the_frame_would_show() -> None:
    frame = disc(200, 200, 90, 110, 30).astype(np.float32)
    here, there = Window(95, 105, 120), Window(88, 116, 90)
    values = here.cut(frame, 160)
    assert here.reseen(values, here, 160) is values
    assert abs(here.reseen(values, there, 96) - there.cut(frame, 96)).mean() < 0.01


def test_a_tint_of_a_few_levels_is_no_colour() -> None:
    grey = np.random.default_rng(2).integers(10, 240, (50, 70), np.uint8)
    assert without_tint(grey) is grey
    assert np.array_equal(without_tint(rgb(grey)), grey)
    tinted = rgb(grey).astype(np.int16) + np.array([4, 0, -4])  # a mean of 0
    assert np.array_equal(without_tint(tinted.astype(np.uint8)), grey)
    doppler = rgb(grey).copy()
    doppler[20, 30] = 200, 60, 40
    assert without_tint(doppler) is doppler
