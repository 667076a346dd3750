"""A lesion that was lost: what is taken for it when something like it is seen again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from engine_helpers import clip_of_moving_discs, dice, disc, inputs_for
from stand_in_networks import BrightNetwork, HoldNetwork
from torch import Tensor

from UltrasoundLesionSegLib.cine import Anchor, Cine, FrameResult
from UltrasoundLesionSegLib.engine.bundles import PROPAGATE, default_bundle, find_bundle
from UltrasoundLesionSegLib.engine.confidence import certainty
from UltrasoundLesionSegLib.engine.contrast import FAINT, RISEN
from UltrasoundLesionSegLib.engine.last_view import LastView
from UltrasoundLesionSegLib.engine.network_api import FrameCode, MemoryRead, PreviousFrame, PropagationNetwork
from UltrasoundLesionSegLib.engine.presence import CERTAIN_FAINT, CERTAIN_REMAINDER, SEARCH
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.engine.returning import ALIKE, CERTAIN_ALIKE, CERTAIN_ELSEWHERE, CERTAIN_HERE
from UltrasoundLesionSegLib.engine.stretches import Direction
from UltrasoundLesionSegLib.engine.tracker import LesionTracker, TrackerSettings
from UltrasoundLesionSegLib.engine.window import Window
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine

SHAPE = (96, 128)
HERE, BESIDE, AWAY = (48, 30), (48, 38), (48, 90)  # row and column of the disc's centre
CLEAR, FAIR, UNSURE, HESITANT = 40.0, 8.0, 6.5, 4.0  # log odds from black to white
BLIND = 100.0
AROUND, DIM, DIMMED = 110, 140, 170  # grey levels around the disc, and of one that hardly stands out and one that does
LEFT = range(3, 9)  # frames without the lesion


class SureNetwork(BrightNetwork):
    """Calls everything brighter than mid-grey lesion, as surely as it is told."""

    def __init__(self, sureness: float) -> None:
        super().__init__()
        self.sureness = sureness

    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
        self.reads.append(memory)
        return (frames.mean(dim=1, keepdim=True) - 0.5) * self.sureness


def clip(back: tuple[int, int]) -> tuple[Cine, list[np.ndarray]]:
    """Return a cine whose bright disc leaves and comes back somewhere, and where it is."""
    return shown([None if t in LEFT else HERE if t < LEFT[0] else back for t in range(14)])


def shown(centres: list[tuple[int, int] | None]) -> tuple[Cine, list[np.ndarray]]:
    """Return a cine with a bright disc at these places, on frames without one dark, and where it is."""
    truth = [np.zeros(SHAPE, bool) if centre is None else disc(SHAPE, *centre, 14) for centre in centres]
    return bright(truth), truth


def bright(truth: list[np.ndarray]) -> Cine:
    """Return a cine that is bright inside the masks."""
    return Cine.from_array(np.stack([np.where(mask, 200, 60).astype(np.uint8) for mask in truth]))


def fading(certainties: list[float | None]) -> tuple[Cine, list[np.ndarray]]:
    """Return a cine whose disc is as bright as makes ``SureNetwork(CLEAR)`` so certain; None: dark."""
    shades = [60.0 if one is None else 127.5 + 255 / CLEAR * math.log((1 + one) / (1 - one)) for one in certainties]
    lesion = disc(SHAPE, *HERE, 14)
    truth = [lesion & (one is not None) for one in certainties]
    return Cine.from_array(np.stack([np.where(lesion, shade, 60).astype(np.uint8) for shade in shades])), truth


def follow(cine: Cine, anchor: Anchor, sureness: float, certainty_kept: float = 0.0) -> dict[int, FrameResult]:
    settings = TrackerSettings(input_size=96, outline_correction=False, certainty_kept=certainty_kept)
    inferer = PropagationInferer(
        settings, torch.device("cpu"), overlap=find_bundle("bas_s_propagate").overlap_estimate()
    )
    inputs = inputs_for(cine, [anchor], direction=Direction.BOTH)
    return {result.frame: result for result in inferer(inputs, SureNetwork(sureness))}


def certainty_at(log_odds: np.ndarray) -> float:
    return certainty((1 / (1 + np.exp(-log_odds))).astype(np.float32))


def test_the_clips_are_what_the_tests_take_them_for() -> None:
    levels = np.where(clip(HERE)[1][0], 200, 60) / 255 - 0.5
    clear, fair, hesitant = (certainty_at(levels * one) for one in (CLEAR, FAIR, HESITANT))
    assert hesitant < CERTAIN_REMAINDER < CERTAIN_HERE < fair < CERTAIN_ELSEWHERE < clear
    assert (DIM - AROUND) / (200 - AROUND) < FAINT < (DIMMED - AROUND) / (200 - AROUND)
    assert (200 - DIM) / (200 - AROUND) > RISEN
    levels = np.where(clip(HERE)[1][0], DIM, AROUND) / 255 - 0.5
    unsure, sure = (certainty_at(levels * one) for one in (CLEAR, BLIND))
    assert unsure < CERTAIN_FAINT < sure


@pytest.mark.parametrize(
    ("back", "sureness", "found"),
    [
        (HERE, CLEAR, True),
        (BESIDE, CLEAR, True),
        (AWAY, CLEAR, True),
        (HERE, FAIR, True),
        (AWAY, FAIR, False),
        (HERE, HESITANT, False),
    ],
)
def test_what_comes_back_must_be_seen_clearly_and_more_so_elsewhere(
    back: tuple[int, int], sureness: float, found: bool
) -> None:
    cine, truth = clip(back)
    results = follow(cine, Anchor(0, 0, truth[0]), sureness)
    assert dice(results[LEFT[0] - 1].masks[0], truth[LEFT[0] - 1]) > 0.9  # followed while it was there
    assert not any(results[frame].masks.any() for frame in LEFT)
    # where it was is looked at on every other frame at least, the rest of the frame on the ones between
    for frame in range(LEFT[-1] + 2, 14):
        if found:
            assert dice(results[frame].masks[0], truth[frame]) > 0.9
        else:
            assert not results[frame].masks.any()
            # "none" is less sure here (0.94 to 0.96) than where nothing like it was seen for long (0.99)
            assert results[frame].confidence[0] < max(results[one].confidence[0] for one in LEFT) - 0.02


@pytest.mark.parametrize(
    ("radius", "alike", "found"),
    [(14, 0.9, True), (32, 0.9, False), (9, 0.9, True), (14, 0.3, True), (32, 0.3, True), (9, 0.3, False)],
)
def test_what_comes_back_much_larger_in_its_tissue_or_as_a_part_in_other_tissue_must_be_seen_as_clearly_as_elsewhere(
    monkeypatch: pytest.MonkeyPatch, radius: int, alike: float, found: bool
) -> None:
    """A disc of radius 32 has five times the area of the anchor's, of radius 14; one of radius 9 covers 41% of it."""
    monkeypatch.setattr(LastView, "likeness", lambda view, now: alike)
    truth = clip(HERE)[1]
    returned = disc(SHAPE, *HERE, radius)
    truth[LEFT[-1] + 1 :] = [returned] * (14 - LEFT[-1] - 1)
    assert follow(bright(truth), Anchor(0, 0, truth[0]), FAIR)[13].masks.any() == found
    assert follow(bright(truth), Anchor(0, 0, truth[0]), CLEAR)[13].masks.any()


