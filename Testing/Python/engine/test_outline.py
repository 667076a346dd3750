from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from engine_helpers import dice, inputs_for
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.cine import Anchor, Cine
from UltrasoundLesionSegLib.engine import outline
from UltrasoundLesionSegLib.engine.likeness import likeness, structure
from UltrasoundLesionSegLib.engine.outline import OutlineCorrection, signed_distance
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.engine.tracker import TrackerSettings
from UltrasoundLesionSegLib.engine.window import Window

SIZE = 96
WHOLE = Window.whole(SIZE, SIZE)


def ellipse(rows: float, columns: float, row: float = 48, column: float = 48) -> np.ndarray:
    """Return an ellipse of these half axes, float32 (96, 96)."""
    y, x = np.mgrid[:SIZE, :SIZE]
    return (((y - row) / rows) ** 2 + ((x - column) / columns) ** 2 < 1).astype(np.float32)


def tissue(shift: int = 0) -> np.ndarray:
    """Return smooth texture moved to the right, uint8 (96, 96): something that flows."""
    noise = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 1, (SIZE, 3 * SIZE)), (0, 0), 3)
    texture = np.clip(128 + 40 * noise / noise.std(), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(texture[:, SIZE - shift : 2 * SIZE - shift])


def followed(correction: OutlineCorrection, predicted: np.ndarray, picture: np.ndarray, window: Window) -> np.ndarray:
    """Return the corrected outline on the next frame."""
    correction.follow(picture, window)
    return correction.apply(predicted)


def test_signed_distance_of_a_half_plane_counts_pixels_from_the_outline() -> None:
    half = np.zeros((32, 32), np.float32)
    half[:, 16:] = 1
    distance = signed_distance(half)
    assert distance[5, 15] == pytest.approx(-0.5)
    assert distance[5, 16] == pytest.approx(0.5)
    assert distance[16, 22] == pytest.approx(6.5, abs=0.1)


@pytest.mark.parametrize(("value", "expected"), [(0.0, -32.0), (1.0, 32.0)])
def test_signed_distance_without_an_outline_is_far(value: float, expected: float) -> None:
    assert (signed_distance(np.full((32, 32), value, np.float32)) == expected).all()


def test_on_the_anchor_itself_the_drawn_outline_comes_back() -> None:
    drawn, predicted = ellipse(20, 26), ellipse(23, 23)
    correction = OutlineCorrection(drawn, predicted, tissue(), WHOLE)
    still = tissue()
    corrected = followed(correction, predicted, still, WHOLE) > 0.5
    assert dice(predicted > 0.5, drawn > 0.5) < 0.95
    assert dice(corrected, drawn > 0.5) > 0.985


def test_an_anchor_too_small_to_be_seen_changes_nothing() -> None:
    speck = np.zeros((SIZE, SIZE), np.float32)
    speck[40, 40] = 0.3  # as a pixel of a large frame is seen
    correction = OutlineCorrection(speck, ellipse(3, 3), tissue(), WHOLE)
    predicted = ellipse(4, 4)
    np.testing.assert_array_equal(followed(correction, predicted, tissue(1), WHOLE), predicted)
    assert correction.likeness == 0


def test_the_difference_moves_with_the_tissue() -> None:
    correction = OutlineCorrection(ellipse(20, 26), ellipse(23, 23), tissue(), WHOLE)
    for step in range(1, 6):
        predicted = ellipse(23, 23, column=48 + 2 * step)
        corrected = followed(correction, predicted, tissue(2 * step), WHOLE) > 0.5
    truth = ellipse(20, 26, column=58) > 0.5
    assert dice(predicted > 0.5, truth) < 0.95
    assert dice(corrected, truth) > 0.975


def test_the_difference_means_the_same_in_another_window() -> None:
    drawn, predicted = ellipse(20, 26), ellipse(23, 23)
    correction = OutlineCorrection(drawn, predicted, tissue(), WHOLE)
    closer = Window(50.0, 46.0, 72.0)
    here, now = (closer.cut(picture, SIZE) for picture in (predicted, tissue()))
    corrected = closer.paste(followed(correction, here, now, closer), SIZE, SIZE) > 0.5
    assert dice(corrected, drawn > 0.5) > 0.98


def test_where_the_tissue_is_the_anchor_s_new_errors_are_put_right_too() -> None:
    truth = ellipse(22, 24)
    correction = OutlineCorrection(truth, truth, tissue(), WHOLE)  # on the anchor itself the network was right
    wrong = ellipse(20, 26, row=50)
    corrected = followed(correction, wrong, tissue(), WHOLE) > 0.5
    assert dice(wrong > 0.5, truth > 0.5) < 0.93
    assert dice(corrected, truth > 0.5) > 0.99


def test_an_outline_far_from_the_drawn_one_is_not_dragged_to_it() -> None:
    correction = OutlineCorrection(ellipse(15, 15), ellipse(15, 15), tissue(), WHOLE)
    grown = ellipse(30, 30)
    corrected = followed(correction, grown, tissue(), WHOLE) > 0.5
    assert dice(corrected, grown > 0.5) > 1 - 2.5 * outline.LARGEST * SIZE / 30


def test_errors_of_the_flow_do_not_add_up() -> None:
    drawn = ellipse(20, 26)
    correction = OutlineCorrection(drawn, drawn, tissue(), WHOLE)
    for step in range(1, 61):  # to and fro, three times
        shift = round(10 * np.sin(2 * np.pi * step / 20))
        corrected = followed(correction, ellipse(23, 23, column=48 + shift), tissue(shift), WHOLE) > 0.5
    assert shift == 0
    assert dice(corrected, drawn > 0.5) > 0.98


def test_in_other_tissue_the_anchor_s_outline_says_nothing() -> None:
    correction = OutlineCorrection(ellipse(20, 26), ellipse(23, 23), tissue(), WHOLE)
    other = np.random.default_rng(8).integers(0, 255, (SIZE, SIZE)).astype(np.uint8)
    corrected = followed(correction, ellipse(23, 23), other, WHOLE) > 0.5
    assert correction.likeness < 0.3  # by chance: there are few independent spots in so small a window
    assert dice(corrected, ellipse(23, 23) > 0.5) > 0.97  # 0.972 to 0.98 with 30 seeds


def test_parts_that_the_network_leaves_out_are_given_back_sooner_than_others_are_taken_away() -> None:
    drawn, now = ellipse(30, 30), tissue()
    changed = np.clip(now + np.random.default_rng(9).normal(0, 300, now.shape), 0, 255).astype(np.uint8)

    def moved_by(own: float) -> float:
        """Return by how many pixels an outline of this radius is moved towards the drawn one."""
        correction = OutlineCorrection(drawn, drawn, now, WHOLE)
        corrected = followed(correction, ellipse(own, own), changed, WHOLE)
        assert 0.4 < correction.likeness < 0.9
        # the sum of the probabilities is the area to less than a pixel
        return abs(float(np.sqrt(corrected.sum() / np.pi)) - own)

    assert moved_by(26) > 1.5 * moved_by(34)


def test_a_shrinking_lesion_may_vanish() -> None:
    correction = OutlineCorrection(ellipse(26, 26), ellipse(22, 22), tissue(), WHOLE)
    still = tissue()
    areas = [
        np.count_nonzero(followed(correction, ellipse(r, r), still, WHOLE) > 0.5) / np.count_nonzero(ellipse(r, r))
        for r in (22, 12, 5)
    ]
    assert areas[0] > 1.2
    assert areas[2] < 1.1
    nothing = np.zeros((SIZE, SIZE), np.float32)
    assert not followed(correction, nothing, still, WHOLE).any()


def test_a_lesion_of_which_the_seed_shows_a_small_part_grows_to_many_times_its_area() -> None:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    truth = [(rows - 48) ** 2 + (columns - 48) ** 2 < radius**2 for radius in (8, 26, 28, 28)]
    cine = Cine.from_array(np.stack([np.where(mask, 200, 60).astype(np.uint8) for mask in truth]))
    inferer = PropagationInferer(TrackerSettings(input_size=96), torch.device("cpu"))
    results = list(inferer(inputs_for(cine, [Anchor(0, 0, truth[0])]), BrightNetwork()))
    assert len(results) == 3
    assert min(dice(result.masks[0], truth[result.frame]) for result in results) > 0.9


class NarrowNetwork(BrightNetwork):
    """Draws every outline two pixels inside where the bright disc ends; keeps the masks it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.priors: list[float] = []

    def segment(self, frames, code, previous, memory):
        self.priors.append(float((previous.masks > 0.5).sum()))
        bright = (frames.mean(dim=1, keepdim=True) > 0.5).float()
        inside = -torch.nn.functional.max_pool2d(-bright, 5, stride=1, padding=2)
        return (inside - 0.5) * 40


@pytest.mark.parametrize(("corrected", "expected"), [(False, False), (True, True)])
def test_a_network_s_habit_is_put_right_through_the_cine(corrected: bool, expected: bool) -> None:
    rows, columns = np.mgrid[:96, :128]
    truth = [((rows - 48) / 20) ** 2 + ((columns - 50 - 2 * t) / 15) ** 2 < 1 for t in range(8)]
    cine = Cine.from_array(np.stack([np.where(mask, 200, 60).astype(np.uint8) for mask in truth]))
    inferer = PropagationInferer(TrackerSettings(input_size=96, outline_correction=corrected), torch.device("cpu"))
    results = list(inferer(inputs_for(cine, [Anchor(0, 0, truth[0])]), NarrowNetwork()))
    assert len(results) == 7
    assert all((dice(r.masks[0], truth[r.frame]) > 0.95) == expected for r in results)


def test_the_network_goes_on_from_its_own_outline() -> None:
    rows, columns = np.mgrid[:96, :96]
    truth = ((rows - 48) / 20) ** 2 + ((columns - 48) / 15) ** 2 < 1
    cine = Cine.from_array(np.stack([np.where(truth, 200, 60).astype(np.uint8)] * 6))
    priors = {}
    for corrected in (False, True):
        network = NarrowNetwork()
        inferer = PropagationInferer(TrackerSettings(input_size=96, outline_correction=corrected), torch.device("cpu"))
        list(inferer(inputs_for(cine, [Anchor(0, 0, truth)]), network))
        priors[corrected] = network.priors[-4:]
    assert priors[True] == priors[False]


def test_what_another_lesion_won_is_taken_from_the_network_s_outline_too() -> None:
    rows, columns = np.mgrid[:96, :128]
    both = ((rows - 48) / 20) ** 2 + ((columns - 64) / 30) ** 2 < 1
    cine = Cine.from_array(np.stack([np.where(both, 200, 60).astype(np.uint8)] * 5))
    halves = [Anchor(0, 0, both & (columns < 64)), Anchor(1, 0, both & (columns >= 64))]
    inferer = PropagationInferer(TrackerSettings(input_size=96), torch.device("cpu"))
    results = list(inferer(inputs_for(cine, halves), NarrowNetwork()))
    assert len(results) == 4
    assert not any((r.masks[0] & r.masks[1]).any() for r in results)


def plainly_applied(correction: OutlineCorrection, predicted: np.ndarray, now: np.ndarray, side: float) -> np.ndarray:
    """Apply a correction that has followed already, everywhere in the window."""
    size = len(predicted)
    own, (columns, rows) = signed_distance(predicted), correction._origin
    difference, drawn, anchors = (
        np.asarray(cv2.remap(field, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
        for field in (correction._difference, correction._drawn, correction._structure)
    )
    near = np.abs(own) < outline.BAND * size
    alike = likeness(anchors[near], structure(now)[near])
    remaining = min(1.0, correction._area_of(predicted, correction._window) / correction._area)
    distance = own + difference * np.float32(remaining * alike * size / side)
    towards = np.clip(drawn * np.float32(size / side) - distance, -outline.INWARDS * size, outline.OUTWARDS * size)
    trust = np.where(towards > 0, alike**outline.TRUST_OUTWARDS, alike**outline.TRUST_INWARDS)
    distance += towards * trust.astype(np.float32) * np.float32(remaining)
    return 1 / (1 + np.exp(-np.clip(distance, -outline.STEEPEST, outline.STEEPEST)))


@pytest.mark.parametrize("size", [64, 160, 240])
@pytest.mark.parametrize("place", [(0.5, 0.5), (0.1, 0.9)])
def test_what_is_left_out_far_from_the_outline_changes_nothing(size: int, place: tuple[float, float]) -> None:
    rng = np.random.default_rng(size)
    pictures = rng.integers(0, 255, (4, size, size), np.uint8)
    pictures = np.stack([cv2.GaussianBlur(one, (0, 0), 2) for one in pictures])
    rows, columns = np.mgrid[:size, :size]
    away = np.hypot(rows - place[0] * size, (columns - place[1] * size) * 0.8)
    drawn = (away < 0.2 * size).astype(np.float32)
    window = Window(150.0, 150.0, 1.3 * size)
    correction = OutlineCorrection(drawn, (away < 0.17 * size).astype(np.float32), pictures[0], window)
    for step, scale in enumerate((1.0, 0.5, 1.7), 1):
        window = Window(150.0, 150.0, scale * size)
        predicted = (1 / (1 + np.exp((away - 0.18 * size) / 2))).astype(np.float32)
        corrected = followed(correction, predicted, pictures[step], window)
        plain = plainly_applied(correction, predicted, pictures[step], window.side)
        assert np.array_equal(corrected, plain)
        assert 0 < np.count_nonzero(corrected > 0.5) < size**2
