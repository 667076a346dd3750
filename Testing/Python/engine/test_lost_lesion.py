"""A lesion that was lost: what is taken for it when something like it is seen again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_helpers import dice, disc, inputs_for
from stand_in_networks import BrightNetwork
from torch import Tensor

from UltrasoundLesionSegLib.cine import Anchor, Cine, FrameResult
from UltrasoundLesionSegLib.engine.confidence import certainty
from UltrasoundLesionSegLib.engine.contrast import FAINT, RISEN
from UltrasoundLesionSegLib.engine.network_api import FrameCode, MemoryRead, PreviousFrame
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.engine.stretches import Direction
from UltrasoundLesionSegLib.engine.tracker import (
    CERTAIN_ELSEWHERE,
    CERTAIN_FAINT,
    CERTAIN_HERE,
    CERTAIN_REMAINDER,
    SEARCH,
    LesionTracker,
    TrackerSettings,
)
from UltrasoundLesionSegLib.engine.window import Window

SHAPE = (96, 128)
HERE, BESIDE, AWAY = (48, 30), (48, 38), (48, 90)  # row and column of the disc's centre
CLEAR, FAIR, HESITANT = 40.0, 8.0, 4.0  # log odds from black to white
BLIND = 100.0
AROUND, DIM, DIMMED = 110, 140, 170  # grey levels around the disc, and of one that hardly stands out and one that does
LEFT = range(3, 9)  # frames without the lesion


class SureNetwork(BrightNetwork):
    """Calls everything brighter than mid-grey lesion, as surely as it is told."""

    def __init__(self, sureness: float) -> None:
        super().__init__()
        self.sureness = sureness

    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
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


def follow(cine: Cine, anchor: Anchor, sureness: float) -> dict[int, FrameResult]:
    settings = TrackerSettings(input_size=96, outline_correction=False)
    inferer = PropagationInferer(settings, torch.device("cpu"))
    inputs = inputs_for(cine, [anchor], direction=Direction.BOTH)
    return {result.frame: result for result in inferer(inputs, SureNetwork(sureness))}


def test_the_clips_are_what_the_tests_take_them_for() -> None:
    levels = np.where(clip(HERE)[1][0], 200, 60) / 255 - 0.5
    clear, fair, hesitant = (certainty(1 / (1 + np.exp(-levels * one))) for one in (CLEAR, FAIR, HESITANT))
    assert hesitant < CERTAIN_REMAINDER < CERTAIN_HERE < fair < CERTAIN_ELSEWHERE < clear
    assert (DIM - AROUND) / (200 - AROUND) < FAINT < (DIMMED - AROUND) / (200 - AROUND)
    assert (200 - DIM) / (200 - AROUND) > RISEN
    levels = np.where(clip(HERE)[1][0], DIM, AROUND) / 255 - 0.5
    unsure, sure = (certainty(1 / (1 + np.exp(-levels * one))) for one in (CLEAR, BLIND))
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
            # a person should look here rather than where it was followed
            assert results[frame].confidence[0] < min(results[one].confidence[0] for one in range(1, LEFT[0]))


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

    def memorize(self, frames, code, masks):  # type: ignore[no-untyped-def]
        item = super().memorize(frames, code, masks)
        return type(item)(item.key, torch.full_like(item.value, float((masks > 0.5).any())))

    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
        known = bool((memory.values[:, memory.nearest_permanent()] > 0).any())
        return super().segment(frames, code, previous, memory) if known else torch.full_like(frames[:, :1], -CLEAR)


def test_a_frame_declared_empty_does_not_make_the_lesion_unknown_behind_it() -> None:
    cine, truth = clip(HERE)
    middle = LEFT[len(LEFT) // 2]
    anchors = [Anchor(0, 0, truth[0]), Anchor(0, middle, truth[middle])]
    inferer = PropagationInferer(TrackerSettings(input_size=96), torch.device("cpu"))
    results = {r.frame: r for r in inferer(inputs_for(cine, anchors), RemindedNetwork(CLEAR)) if r.final[0]}
    assert not any(results[frame].masks.any() for frame in LEFT if frame != middle)
    assert all(dice(results[frame].masks[0], truth[frame]) > 0.9 for frame in range(LEFT[-1] + 2, 14))


def test_a_lesion_whose_drawn_rim_looks_otherwise_than_its_core_is_not_lost_on_the_next_frame() -> None:
    core, drawn = disc(SHAPE, *HERE, 12), disc(SHAPE, *HERE, 24)
    picture = np.full(SHAPE, AROUND, np.uint8)
    picture[drawn], picture[core] = 20, 150  # as a whole darker than its surroundings, its core brighter
    results = follow(Cine.from_array(np.stack([picture] * 3)), Anchor(0, 0, drawn), CLEAR)
    levels = picture / 255 - 0.5
    assert certainty(1 / (1 + np.exp(-levels * CLEAR))) < CERTAIN_FAINT
    assert all(dice(results[frame].masks[0], core) > 0.9 for frame in (1, 2))