@pytest.mark.parametrize(("frames", "kept", "followed"), [(1, 0.8, False), (1, 0.0, True), (16, 0.8, True)])
def test_a_mask_of_which_a_network_is_suddenly_less_certain_is_not_the_lesion_where_its_model_says_so(
    frames: int, kept: float, followed: bool
) -> None:
    falling = np.linspace(0.99, 0.75, frames + 1).tolist()
    cine, truth = fading([0.99] * 3 + falling + [0.75] * 3)
    results = follow(cine, Anchor(0, 0, truth[0]), CLEAR, kept)
    assert results[3 + frames].masks.any() == followed
    assert all(results[frame].masks.any() for frame in range(1, 3 + frames))


def test_a_lesion_that_came_back_is_not_compared_with_how_certain_a_network_was_before() -> None:
    cine, truth = fading([0.99] * 3 + [None] * 2 + [0.78] * 4)
    results = follow(cine, Anchor(0, 0, truth[0]), CLEAR, 0.8)
    assert [frame for frame in range(1, 9) if not results[frame].masks.any()] == [3, 4]


@pytest.mark.parametrize("alike", [0.9, 0.3])
def test_where_the_tissue_is_as_it_was_less_certainty_is_needed(monkeypatch: pytest.MonkeyPatch, alike: float) -> None:
    monkeypatch.setattr(LastView, "likeness", lambda view, now: alike)
    cine, truth = clip(HERE)
    levels = cine.frames[13] / 255 - 0.5
    assert CERTAIN_ALIKE < certainty_at(levels * UNSURE) < CERTAIN_HERE
    results = follow(cine, Anchor(0, 0, truth[0]), UNSURE)
    assert results[13].masks.any() == (alike > ALIKE)
    assert not follow(clip(AWAY)[0], Anchor(0, 0, truth[0]), UNSURE)[13].masks.any()


