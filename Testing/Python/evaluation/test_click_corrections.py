"""Poor masks of a propagation, corrected by clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from stand_in_networks import PointedNetwork

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.engine.clicking import ClickDrawing
from UltrasoundLesionSegLib.engine.merge import PackedProbabilities
from UltrasoundLesionSegLib.evaluation.click_corrections import (
    MOST_MASKS,
    SHOWN,
    PoorMask,
    WholeAnswer,
    corrected,
    poor_masks,
    table_text,
)
from UltrasoundLesionSegLib.evaluation.layouts import Layout, read_cases, write_davis_video
from UltrasoundLesionSegLib.evaluation.sessions import Filled, ModelFollower

ROWS, COLUMNS = np.mgrid[:120, :160]
DISC = (ROWS - 60) ** 2 + (COLUMNS - 70) ** 2 < 30**2


class TwoThirds(ModelFollower):
    """Finds the upper part of a lesion on all frames but the seed's; on every fourth one all of it."""

    def __init__(self) -> None:
        self.name = "two thirds"

    def fill(self, cine: Cine, anchors: object, frames: range) -> dict[int, Filled]:
        found = {}
        for frame in frames:
            mask = DISC if frame % 4 == 0 else DISC & (ROWS < 65)
            found[frame] = Filled((PackedProbabilities.pack(mask.astype(np.float32)),), (0.5,))
        return found


def test_poor_masks_are_taken_evenly(tmp_path: Path) -> None:
    frames = np.repeat(np.where(DISC, 230, 20).astype(np.uint8)[None], 40, axis=0)
    write_davis_video(tmp_path, "clip", frames, np.repeat(DISC[None], 40, axis=0))
    (case,) = read_cases(tmp_path, Layout.DAVIS, None)
    masks = list(poor_masks(case, TwoThirds(), every=2))
    assert len(masks) == MOST_MASKS
    assert all(np.array_equal(one.truth, DISC) and not one.found[ROWS >= 65].any() for one in masks)


def test_a_person_clicks_until_the_last_number_of_the_table() -> None:
    frame = np.where(DISC, 230, 20).astype(np.uint8)
    lobe = (ROWS - 42) ** 2 + (COLUMNS - 38) ** 2 < 14**2
    mask = PoorMask("p", frame, (DISC & (ROWS < 65)) | lobe, DISC | lobe)
    kept, whole = (
        corrected(mask, kind(frame, PointedNetwork(), 96, torch.device("cpu"), mask.found))
        for kind in (ClickDrawing, WholeAnswer)
    )
    assert len(kept) == max(SHOWN) + 1
    assert kept[0] == whole[0] < 0.9
    assert kept[1] > 0.97 > whole[1]  # the network does not see the lobe, which was right


def test_the_table_compares_the_two_ways_mask_by_mask() -> None:
    masks = [PoorMask(name, np.zeros((2, 2), np.uint8), np.ones((2, 2), bool), np.ones((2, 2), bool)) for name in "ab"]
    better, worse = [0.7, 0.8, 0.85, 0.9, 0.9, 0.9], [0.7, 0.6, 0.75, 0.8, 0.9, 0.9]
    text = table_text(masks, {"part": [better, better], "all": [worse, better]})
    lines = text.splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "part",
        "2",
        "0.700",
        "0.800",
        "0.850",
        "0.900",
        "0.900",
        "0%",
    ]
    assert lines[3].endswith("| 50% |")
    assert "+0.100 (" in lines[4]


def test_nothing_is_taken_where_no_frame_shows_the_lesion(tmp_path: Path) -> None:
    frames = np.zeros((4, 120, 160), np.uint8)
    write_davis_video(tmp_path, "empty", frames, np.zeros((4, 120, 160), bool))
    (case,) = read_cases(tmp_path, Layout.DAVIS, None)
    assert list(poor_masks(case, TwoThirds(), every=1)) == []
