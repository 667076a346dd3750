"""Pages and tables of one clip, of one frame, of nothing that can be told: no nan, no -0.00, no "1 clips"."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from UltrasoundLesionSegLib.adaptation.scoring import Difference
from UltrasoundLesionSegLib.evaluation.click_corrections import PoorMask
from UltrasoundLesionSegLib.evaluation.click_corrections import table_text as corrections_text
from UltrasoundLesionSegLib.evaluation.clicks import Clicked
from UltrasoundLesionSegLib.evaluation.clicks import table_text as clicks_text
from UltrasoundLesionSegLib.evaluation.effort_tables import effort_text, page_text, write_effort
from UltrasoundLesionSegLib.evaluation.interactive import Course, Step
from UltrasoundLesionSegLib.evaluation.metrics import FrameScores
from UltrasoundLesionSegLib.evaluation.scores import ScoredFrame, summarize
from UltrasoundLesionSegLib.evaluation.tables import table_text

NAN = float("nan")
ILL = re.compile(
    r"\bnan\b|\binf\b|-0\.?0*(?![0-9.])(?=[ |)%.,;]|$)"
    r"|\b1 [a-z ]*(?:clips|frames|masks|videos|stills|lesions|clicks)\b",
    re.MULTILINE,
)
WAYS = ("next frame", "evenly spaced", "random", "oracle")


def is_sound(text: str) -> bool:
    found = [text[max(one.start() - 40, 0) : one.end() + 20] for one in ILL.finditer(text)]
    assert not found
    return True


def courses(steps: list[Step], frames: int = 1) -> list[Course]:
    return [Course("v", "p", "first", way, "draws", 0, list(range(frames)), steps) for way in WAYS]


ONE_FRAME = courses([Step(0, True, True, 0.0, [1.0], [NAN])])
ONE_MASK = courses(
    [Step(0, True, False, -1e-4, [1.0, 0.5], [NAN, 0.5]), Step(1, True, True, 0.0, [1.0, 0.4999], [NAN, NAN])], frames=2
)
ALL_ALIKE = courses([Step(0, True, True, 0.0, [1.0, 0.9, 0.9], [NAN, 0.9, 0.9])], 3)


@pytest.mark.parametrize("found", [ONE_FRAME, ONE_MASK, ALL_ALIKE])
def test_a_page_of_one_clip(tmp_path: Path, found: list[Course]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_effort({"ours": found}, tmp_path)
        assert is_sound((tmp_path / "effort.md").read_text())
        assert is_sound(page_text({"easy": {"ours": found}}, "page.png", "# Effort"))
    assert "1 clip;" in effort_text({"ours": found})


def scored(method: str, dice: float, confidence: float = NAN, hd95: float = NAN) -> ScoredFrame:
    scores = FrameScores(dice, 0.5, 0.5, 0.1, 0.5, hd95, 1 - dice, 0.1)
    return ScoredFrame(method, "v", "p", 0, 1, 1, scores, confidence, NAN)


def test_tables_of_one_frame_and_of_a_difference_that_rounds_to_nothing() -> None:
    rows = [scored("first", 0.50001), scored("second", 0.5)]
    text = table_text([summarize(rows, "first", ["second"]), summarize(rows, "second", ["first"])])
    assert is_sound(text)
    assert "| 0.000 (0.000 to 0.000) |" in text
    assert "1 video or still, 1 scored frame and lesion a method." in text


def test_tables_of_clicks_on_one_lesion() -> None:
    lesion = Clicked("v", "p", 0, 0.1, False, NAN, NAN, (0.5,) * 10)
    assert is_sound(clicks_text([lesion], "clicking", "suggesting"))


def test_tables_of_clicks_on_one_mask() -> None:
    nothing = np.zeros((4, 4), bool)
    mask = PoorMask("p", np.zeros((4, 4), np.uint8), nothing, nothing)
    reached = {"as in the program": [[0.5] * 11], "the whole answer": [[0.50001] * 11]}
    assert is_sound(corrections_text([mask], reached))


def test_a_difference_of_one_patient() -> None:
    assert str(Difference(-1e-5, NAN, NAN, 1)) == "0.000 (no interval from one patient)"
