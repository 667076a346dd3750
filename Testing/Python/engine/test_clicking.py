"""A lesion drawn from clicks: windows, scales, mending, undo, and what is kept in memory."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from stand_in_networks import PointedNetwork

from UltrasoundLesionSegLib.engine import clicking
from UltrasoundLesionSegLib.engine.click_prompt import (
    BOX,
    DISK_RADIUS,
    INSIDE,
    MASK,
    OUTSIDE,
    PROMPT_CHANNELS,
    Box,
    Click,
    draw_box,
    draw_clicks,
)
from UltrasoundLesionSegLib.engine.clicking import ClickDrawing, size_nearby
from UltrasoundLesionSegLib.engine.network_api import ClickNetwork
from UltrasoundLesionSegLib.engine.networks.bas import BasClick

CPU = torch.device("cpu")


def frame_with_discs(size: tuple[int, int] = (240, 320)) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    frame = np.full(size, 20, np.uint8)
    frame[(rows - 100) ** 2 + (columns - 120) ** 2 < 40**2] = 230
    frame[(rows - 200) ** 2 + (columns - 290) ** 2 < 6**2] = 230
    return frame


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


@pytest.mark.parametrize(("point", "radius"), [((110, 130), 40), ((200, 290), 6)])
def test_one_click_draws_the_lesion_it_falls_into_whatever_its_size(point: tuple[int, int], radius: int) -> None:
    frame = frame_with_discs()
    rows, columns = np.mgrid[:240, :320]
    centre = (100, 120) if radius == 40 else (200, 290)
    truth = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
    network = PointedNetwork()
    found = ClickDrawing(frame, network, 96, CPU).mask([Click(*point)])
    assert dice(found, truth) > 0.9
    # each is looked at again, more closely; the small one twice, since a look comes at most three times closer
    assert len(network.seen) == (2 if radius == 40 else 3)


def test_a_lesion_larger_than_the_first_look_is_seen_whole() -> None:
    frame = np.full((200, 200), 20, np.uint8)
    frame[20:180, 10:190] = 230
    found = ClickDrawing(frame, PointedNetwork(), 96, CPU).mask([Click(100, 60)])
    assert dice(found, frame > 100) > 0.97


def test_where_the_lesions_size_is_known_the_first_look_fits_it() -> None:
    network = PointedNetwork()
    found = ClickDrawing(frame_with_discs(), network, 96, CPU, size=12).mask([Click(200, 290)])
    rows, columns = np.mgrid[:240, :320]
    assert dice(found, (rows - 200) ** 2 + (columns - 290) ** 2 < 6**2) > 0.9
    assert len(network.seen) == 1  # the smallest window shows it; from afar it takes three looks
    assert 0.03 < float((network.seen[0][0, :3].mean(0) > 0.5).float().mean()) < 0.08
    wrong = ClickDrawing(frame_with_discs(), PointedNetwork(), 96, CPU, size=12).mask([Click(100, 120)])
    assert dice(wrong, (rows - 100) ** 2 + (columns - 120) ** 2 < 40**2) > 0.9  # the window grows with what it shows


def test_the_size_is_that_on_the_nearest_other_anchor_that_shows_the_lesion() -> None:
    def mask(side: int) -> np.ndarray:
        drawn = np.zeros((30, 40), bool)
        drawn[3:9, 5 : 5 + side] = side > 0
        return drawn

    masks = {2: mask(20), 8: mask(7), 9: mask(0), 30: mask(12)}
    assert size_nearby(10, masks, masks.__getitem__) == 7
    assert size_nearby(8, masks, masks.__getitem__) == 20
    assert size_nearby(9, {9: mask(9)}, masks.__getitem__) is None
    assert size_nearby(10, [9], masks.__getitem__) is None


def test_clicks_mend_what_is_there_and_taking_them_back_costs_nothing() -> None:
    frame = frame_with_discs()
    network = PointedNetwork()
    drawing = ClickDrawing(frame, network, 96, CPU)
    clicks = [Click(100, 120), Click(100, 85, inside=False), Click(60, 120)]
    masks = [drawing.mask(clicks[:count]) for count in (1, 2, 3)]
    assert not masks[1][100, 85]
    assert masks[0][100, 85]
    looks = len(network.seen)
    assert np.array_equal(drawing.mask(clicks[:1]), masks[0])
    assert np.array_equal(drawing.mask(clicks[:2]), masks[1])
    assert not drawing.mask([]).any()
    assert len(network.seen) == looks
    # the mask depends on the clicks alone, not on what was asked before
    assert np.array_equal(ClickDrawing(frame, PointedNetwork(), 96, CPU).mask(clicks), masks[2])


def test_a_mask_to_mend_is_a_part_of_the_prompt_and_comes_back_without_clicks() -> None:
    frame = frame_with_discs()
    start = np.zeros((240, 320), bool)
    start[80:120, 100:140] = True
    network = PointedNetwork()
    drawing = ClickDrawing(frame, network, 96, CPU, start)
    drawing.mask([Click(100, 150)])
    assert 0.1 < float((network.seen[0][0, 3 + MASK] > 0.5).float().mean()) < 0.4
    back = drawing.mask([])
    assert np.array_equal(back, start)
    back[:] = True
    assert np.array_equal(drawing.mask([]), start)


def drawn_by_hand(frame: np.ndarray) -> np.ndarray:
    """The large disc without its right part, and with a lobe on the left that a network does not see."""
    rows, columns = np.mgrid[: frame.shape[0], : frame.shape[1]]
    disc = (rows - 100) ** 2 + (columns - 120) ** 2 < 40**2
    lobe = (rows - 100) ** 2 + (columns - 75) ** 2 < 12**2
    return np.asarray((disc & (columns < 140)) | lobe)


def test_a_click_changes_the_part_of_a_mask_that_it_points_at_and_no_other() -> None:
    frame = frame_with_discs()
    start = drawn_by_hand(frame)
    drawing = ClickDrawing(frame, PointedNetwork(), 96, CPU, start)
    found = drawing.mask([Click(100, 150)])
    assert found[100, 145:155].all()
    assert np.array_equal(found[:, :130], start[:, :130])  # to the pixel, the lobe included
    found = drawing.mask([Click(100, 150), Click(100, 70, inside=False)])
    assert not found[100, 68:72].any()
    assert found[100, 145:155].all()


def test_no_slivers_stay_beside_what_a_click_changes() -> None:
    """Beside the change, the drawn mask has a thin arc that the network does not see."""
    frame = frame_with_discs()
    rows, columns = np.mgrid[:240, :320]
    away = np.hypot(rows - 100, columns - 120)
    arc = (away > 41.5) & (away < 42.8) & (columns > 150)
    found = ClickDrawing(frame, PointedNetwork(), 96, CPU, drawn_by_hand(frame) | arc).mask([Click(100, 150)])
    assert found[100, 145:155].all()
    parts, gaps = (cv2.connectedComponents(one.astype(np.uint8), connectivity=4)[0] - 1 for one in (found, ~found))
    assert (parts, gaps) == (1, 1)


def test_a_small_part_that_a_click_adds_or_takes_away_is_no_sliver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clicking, "SLIVER", 0.2)  # the stand-in changes a tenth of the mask
    frame = frame_with_discs()
    rows, columns = np.mgrid[:240, :320]
    disc = (rows - 100) ** 2 + (columns - 120) ** 2 < 40**2
    found = ClickDrawing(frame, PointedNetwork(), 96, CPU, disc).mask([Click(100, 180)])
    assert found[100, 178:183].all()
    found = ClickDrawing(frame, PointedNetwork(), 96, CPU, disc).mask([Click(100, 120, inside=False)])
    assert not found[100, 118:123].any()
    assert found[100, 145:155].all()


def test_a_click_into_what_is_right_asks_for_the_whole_lesion_anew() -> None:
    frame = frame_with_discs()
    start = drawn_by_hand(frame)
    found = ClickDrawing(frame, PointedNetwork(), 96, CPU, start).mask([Click(100, 110)])
    rows, columns = np.mgrid[:240, :320]
    assert dice(found, (rows - 100) ** 2 + (columns - 120) ** 2 < 40**2) > 0.95


class DeafNetwork(ClickNetwork):
    """Sees a disc of a third of the window's side in its middle, whatever was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def forward(self, stacked: torch.Tensor) -> torch.Tensor:
        self.looks += 1
        size = stacked.shape[-1]
        rows, columns = np.mgrid[:size, :size]
        disc = np.hypot(rows - size / 2, columns - size / 2) < size / 3
        return torch.from_numpy(disc).float()[None, None] * 20 - 10


