"""What is followed or found again is compared with the drawn lesion by a network's features."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from engine_helpers import disc, inputs_for
from stand_in_networks import BrightNetwork
from torch import Tensor

from UltrasoundLesionSegLib.cine import Anchor, Cine, FrameResult
from UltrasoundLesionSegLib.engine.bundles import default_overlap, find_bundle
from UltrasoundLesionSegLib.engine.last_view import LastView
from UltrasoundLesionSegLib.engine.network_api import FrameCode, MemoryRead, PreviousFrame, PropagationNetwork
from UltrasoundLesionSegLib.engine.network_input import NetworkInput
from UltrasoundLesionSegLib.engine.presence import FRAMES_OF_DOUBT
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.engine.resemblance import Resemblance
from UltrasoundLesionSegLib.engine.signals import Signals
from UltrasoundLesionSegLib.engine.stretches import Direction
from UltrasoundLesionSegLib.engine.tracker import LesionTracker, TrackerSettings
from UltrasoundLesionSegLib.engine.window import Window

SHAPE = (96, 128)
# colours of the same brightness
RED, GREEN, BLUE = np.array([1.5, 0.75, 0.75]), np.array([0.75, 1.5, 0.75]), np.array([0.75, 0.75, 1.5])
SURE, DOUBTFUL = 165, 134  # grey levels of which ``ColourNetwork`` is certain, and much less so
AROUND = 60


class ColourNetwork(BrightNetwork):
    """Finds what is brighter than mid-grey, and tells structures from each other by their colour."""

    def appearance(self, code: FrameCode) -> Tensor:
        return code.key

    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
        return (frames.mean(dim=1, keepdim=True) - 0.5) * 60


class ColourBlindNetwork(ColourNetwork):
    """Finds the same, and cannot tell."""

    def appearance(self, code: FrameCode) -> Tensor:
        return PropagationNetwork.appearance(self, code)


LESION = disc(SHAPE, 48, 64, 14)


def coloured(*shown: tuple[np.ndarray, int] | None) -> Cine:
    """Return a cine with a disc of these colours and brightnesses; None: without it."""
    frames = np.full((len(shown), *SHAPE, 3), AROUND, np.uint8)
    for frame, disc_of in zip(frames, shown, strict=True):
        if disc_of is not None:
            frame[LESION] = np.clip(disc_of[0] * disc_of[1], 0, 255)
    return Cine.from_array(frames)


def follow(cine: Cine, network: BrightNetwork, not_visible: int | None = None) -> list[bool]:
    """Return on which frames after the first, the anchor, a lesion is seen; one may be marked "not visible"."""
    settings = TrackerSettings(input_size=96, outline_correction=False)
    anchors = [Anchor(0, 0, LESION)]
    if not_visible is not None:
        anchors.append(Anchor(0, not_visible, np.zeros_like(LESION)))
    inputs = inputs_for(cine, anchors, direction=Direction.BOTH)
    results: dict[int, FrameResult] = {
        one.frame: one for one in PropagationInferer(settings, torch.device("cpu"))(inputs, network)
    }
    return [frame in results and bool(results[frame].masks.any()) for frame in range(1, len(cine))]


@pytest.fixture
def resemblance() -> Resemblance:
    network = ColourNetwork()
    return Resemblance(network, NetworkInput(network, 96, torch.device("cpu")))


def know(resemblance: Resemblance, colour: np.ndarray = RED, drawn: np.ndarray = LESION) -> tuple[NetworkInput, Window]:
    network_input = NetworkInput(ColourNetwork(), 96, torch.device("cpu"))
    window = Window.around(drawn, 2.0, 48.0)
    view = network_input.view(np.asarray(coloured((colour, SURE)).frames[0]), window)
    resemblance.know_anchor(view, network_input.cut_mask(drawn.astype(np.float32), window), window, drawn)
    return network_input, window


@pytest.mark.parametrize(("colour", "least", "most"), [(RED, 0.99, 1.0), (GREEN, 0.5, 0.95), (-0.3 * RED, -1, 0)])
def test_what_looks_alike_inside_and_around_resembles_the_drawn_lesion(
    resemblance: Resemblance, colour: np.ndarray, least: float, most: float
) -> None:
    network_input, window = know(resemblance)
    frame = np.asarray(coloured((colour, SURE)).frames[0])
    seen = network_input.cut_mask(LESION.astype(np.float32), window)
    found = resemblance.of(resemblance.describe(network_input.view(frame, window), seen))
    assert least <= round(found, 5) <= most
    assert resemblance.beside_anchor(frame, LESION) == pytest.approx(found, abs=0.01)


def test_beside_the_anchor_a_mask_is_seen_as_large_as_the_lesion_was(resemblance: Resemblance) -> None:
    """Through the small window of a small mask, everything around it would be lesion."""
    know(resemblance)
    frame = np.asarray(coloured((RED, SURE)).frames[0])
    moved = np.roll(frame, (10, -20), (0, 1))
    assert resemblance.beside_anchor(moved, np.roll(LESION, (10, -20), (0, 1))) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("edge_first", [True, False])
def test_masks_are_compared_with_the_anchor_that_shows_most_of_the_lesion(
    resemblance: Resemblance, edge_first: bool
) -> None:
    edge = LESION & disc(SHAPE, 48, 76, 6)
    for colour, drawn in [(GREEN, edge), (RED, LESION)] if edge_first else [(RED, LESION), (GREEN, edge)]:
        know(resemblance, colour, drawn)
    red, green = (np.asarray(coloured((colour, SURE)).frames[0]) for colour in (RED, GREEN))
    assert resemblance.beside_anchor(red, LESION) == pytest.approx(1, abs=0.01)
    assert resemblance.beside_anchor(green, LESION) < 0.95


def test_a_lesion_lost_beside_an_anchor_that_shows_its_edge_must_resemble_the_whole_lesion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LastView, "likeness", lambda view, now: 0.3)
    monkeypatch.setattr("UltrasoundLesionSegLib.engine.presence.RESEMBLING_AGAIN", 0.97)
    network = ColourNetwork()
    tracker = LesionTracker(network, TrackerSettings(input_size=96, outline_correction=False), torch.device("cpu"))
    cine = coloured((RED, SURE), (GREEN, SURE), None, (GREEN, SURE), (RED, SURE))
    tracker.remember_anchor(0, np.asarray(cine.frames[0]), LESION)
    tracker.start_at_anchor(1, np.asarray(cine.frames[1]), LESION & disc(SHAPE, 48, 76, 12))
    seen = []
    for frame in (2, 3, 4):
        found = tracker.step(np.asarray(cine.frames[frame]), frame).probabilities
        seen.append(bool(tracker.accept(frame, found).any()))
    assert seen == [False, False, True]


def test_nothing_is_known_before_an_anchor_or_of_a_network_without_appearance(resemblance: Resemblance) -> None:
    frame = np.asarray(coloured((RED, SURE)).frames[0])
    assert math.isnan(resemblance.beside_anchor(frame, LESION))
    network = ColourBlindNetwork()
    blind = Resemblance(network, NetworkInput(network, 96, torch.device("cpu")))
    network_input, window = know(blind)
    seen = network_input.cut_mask(LESION.astype(np.float32), window)
    assert math.isnan(blind.of(blind.describe(network_input.view(frame, window), seen)))
    assert math.isnan(blind.beside_anchor(frame, LESION))


@pytest.mark.parametrize(
    ("colour", "network", "followed"),
    [(GREEN, ColourNetwork(), False), (RED, ColourNetwork(), True), (GREEN, ColourBlindNetwork(), True)],
)
def test_what_a_network_follows_on_in_doubt_must_resemble_the_lesion(
    monkeypatch: pytest.MonkeyPatch, colour: np.ndarray, network: BrightNetwork, followed: bool
) -> None:
    monkeypatch.setattr("UltrasoundLesionSegLib.engine.presence.RESEMBLING", 0.97)  # colours are never opposites
    seen = follow(coloured(*[(RED, SURE)] * 4, (colour, DOUBTFUL), (colour, SURE)), network)
    assert seen == [True] * 4 + [followed]  # the frame of the fall itself keeps its mask


def test_without_doubt_and_when_it_has_passed_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("UltrasoundLesionSegLib.engine.presence.RESEMBLING", 0.97)
    assert all(follow(coloured(*[(RED, SURE)] * 4, *[(GREEN, SURE)] * 3), ColourNetwork()))
    doubted = [(RED, DOUBTFUL)] * (1 + FRAMES_OF_DOUBT)
    late = follow(coloured(*[(RED, SURE)] * 4, *doubted, *[(GREEN, SURE)] * 2), ColourNetwork())
    early = follow(coloured(*[(RED, SURE)] * 4, *doubted[:-1], *[(GREEN, SURE)] * 2), ColourNetwork())
    assert all(late)
    assert early == [True] * (3 + FRAMES_OF_DOUBT) + [False] * 2


@pytest.mark.parametrize(
    ("colour", "alike", "network", "found"),
    [
        (RED, 0.3, ColourNetwork(), True),
        (GREEN, 0.3, ColourNetwork(), False),
        (GREEN, 0.9, ColourNetwork(), False),  # the tissue around it may be as it was
        (GREEN, 0.3, ColourBlindNetwork(), True),
    ],
)
def test_what_is_taken_for_a_lost_lesion_must_resemble_it(
    monkeypatch: pytest.MonkeyPatch, colour: np.ndarray, alike: float, network: BrightNetwork, found: bool
) -> None:
    monkeypatch.setattr(LastView, "likeness", lambda view, now: alike)
    monkeypatch.setattr("UltrasoundLesionSegLib.engine.presence.RESEMBLING_AGAIN", 0.97)
    seen = follow(coloured(*[(RED, SURE)] * 3, None, None, *[(colour, SURE)] * 3), network)
    assert seen == [True, True, False, False] + [found] * 3


def test_what_is_found_lies_between_what_was_denied_and_the_drawn_lesion(resemblance: Resemblance) -> None:
    red, green, between = (np.asarray(coloured((one, SURE)).frames[0]) for one in (RED, GREEN, (RED + GREEN) / 2))
    know(resemblance)
    assert math.isnan(resemblance.from_denied(red, LESION))
    resemblance.know_denied(green, LESION)
    assert resemblance.from_denied(red, LESION) == pytest.approx(1, abs=0.01)
    assert resemblance.from_denied(green, LESION) == pytest.approx(0, abs=0.01)
    assert 0.3 < resemblance.from_denied(between, LESION) < 0.7


def test_what_looks_like_any_section_that_was_drawn_is_the_lesion(resemblance: Resemblance) -> None:
    """Only an edge of it does not count: it looks like what is left in its place."""
    know(resemblance, RED)
    know(resemblance, BLUE)
    know(resemblance, GREEN, LESION & disc(SHAPE, 48, 76, 6))
    red, green, blue = (np.asarray(coloured((one, SURE)).frames[0]) for one in (RED, GREEN, BLUE))
    resemblance.know_denied(green, LESION)
    assert resemblance.from_denied(red, LESION) == pytest.approx(1, abs=0.01)
    assert resemblance.from_denied(blue, LESION) == pytest.approx(1, abs=0.01)
    assert resemblance.from_denied(green, LESION) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("colour", "network", "found"),
    [(GREEN, ColourNetwork(), False), (RED, ColourNetwork(), True), (RED, ColourBlindNetwork(), False)],
)
def test_a_lesion_that_returns_in_the_place_of_what_was_denied_is_known_by_its_look(
    monkeypatch: pytest.MonkeyPatch, colour: np.ndarray, network: BrightNetwork, found: bool
) -> None:
    monkeypatch.setattr(LastView, "shows", lambda view, now, lesion: True)
    monkeypatch.setattr("UltrasoundLesionSegLib.engine.presence.RESEMBLING", 0.0)
    monkeypatch.setattr("UltrasoundLesionSegLib.engine.presence.RESEMBLING_AGAIN", 0.0)
    cine = coloured(*[(RED, SURE)] * 3, *[(GREEN, SURE)] * 3, *[(colour, SURE)] * 2)
    seen = follow(cine, network, not_visible=4)
    taken_back = not isinstance(network, ColourBlindNetwork)
    assert seen == [True, True, not taken_back, False, False] + [found] * 2


RED_THEN_GREEN = [(RED, SURE)] * 3 + [(GREEN, SURE)] * 6
EXPECTED = default_overlap().of_one(Signals(unseen=1.0, hidden=2.0, distance=4.0, absence=2.0))


def results_of(shown: list[tuple[np.ndarray, int]], drawn: list[int], not_visible: int) -> list[FrameResult]:
    settings = TrackerSettings(input_size=96, outline_correction=False)
    anchors = [Anchor(0, frame, LESION) for frame in drawn] + [Anchor(0, not_visible, np.zeros_like(LESION))]
    inputs = inputs_for(coloured(*shown), anchors, direction=Direction.BOTH)
    return list(PropagationInferer(settings, torch.device("cpu"))(inputs, ColourNetwork()))


@pytest.mark.parametrize("forward", [True, False])
def test_what_was_followed_before_a_frame_where_it_is_denied_is_taken_back(
    monkeypatch: pytest.MonkeyPatch, forward: bool
) -> None:
    monkeypatch.setattr("UltrasoundLesionSegLib.engine.presence.RESEMBLING", 0.0)
    shown = RED_THEN_GREEN if forward else RED_THEN_GREEN[::-1]
    results = results_of(shown, [0 if forward else 8], 6 if forward else 2)
    order = [one.frame if forward else 8 - one.frame for one in results]
    assert order == [1, 2, 3, 4, 5, 6, 7, 8, 3, 4, 5]
    assert all(one.final[0] for one in results if one.computed[0])
    last = {place: one for place, one in zip(order, results, strict=True)}
    assert [place for place, one in last.items() if one.masks.any()] == [1, 2]
    assert last[4].confidence[0] == pytest.approx(EXPECTED)


def test_between_two_anchors_each_pass_takes_back_its_own_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("UltrasoundLesionSegLib.engine.presence.RESEMBLING", 0.0)
    shown = [(RED, SURE)] * 3 + [(GREEN, SURE)] * 7 + [(RED, SURE)] * 3
    results = results_of(shown, [0, 12], 6)
    last = {one.frame: one for one in results}
    assert sorted(frame for frame, one in last.items() if one.masks.any()) == [1, 2, 10, 11]
    assert all(one.final.all() for frame, one in last.items() if frame != 6)


def test_the_shipped_networks_tell_structures_apart_if_they_are_trained_to_compare_frames() -> None:
    frames = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for name, tells in (("stpfnet_light", True), ("bas_s_propagate", False)):
        network = find_bundle(name).load_for_inference("cpu")
        assert isinstance(network, PropagationNetwork)
        code = network.encode(frames)
        assert (network.appearance(code) is not None) is tells