def test_before_an_anchor_without_the_lesion_it_is_looked_for_everywhere() -> None:
    cine, truth = clip(AWAY)
    seen = follow(cine, Anchor(0, LEFT[0], truth[LEFT[0]]), FAIR)
    assert dice(seen[LEFT[0] - 1].masks[0], truth[LEFT[0] - 1]) > 0.9
    assert dice(seen[13].masks[0], truth[13]) > 0.9
    assert not follow(cine, Anchor(0, LEFT[0], truth[LEFT[0]]), HESITANT)[13].masks.any()


def test_a_lesion_that_no_anchor_shows_can_be_lost_and_found() -> None:
    cine, truth = shown([None, HERE, HERE, None, None, HERE, AWAY, AWAY])
    results = follow(cine, Anchor(0, 0, truth[0]), CLEAR)
    assert all(dice(results[frame].masks[0], truth[frame]) > 0.9 for frame in (1, 2, 5))
    assert not results[3].masks.any()


def test_a_lost_lesion_is_looked_for_where_it_was_and_everywhere_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was, the network sees more of its surroundings than usual, but not the whole frame."""
    sides: list[Window] = []
    look = LesionTracker._look_through

    def noted(self: LesionTracker, window: Window) -> None:
        sides.append(window)
        look(self, window)

    monkeypatch.setattr(LesionTracker, "_look_through", noted)
    cine, truth = shown([HERE, HERE, *[None] * 8])
    follow(cine, Anchor(0, 0, truth[0]), CLEAR)
    where_it_was = [np.isclose((window.row, window.column), HERE, atol=1).all() for window in sides[2:]]
    whole = [window.side == max(SHAPE) for window in sides[2:]]
    assert where_it_was == [True, True, True, True, False, True, False]
    assert whole == [not here for here in where_it_was]
    side = SEARCH * TrackerSettings().window_margin * np.sqrt(truth[0].sum())
    assert np.isclose([window.side for window in sides[2:6]], side).all()
    assert side > sides[0].side


@pytest.mark.parametrize(("radius", "sureness", "kept"), [(5, CLEAR, True), (5, HESITANT, False), (9, HESITANT, True)])
def test_a_doubtful_small_remainder_is_no_lesion(radius: int, sureness: float, kept: bool) -> None:
    truth = [disc(SHAPE, *HERE, 14), *[disc(SHAPE, *HERE, radius)] * 3]
    results = follow(bright(truth), Anchor(0, 0, truth[0]), sureness)
    if kept:
        assert all(dice(results[frame].masks[0], truth[frame]) > 0.9 for frame in (1, 2, 3))
    else:
        assert not any(results[frame].masks.any() for frame in (1, 2, 3))


@pytest.mark.parametrize(
    ("level", "sureness", "kept"), [(DIM, CLEAR, False), (DIM, BLIND, True), (DIMMED, CLEAR, True)]
)
def test_tissue_that_does_not_stand_out_as_the_lesion_did_is_no_lesion(level: int, sureness: float, kept: bool) -> None:
    """The place is the lesion's and the network says lesion, but inside is nearly as outside."""
    lesion = disc(SHAPE, *HERE, 14)
    levels = np.array([200, level, level, level, 200, 200])[:, None, None]
    cine = Cine.from_array(np.where(lesion, levels, AROUND).astype(np.uint8))
    results = follow(cine, Anchor(0, 0, lesion), sureness)
    assert all(bool(results[frame].masks.any()) is kept for frame in (1, 2, 3))
    assert all(dice(results[frame].masks[0], lesion) > 0.9 for frame in (4, 5))  # it is back
    # what was as faint on the anchor is the lesion
    later = Cine.from_array(np.stack([cine.frames[frame] for frame in (1, 2, 3)]))
    assert follow(later, Anchor(0, 0, lesion), sureness)[2].masks.any()


class RemindedNetwork(SureNetwork):
    """Finds the lesion only where the nearest anchor in its memory shows one."""

    def memorize(self, frames, code, masks):
        item = super().memorize(frames, code, masks)
        return type(item)(item.key, torch.full_like(item.value, float((masks > 0.5).any())))

    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
        known = bool((memory.values[:, memory.nearest_permanent()] > 0).any())
        return super().segment(frames, code, previous, memory) if known else torch.full_like(frames[:, :1], -CLEAR)