def circle(row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:240, :320]
    return np.asarray(np.hypot(rows - row, columns - column) < radius)


def test_each_click_is_on_its_side_of_the_outline_whatever_the_network_draws() -> None:
    clicks = [Click(100, 120), Click(100, 150, inside=False), Click(20, 40), Click(120, 60, inside=False)]
    for start in (None, circle(100, 120, 70)):
        drawing = ClickDrawing(np.zeros((240, 320), np.uint8), DeafNetwork(), 96, CPU, start)
        for count in range(1, 5):
            found = drawing.mask(clicks[:count])
            assert [bool(found[int(one.row), int(one.column)]) for one in clicks[:count]] == [
                one.inside for one in clicks[:count]
            ]
    box = ClickDrawing(np.zeros((240, 320), np.uint8), DeafNetwork(), 96, CPU)
    found = box.mask([Click(100, 120, inside=False)], Box(60, 80, 140, 160))
    assert not found[100, 120]
    assert found.any()


def test_of_what_was_drawn_anew_a_click_outside_takes_its_half() -> None:
    network = DeafNetwork()
    drawing = ClickDrawing(np.zeros((240, 320), np.uint8), network, 96, CPU)
    first = drawing.mask([Click(100, 120)])
    assert first[100, 140]
    looks = network.looks
    found = drawing.mask([Click(100, 120), Click(100, 140, inside=False)])
    # the closer look, through a window of four times the way between the clicks, shows a disc that holds both, too
    assert network.looks > looks
    assert found[:, :130].any()
    assert not found[:, 131:].any()


