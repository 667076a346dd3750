"""A third reader decides between two, and the decisions are a reader's work like any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from review_helpers import store_as_done

from UltrasoundLesionSegLib.errors import HeldError, ReviewError
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewState
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder
from UltrasoundLesionSegLib.review.adjudication import Adjudication

MakeAnchor = Callable[..., ReaderAnchor]


@pytest.fixture
def output(machine_case: Callable[..., Path], anchor: MakeAnchor) -> Path:
    """One case: both outlined frame 2 alike and frame 5 differently, A alone frame 8."""
    out = machine_case("a", [0.9] * 9).parents[1]
    store_as_done(out, "A", "a", [anchor(2), anchor(5), anchor(8, radius=3)])
    store_as_done(out, "B", "a", [anchor(2), anchor(5, how=How.NOT_VISIBLE)])
    return out


def test_decisions_are_kept_as_the_third_reader_s_anchors(output: Path, anchor: MakeAnchor) -> None:
    with Adjudication(output, "A", "B", "AB", "a") as case:
        assert [(one.frame, one.lesion) for one in case.choices] == [(5, "Lesion"), (8, "Lesion"), (2, "Lesion")]
        assert case.take_agreed() == 1
        worst, second = case.undecided
        case.take(worst, 1)
        assert second.hows == (How.DRAWN, How.CONFIRMED)  # a model carried B's outlines there
        case.draw(second.frame, second.lesion, anchor(8, radius=4).mask)
        assert case.undecided == []
        record = case.store(seconds=12.5)
    assert (record.state, record.seconds) == (ReviewState.IN_WORK, 12.5)

    kept = {one.frame: one for one in ReviewFolder(output).work("AB", "a").anchors()}
    assert sorted(kept) == [2, 5, 8]
    assert np.array_equal(kept[2].mask, anchor(2).mask)
    assert (kept[5].how, kept[5].provenance, kept[5].mask.any()) == (How.NOT_VISIBLE, "reader B", False)
    assert (kept[8].how, kept[8].provenance) == (How.DRAWN, "")

    with Adjudication(output, "A", "B", "AB", "a") as again:  # what was decided stays
        assert again.undecided == []
        assert again.store().seconds == 12.5


def test_a_reader_without_an_outline_cannot_be_taken(output: Path, anchor: MakeAnchor) -> None:
    store_as_done(output, "A", "a", [anchor(2), anchor(5, lesion="Second", radius=2)])
    with Adjudication(output, "A", "B", "AB", "a") as case:
        (alone,) = [one for one in case.choices if one.lesion == "Second"]
        assert (alone.second, alone.dice) == (None, 0.0)
        with pytest.raises(ReviewError, match="reader B has no outline of Second on frame 5"):
            case.take(alone, 1)


@pytest.mark.parametrize("codes", [("A", "B", "A"), ("A", "A", "C"), ("A", "B", "model"), ("A", "B", "b")])
def test_the_third_code_is_nobody_else_s(output: Path, codes: tuple[str, str, str]) -> None:
    with pytest.raises(ReviewError, match="code of its own"):
        Adjudication(output, *codes, "a")


def test_one_person_at_a_time_decides(output: Path) -> None:
    with Adjudication(output, "A", "B", "AB", "a"), pytest.raises(HeldError):
        Adjudication(output, "A", "B", "AB", "a")
