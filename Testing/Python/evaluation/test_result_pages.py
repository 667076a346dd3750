"""The pages of data sets and the cards of models are written from the results of ``evaluate``."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.evaluation import result_pages
from UltrasoundLesionSegLib.evaluation.metrics import FrameScores
from UltrasoundLesionSegLib.evaluation.scores import ScoredFrame
from UltrasoundLesionSegLib.evaluation.tables import read_frames, table_text, write_frames

HEAD = "# Clips `hard`\n\nRun on a Sunday.\n"
CARD = (
    "| clips | method | Dice | IoU | missed area | extra area | MAE | F | last frame's Dice |\n|---|---|---|\n"
    "| hard | seed copied | old |\n| hard | **ours** | old |\n| easy | **ours** | kept |\n"
)


def scored(method: str, dice: float) -> list[ScoredFrame]:
    """Return rows of a method on two videos of two frames with this Dice."""
    scores = FrameScores(dice, dice - 0.1, 0.75, 0.125, 0.5, 3.0, 0.25, 0.375)
    return [
        ScoredFrame(method, case, case, 0, frame, frame, scores, math.nan if method == "seed copied" else 0.5, 0.005)
        for case in ("v1", "v2")
        for frame in (1, 2)
    ]


@pytest.fixture
def results(tmp_path: Path) -> list[Path]:
    """Two runs: the second has one of the first one's models again, and another one."""
    runs = {
        "first": [scored("seed copied", 0.5), scored("ours", 0.6), scored("other", 0.7)],
        "again": [scored("ours", 0.9), scored("new", 0.8)],
    }
    for name, methods in runs.items():
        write_frames([row for rows in methods for row in rows], tmp_path / name / "frames.csv")
    return [tmp_path / name for name in runs]


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr("sys.argv", ["result_pages", *map(str, words)])
    result_pages.main()


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [*scored("ours", 0.625), *scored("new", 0.5)]
    write_frames(rows, tmp_path / "frames.csv")
    assert read_frames(tmp_path / "frames.csv") == rows


def test_results_are_merged_and_a_later_one_counts(results: list[Path]) -> None:
    rows = result_pages.merged(results)
    assert rows[8:12] == read_frames(results[0] / "frames.csv")[8:12]  # other
    found = {summary.method: summary for summary in result_pages.summaries_of(rows)}
    assert {name: round(one.per_video["dice"][0], 3) for name, one in found.items()} == {
        "seed copied": 0.5,
        "ours": 0.9,
        "other": 0.7,
        "new": 0.8,
    }
    assert found["seed copied"].differences == {}
    assert set(found["ours"].differences) == {"seed copied", "other", "new"}


def test_a_page_keeps_its_text_and_gets_the_tables_and_the_plot(
    results: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, picture = tmp_path / "validation_hard.md", "\n\n![Over time](validation_hard.png)\n"
    page.write_text(HEAD)
    run(monkeypatch, results[0], "--page", page)
    first = page.read_text()
    assert first == f"{HEAD}\n{table_text(result_pages.summaries_of(result_pages.merged(results[:1])))}"
    assert not page.with_suffix(".png").exists()
    page.write_text(first.rstrip() + picture)
    run(monkeypatch, *results, "--page", page)
    tables = table_text(result_pages.summaries_of(result_pages.merged(results)))
    assert page.read_text() == f"{HEAD}\n{tables.rstrip()}{picture}"
    assert "| seed copied | 4 | 0.500 (0.500-0.500) | 0.0% |" in tables  # lesions under 1% of the frame
    assert page.with_suffix(".png").stat().st_size > 1000


def test_older_results_without_the_lesion_s_share_make_a_page_of_their_own(
    results: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, page = results[0] / "frames.csv", tmp_path / "difference.md"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    run(monkeypatch, *results, "--page", page)
    text = page.read_text()
    assert text.startswith("Per image: ")
    assert "| new | +0.300 (+0.300 to +0.300) | -0.100 (-0.100 to -0.100) | +0.100 (+0.100 to +0.100) | 0 |" in text
    assert "| seed copied | 4 | 0.500" not in text  # small lesions: of the other methods alone
    assert "| ours | 4 | 0.900" in text


def test_a_card_gets_the_rows_of_the_set(
    results: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, card = tmp_path / "validation_hard.md", tmp_path / "card.md"
    page.write_text(HEAD)
    card.write_text(CARD)
    run(monkeypatch, *results, "--page", page, "--card", card)
    assert card.read_text().splitlines()[2:] == [
        "| hard | seed copied | 0.500 (0.500-0.500) | 0.400 | 0.250 | 0.375 | 0.125 | 0.500 | 0.500 (0.500-0.500) |",
        "| hard | **ours** | 0.900 (0.900-0.900) | 0.800 | 0.250 | 0.375 | 0.125 | 0.500 | 0.900 (0.900-0.900) |",
        "| easy | **ours** | kept |",
    ]
    written = page.read_text()
    card.write_text("no table\n")
    with pytest.raises(SystemExit):
        run(monkeypatch, results[0], "--page", page, "--card", card)
    assert "a card has no row of the data set hard" in capsys.readouterr().err
    assert page.read_text() == written  # nothing is written where something is missing


def test_results_that_cannot_be_read_are_named(tmp_path: Path, results: list[Path]) -> None:
    with pytest.raises(SourceError, match="there is no frames"):
        result_pages.merged([tmp_path / "nothing"])
    file = results[0] / "frames.csv"
    file.write_text(file.read_text().replace("boundary", "border"))
    with pytest.raises(SourceError, match="run 'evaluate' again"):
        result_pages.merged(results)