def results_of(cine: Cine, anchors: list[Anchor], network: BrightNetwork, **plan: Any) -> dict[int, FrameResult]:
    settings = TrackerSettings(input_size=96, outline_correction=False)
    inferer = PropagationInferer(settings, torch.device("cpu"))
    return {r.frame: r for r in inferer(inputs_for(cine, anchors, **plan), network) if r.final.any()}


def test_a_frame_declared_empty_does_not_make_the_lesion_unknown_behind_it() -> None:
    cine, truth = clip(HERE)
    middle = LEFT[len(LEFT) // 2]
    anchors = [Anchor(0, 0, truth[0]), Anchor(0, middle, truth[middle])]
    results = results_of(cine, anchors, RemindedNetwork(CLEAR))
    assert sorted(results) == [frame for frame in range(1, 14) if frame != middle]
    assert not any(results[frame].masks.any() for frame in LEFT if frame != middle)
    assert all(dice(results[frame].masks[0], truth[frame]) > 0.9 for frame in range(LEFT[-1] + 2, 14))


def test_a_lesion_whose_drawn_rim_looks_otherwise_than_its_core_is_not_lost_on_the_next_frame() -> None:
    core, drawn = disc(SHAPE, *HERE, 12), disc(SHAPE, *HERE, 24)
    picture = np.full(SHAPE, AROUND, np.uint8)
    picture[drawn], picture[core] = 20, 150  # as a whole darker than its surroundings, its core brighter
    results = follow(Cine.from_array(np.stack([picture] * 3)), Anchor(0, 0, drawn), CLEAR)
    levels = picture / 255 - 0.5
    assert certainty_at(levels * CLEAR) < CERTAIN_FAINT
    assert all(dice(results[frame].masks[0], core) > 0.9 for frame in (1, 2))


@pytest.mark.parametrize("back", [HERE, BESIDE, AWAY])
@pytest.mark.parametrize("declared", [[LEFT[0]], [LEFT[2]], [LEFT[-1]], list(LEFT)])
@pytest.mark.parametrize("seed", [0, 13])
def test_frames_declared_empty_where_nothing_was_seen_change_no_other_frame(
    back: tuple[int, int], declared: list[int], seed: int
) -> None:
    cine, truth = clip(back)
    drawn = Anchor(0, seed, truth[seed])
    without = results_of(cine, [drawn], SureNetwork(CLEAR))
    assert not any(without[frame].masks.any() for frame in LEFT)
    anchors = [drawn, *(Anchor(0, frame, truth[frame]) for frame in declared)]
    results = results_of(cine, anchors, SureNetwork(CLEAR))
    assert sorted(results) == sorted(set(without) - set(declared))
    assert all(np.array_equal(one.masks, without[frame].masks) for frame, one in results.items())


def test_what_was_followed_to_a_frame_declared_empty_was_not_the_lesion() -> None:
    """A disc drifts away; a person says that it is not the lesion, and the lesion comes back where it was drawn."""
    places = np.linspace(HERE[1], AWAY[1], 7).astype(int)
    cine, truth = shown([*((HERE[0], column) for column in places), *[AWAY] * 4, *[HERE] * 5])
    drawn = Anchor(0, 0, truth[0])
    followed = results_of(cine, [drawn], SureNetwork(FAIR))
    assert all(dice(followed[frame].masks[0], truth[frame]) > 0.9 for frame in range(1, 11))
    network = SureNetwork(FAIR)
    told = results_of(cine, [drawn, Anchor(0, 7, np.zeros(SHAPE, bool))], network)
    assert not any(told[frame].masks.any() for frame in (8, 9, 10))
    assert all(dice(told[frame].masks[0], truth[frame]) > 0.9 for frame in (12, 13, 14, 15))
    # frame 7 is looked at, too; then what was remembered of the drift is forgotten, the anchor is not
    assert [len(read.permanent) for read in network.reads[6:11]] == [6, 7, 1, 1, 1]


def test_what_a_person_said_is_not_the_lesion_is_not_taken_for_it_again() -> None:
    """Other tissue beside the lesion's place is followed from frame 3 on; the lesion comes back far from it."""
    cine, truth = shown([HERE] * 3 + [BESIDE] * 8 + [None] + [AWAY] * 4)
    drawn = Anchor(0, 0, truth[0])
    followed = results_of(cine, [drawn], SureNetwork(CLEAR))
    assert all(dice(followed[frame].masks[0], truth[frame]) > 0.9 for frame in range(1, 11))
    told = results_of(cine, [drawn, Anchor(0, 6, np.zeros(SHAPE, bool))], SureNetwork(CLEAR))
    assert all(np.array_equal(told[frame].masks, followed[frame].masks) for frame in range(1, 6))
    assert not any(told[frame].masks.any() for frame in range(7, 12))
    assert all(dice(told[frame].masks[0], truth[frame]) > 0.9 for frame in (13, 14, 15))


def test_between_anchors_a_frame_declared_empty_counts_on_both_of_its_sides_if_masks_cannot_be_compared() -> None:
    """Of a disc that one direction holds and the other does not see, what is nearer to the empty frame is not there."""
    cine, truth = shown([HERE] * 3 + [None] * 10 + [HERE] * 2)
    held = truth[0]
    anchors = [Anchor(0, 0, held), Anchor(0, 8, np.zeros(SHAPE, bool)), Anchor(0, 14, truth[14])]
    inferer = PropagationInferer(TrackerSettings(input_size=96, outline_correction=False), torch.device("cpu"))
    inputs = inputs_for(cine, anchors)
    assert [stretch.distances(6, with_absent=True) for stretch in inputs.stretches] == [(6, 2)]
    final = {r.frame: r for r in inferer(inputs, HoldNetwork()) if r.final[0]}
    # holding goes on from a seed, and from nothing after a frame without the lesion
    held_on = {frame for frame, one in final.items() if one.masks.any()}
    assert held_on - {4, 11} == {1, 2, 3, 12, 13}  # 4 and 11 are as far from either anchor


def test_one_lesion_may_be_declared_empty_where_another_is_drawn_or_followed() -> None:
    cine, truth = shown([HERE] * 9)
    other = disc(SHAPE, 48, 90, 14)
    cine = bright([one | other for one in truth])
    nothing = np.zeros(SHAPE, bool)
    anchors = [Anchor(0, 0, truth[0]), Anchor(1, 0, other), Anchor(0, 4, nothing), Anchor(1, 6, other)]
    inferer = PropagationInferer(TrackerSettings(input_size=96, window_margin=1.2), torch.device("cpu"))
    steps = list(inferer(inputs_for(cine, anchors), SureNetwork(CLEAR)))
    assert len(steps) == inputs_for(cine, anchors).count_steps()
    final = {r.frame: r for r in steps if r.final.any()}
    computed = {r.frame: r.computed.tolist() for r in steps if r.computed.any()}
    assert computed[4] == [False, True]
    assert not final[4].masks[0].any()
    assert dice(final[4].masks[1], other) > 0.9
    assert computed[3] == computed[5] == [False, True]  # of the backward sweep, which the first lesion has no part in
    assert all(dice(final[frame].masks[1], other) > 0.9 for frame in (1, 2, 3, 5, 7, 8))


def test_a_frame_declared_empty_that_cannot_be_read_is_named_and_still_believed() -> None:
    cine, truth = clip_of_moving_discs(frames=9, hidden=range(4, 6), broken=(4,))
    network = SureNetwork(CLEAR)
    inferer = PropagationInferer(TrackerSettings(input_size=64, outline_correction=False), torch.device("cpu"))
    anchors = [Anchor(0, 0, truth[0][0]), Anchor(0, 4, truth[4][0])]
    results = {r.frame: r for r in inferer(inputs_for(cine, anchors), network)}
    assert "frame 4 cannot be read" in results[4].error
    assert not results[4].masks.any()
    # frames 1 to 3 are forgotten behind it
    assert [len(read.permanent) for read in network.reads] == [1, 1, 2, 3, 1, 1, 2, 3]
    assert all(dice(results[frame].masks[0], truth[frame][0]) > 0.9 for frame in (1, 2, 3, 7, 8))


def test_the_default_model_finds_a_simulated_lesion_again_behind_a_frame_declared_empty() -> None:
    simulated = simulate_cine(SimulationSettings(seed=2, frames=26, height=160, width=180, leaves_plane=True))
    cine = simulated.cine
    truth = [simulated.truth[frame][0] for frame in range(len(cine))]
    gone = [frame for frame, mask in enumerate(truth) if not mask.any()]
    bundle = default_bundle(PROPAGATE)
    inferer = PropagationInferer(bundle.tracker_settings(), torch.device("cpu"))
    network = bundle.load_for_inference("cpu")
    assert isinstance(network, PropagationNetwork)
    scores = []
    for declared in ([], [gone[len(gone) // 2]]):
        anchors = [Anchor(0, 0, truth[0]), *(Anchor(0, frame, truth[frame]) for frame in declared)]
        found = {r.frame: r.masks[0] for r in inferer(inputs_for(cine, anchors), network) if r.final[0]}
        scores.append(np.mean([dice(found[t], truth[t]) for t in found if truth[t].any()]))
    assert scores[0] > 0.85
    assert scores[1] > scores[0] - 0.01