def test_where_a_click_outside_is_disobeyed_the_network_looks_closer() -> None:
    """A dim disc around a bright spot: from afar the network sees both, close by the spot alone."""

    class NearAndFar(PointedNetwork):
        def forward(self, stacked: torch.Tensor) -> torch.Tensor:
            self.seen.append(stacked)
            grey = stacked[:, :3].mean(dim=1, keepdim=True)
            close = float((grey > 0.8).float().mean()) > 0.02
            return (grey > (0.8 if close else 0.3)).float() * 20 - 10

    frame = np.full((240, 320), 20, np.uint8)
    frame[circle(100, 120, 60)] = 120
    frame[circle(100, 120, 6)] = 240
    drawing = ClickDrawing(frame, NearAndFar(), 96, CPU)
    assert drawing.mask([Click(100, 120)])[100, 140]
    assert dice(drawing.mask([Click(100, 120), Click(100, 132, inside=False)]), circle(100, 120, 6)) > 0.9


def test_of_a_mask_that_was_there_a_click_outside_takes_the_circle_that_fits() -> None:
    start = circle(100, 120, 50)
    drawing = ClickDrawing(np.zeros((240, 320), np.uint8), DeafNetwork(), 96, CPU, start)
    found = drawing.mask([Click(100, 155, inside=False)])
    assert not found[circle(100, 155, 13)].any()
    assert np.array_equal(found & (np.mgrid[:240, :320][1] < 138), start & (np.mgrid[:240, :320][1] < 138))


def test_a_box_alone_draws_what_is_in_it() -> None:
    network = PointedNetwork()
    drawing = ClickDrawing(frame_with_discs(), network, 96, CPU)
    found = drawing.mask([], Box(58, 78, 142, 162))
    assert found[100, 120]
    assert not found[200, 290]
    box = network.seen[0][0, 3 + BOX]
    assert 0.15 < float(box.mean()) < 0.35
    assert box[48, 48] == 1
    assert box[0, 0] == 0
    assert np.array_equal(drawing.mask([], Box(58, 78, 142, 162)), found)


def test_what_a_box_does_not_hold_is_not_drawn_unless_a_click_is_beside_it() -> None:
    drawing = ClickDrawing(np.zeros((240, 320), np.uint8), DeafNetwork(), 96, CPU)
    box = Box(90, 110, 109, 129)  # the smallest window is larger: the network sees a disc of 32 pixels in it
    found = drawing.mask([], box)
    rows, columns = np.nonzero(found)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((88, 111, 108, 131), abs=1)
    found = drawing.mask([Click(100, 134)], box)
    assert found[100, 134]
    assert not found[100, 137:].any()


def test_clicks_outside_alone_draw_nothing() -> None:
    network = PointedNetwork()
    assert not ClickDrawing(frame_with_discs(), network, 96, CPU).mask([Click(5, 5, inside=False)]).any()
    assert not network.seen


@pytest.mark.parametrize("shape", [(64, 64), (64, 300), (700, 90, 3)])
@pytest.mark.parametrize("place", [(0.0, 0.0), (1.0, 1.0), (0.5, 0.0)])
def test_any_frame_and_any_place_on_it_are_answered(shape: tuple[int, ...], place: tuple[float, float]) -> None:
    torch.manual_seed(0)
    frame = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    row, column = place[0] * (shape[0] - 1), place[1] * (shape[1] - 1)
    drawing = ClickDrawing(frame, BasClick((8, 8, 8), (1, 1, 1), token_grid=(2, 2)).eval(), 32, CPU)
    for clicks in ([Click(row, column)], [Click(row, column), Click(shape[0] / 2, 3, inside=False)]):
        found = drawing.mask(clicks)
        assert found.shape == shape[:2]
        assert found.dtype == bool


def test_out_of_gpu_memory_goes_on_on_the_cpu_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    frame = frame_with_discs()
    expected = ClickDrawing(frame, PointedNetwork(), 96, CPU).mask([Click(100, 120)])
    found = ClickDrawing(frame, PointedNetwork(overflows=1), 96, CPU).mask([Click(100, 120)])
    assert np.array_equal(found, expected)
    assert "the GPU ran out of memory; the clicks are computed on the CPU" in caplog.text


def test_disks_have_the_same_size_anywhere_and_are_cut_at_the_edge() -> None:
    prompt = np.zeros((PROMPT_CHANNELS, 40, 50), np.float32)
    draw_clicks(prompt, [Click(20, 20), Click(19.5, 30.5, inside=False), Click(-90, 4), Click(0, 49)])
    area = np.pi * DISK_RADIUS**2
    assert prompt[OUTSIDE].sum() == pytest.approx(area, rel=0.12)
    assert prompt[INSIDE][10:30, 10:30].sum() == pytest.approx(area, rel=0.12)
    assert 0.2 * area < prompt[INSIDE][:6, 44:].sum() < 0.45 * area
    draw_box(prompt[BOX], Box(-4, 10, 6.2, 60))
    assert prompt[BOX].sum() == 7 * 40
