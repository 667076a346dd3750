"""Frames between two anchors on which one direction of propagation alone sees the lesion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from stand_in_networks import BrightNetwork
from tiny_bundle import write_tiny_bundle
from torch import Tensor

from UltrasoundLesionSegLib.engine.bundles import find_bundle
from UltrasoundLesionSegLib.engine.network_api import FrameCode, MemoryRead, PreviousFrame
from UltrasoundLesionSegLib.evaluation import one_direction
from UltrasoundLesionSegLib.evaluation.layouts import Case, Layout, read_cases, write_davis_video
from UltrasoundLesionSegLib.evaluation.methods import Model

FRAMES = 9  # of the video
BLIND = 3  # up to this frame the backward pass sees nothing
LEVELS = 10 * np.arange(FRAMES) + 10  # brightness beside the lesion


class BlindBackward(BrightNetwork):
    """Sees what is bright; nothing on the first frames where they come after a later one. The video gets brighter."""

    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
        logits = super().segment(frames, code, previous, memory)
        now, before = (float(one.amin() * 255) for one in (frames, previous.frames))
        return torch.full_like(logits, -20.0) if now < before - 4 and now < LEVELS[BLIND] + 5 else logits


@pytest.fixture
def case(tmp_path: Path) -> Case:
    rows, columns = np.mgrid[:96, :128]
    masks = np.stack([(rows - 48) ** 2 + (columns - 50 - t) ** 2 < 15**2 for t in range(FRAMES)])
    write_davis_video(tmp_path, "brighter", np.where(masks, 220, LEVELS[:, None, None]).astype(np.uint8), masks)
    return next(iter(read_cases(tmp_path, Layout.DAVIS)))


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    write_tiny_bundle(tmp_path / "models" / "tiny")
    monkeypatch.setenv("ULS_MODELS", str(tmp_path / "models"))
    return Model(find_bundle("tiny"), "cpu", network=BlindBackward())


def test_the_direction_that_never_lost_the_lesion_is_right(case: Case, model: Model) -> None:
    found = list(one_direction.one_sided(case, model))
    # anchors on 0 and 8, 0 and 4, 0 and 6: frames 1 to 3; on 2 and 8: frame 3; on 4 and 8: none
    assert len(found) == 3 * BLIND + 1
    assert {(one.failed, one.unbroken) for one in found} == {("the one that sees nothing", True)}
    for one in found:
        seen, nothing, _, given = one.dice
        assert seen > 0.95
        assert nothing == 0
        assert given == seen


def test_the_table_has_a_row_for_each_way_to_fail(case: Case, model: Model) -> None:
    rows = one_direction.table({"brighter": list(one_direction.one_sided(case, model))}).splitlines()
    assert rows[0].startswith(
        "| set | directions that failed | followed without a gap | frames | Dice of what is seen |"
    )
    assert len(rows) == 3
    cells = rows[2].strip("| ").split(" | ")
    assert cells[:4] == ["brighter", "the one that sees nothing", "yes", "10"]
    assert cells[5] == "0.00"
    assert cells[4] == cells[7]


def test_the_command_writes_the_table(
    case: Case, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["one_direction", str(tmp_path), "--model", "tiny", "--output", str(tmp_path / "out"), "--every", "1"]
    monkeypatch.setattr("sys.argv", words)
    one_direction.main()
    assert (tmp_path / "out" / "table.md").read_text().startswith("| set | directions that failed |")
