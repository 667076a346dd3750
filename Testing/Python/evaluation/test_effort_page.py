"""The page of effort curves is made of several results, and keeps what a person wrote."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from UltrasoundLesionSegLib.evaluation import effort_tables
from UltrasoundLesionSegLib.evaluation.interactive import Course, Step

SHOWN = list(range(6))


def course(case: str, seed: str = "first", end: float = 0.9) -> Course:
    """Return a person's work on a case: one correction of the frame that the program offers."""
    steps = [
        Step(0, True, False, 1.0, [1.0, *[0.5] * 5], [float("nan"), *[0.6] * 5]),
        Step(3, True, True, 0.0, [end] * 6, [0.9] * 6),
    ]
    return Course(case, case, seed, "next frame", "draws", 0, SHOWN, steps)


@pytest.fixture
def results(tmp_path: Path) -> list[Path]:
    """Two results: the second has another seed of the first one's cases, and another model."""
    kept = {
        "a": {"ours": [course("v2"), course("v1")]},
        "b": {"ours": [course("v1", "middle")], "other": [course("v1")]},
    }
    for root, models in kept.items():
        for model, courses in models.items():
            for one in courses:
                path = tmp_path / root / "exits" / "courses" / model / f"{one.case}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps({"key": "", "courses": [asdict(one)]}))
    (tmp_path / "a" / "no_results").mkdir()
    return [tmp_path / root for root in kept]


def test_results_are_merged_case_by_case(results: list[Path]) -> None:
    sets = effort_tables.merged(results)
    assert list(sets) == ["exits"]
    found = {model: [(one.case, one.seed) for one in courses] for model, courses in sets["exits"].items()}
    assert found == {"other": [("v1", "first")], "ours": [("v1", "first"), ("v1", "middle"), ("v2", "first")]}


def test_the_page_keeps_what_a_person_wrote(
    results: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    monkeypatch.setattr(
        "sys.argv", ["effort_tables", *map(str, results), "--output", str(page), "--note", "On Monday."]
    )
    effort_tables.main()
    new = page.read_text()
    assert new.startswith("# How much work a person has\n")
    assert new.index("On Monday.") < new.index("\n## In one table\n") < new.index("\n## exits\n")
    assert page.with_suffix(".png").stat().st_size > 1000
    head, tables = new.split("## In one table")
    written = f"{head}## Targets\n\nMissed.\n\n## In one table{tables}\n## A trial\n\n| no | set |\n|---|---|\n"
    page.write_text(written)
    effort_tables.main()
    assert page.read_text() == written
    sets = {"exits": {"ours": [replace(course("v1", end=0.8), seed="worst")]}}
    changed = effort_tables.page_text(sets, "page.png", written)
    assert changed.startswith(f"{head}## Targets\n\nMissed.\n\n## In one table\n")
    assert changed.endswith("\n\n## A trial\n\n| no | set |\n|---|---|\n")
    assert "seed on the worst frame" in changed
    assert "seed on the middle frame" not in changed
