"""The page on what an adaptation wins: what was decided, and the scores on patients whom nobody had seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from UltrasoundLesionSegLib.adaptation.outcome import Outcome
from UltrasoundLesionSegLib.adaptation.proof import Proof, Row, page
from UltrasoundLesionSegLib.adaptation.scoring import Difference, LesionScore


@pytest.fixture
def proof(tmp_path: Path) -> Proof:
    return Proof(
        tissue="thyroid",
        start="stpfnet_light",
        patients=(3, 6),
        decisions=(3,),
        test_patients=2,
        usual=1,
        frames=30,
        outlines=5,
        steps=50,
        output=tmp_path,
    )


def scores(*overlaps: float, tissue: str = "other") -> list[LesionScore]:
    """Return the scores of one lesion of each patient, whose effort curves rise to 1 from their overlaps."""
    return [
        LesionScore(f"{tissue} {number}", f"{tissue} patient {number}", overlap, (overlap, (1 + overlap) / 2, 1.0))
        for number, overlap in enumerate(overlaps)
    ]


def decided(low: float) -> Outcome:
    overlap, area = Difference(0.1, low, 0.2, 3), Difference(0.05, 0.01, 0.09, 3)
    curves = ((0.7, 0.8, 0.9), (0.8, 0.9, 0.95))
    return Outcome("stpfnet_light", "own_3", 3, 3, 15, 50, (0.7, 0.8), curves, overlap, area)


def cells(text: str, heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading, without its head."""
    lines = text.partition(f"## {heading}")[2].partition("\n## ")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]


@pytest.mark.parametrize(("low", "written"), [(0.01, "yes"), (-0.01, "no")])
def test_the_page_says_what_was_decided_where_it_was(proof: Proof, low: float, written: str) -> None:
    before = Row(0, None, scores(0.6, 0.8), scores(0.9, tissue="usual"))
    rows = [Row(3, decided(low), before.test, before.usual), Row(6, None, before.test, before.usual)]
    (only,) = cells(page(proof, before, rows, "the command", "A note."), "What `adapt` decides")
    expected = ["3", "0.700", "0.800", f"+0.100 ({low:+.3f} to +0.200)", "+0.050 (+0.010 to +0.090)", written]
    assert only == expected


def test_the_page_compares_each_model_with_the_start_model_lesion_by_lesion(proof: Proof) -> None:
    before = Row(0, None, scores(0.6, 0.8), scores(0.9, 0.9, tissue="usual"))
    # another order of the lesions than that of the start model
    row = Row(6, None, scores(0.7, 0.9)[::-1], scores(0.8, 0.8, tissue="usual"))
    first, second = cells(page(proof, before, [row], "the command", "A note."), "On 2 other patients")
    assert first == ["0 (start model)", "0.700", "", "0.850", "", "0.900", ""]
    gained = ["+0.100 (+0.100 to +0.100)", "0.900", "+0.050 (+0.050 to +0.050)"]
    assert second == ["6", "0.800", *gained, "0.800", "-0.100 (-0.100 to -0.100)"]


def test_the_page_tells_how_it_was_made(proof: Proof) -> None:
    before = Row(0, None, scores(0.6, 0.8), scores(0.9, tissue="usual"))
    text = page(proof, before, [], "python -m the.command", "Two cores.")
    assert "Made by `python -m the.command`. Two cores." in text
    assert "kind `thyroid`" in text
    assert "one cine of 30 frames a patient. A simulated reader outlines 5 evenly spaced frames" in text
    assert "each training takes 50 steps" in text
