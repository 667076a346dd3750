"""Figures that several documents and the panel give are the same everywhere, and come from a measurement."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PANEL = ROOT / "UltrasoundLesionSeg" / "UltrasoundLesionSegLib" / "gui" / "hardware.py"  # imports Qt: read as text
SHOWN = ("simulated_apart", "easy_apart")  # whose means the README gives beside its table
CPU_SPEED = re.findall(r'^CPU_SPEED = "(.*)"$', PANEL.read_text(encoding="utf-8"), re.M)[0]


def test_the_speed_on_a_processor_is_the_one_that_was_measured() -> None:
    measured = (ROOT / "Docs" / "results" / "speed.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| stpfnet_light \| (?:side by side|one after the other) .* (\d+) \|$", measured, re.M)
    slow, fast = sorted(round(int(row), -1) for row in rows)
    assert f"{slow} to {fast} frames a second" == CPU_SPEED


def test_panel_readme_and_tutorial_give_the_same_speed() -> None:
    for name in ("README.md", "Docs/tutorial.md"):
        found = re.findall(r"\d+ to \d+\s+frames a second", (ROOT / name).read_text(encoding="utf-8"))
        assert [re.sub(r"\s+", " ", one) for one in found] == [CPU_SPEED], name


def video_scores(data_set: str, table: str = "Per video: ") -> dict[str, dict[str, str]]:
    """Return the figures per video of a results page, by method and column; of the table with this heading."""
    page = (ROOT / "Docs" / "results" / f"validation_{data_set}.md").read_text(encoding="utf-8")
    heads, _, *rows = page.partition(table)[2].split("\n\n")[1].splitlines()
    names, *cells = (re.split(r" *\| *", line.strip("| ")) for line in (heads, *rows))
    return {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in cells}


@pytest.mark.parametrize("model", ["stpfnet_light", "bas_s_propagate", "bas_l_propagate"])
def test_a_card_has_the_figures_of_the_results_pages(model: str) -> None:
    card = (ROOT / "Resources" / "Models" / model / "docs" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| \**([^|*]+?)\** \| (0\.\d.*) \|$", card, re.M)
    assert len(rows) == 8 * 3
    for data_set, method, cells in rows:
        page = video_scores(data_set)[method]
        means = [page[column].split(" ")[0] for column in ("IoU (J)", "missed area", "extra area", "MAE", "F")]
        assert cells.split(" | ") == [page["Dice"], *means, page["last frame's Dice"]], (data_set, method)


@pytest.mark.parametrize("model", ["bas_s", "bas_l"])
def test_a_card_has_the_figures_on_stills(model: str) -> None:
    card = (ROOT / "Resources" / "Models" / model / "docs" / "README.md").read_text(encoding="utf-8")
    page = video_scores("stills")[model]
    recall = r"0\.\d[^|]*"  # the page gives what it misses instead
    row = rf"^\| {re.escape(page['Dice'])} \| {re.escape(page['IoU (J)'])} \| {recall} \| {re.escape(page['MAE'])} \|"
    assert re.search(row, card, re.M)


def test_the_readme_has_the_figures_of_the_results_pages() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    page = video_scores("hard_apart")
    rows = re.findall(r"^\| `?([^|`(]+?)`?(?: to every frame| \([^|]*\))? \| (0\.\d[^|]*) \| ([^|]*) \|", readme, re.M)
    assert [row[0] for row in rows] == ["seed copied", "DIS optical flow", "stpfnet_light", "bas_s_propagate"]
    for method, mean, last in rows:
        assert [mean.replace(" to ", "-"), last.replace(" to ", "-")] == [
            page[method]["Dice"],
            page[method]["last frame's Dice"],
        ], method
    for method, than_flow in re.findall(r"^\| `(\w+)`[^|]* \| 0\.[^|]* \| [^|]* \| ([^|]*) \|$", readme, re.M):
        differences = video_scores("hard_apart", "Dice per video: mean difference")[method]
        assert than_flow == differences["minus DIS optical flow"], method
    text = re.sub(r"\s+", " ", readme)
    simulated, easy = ({method: row["Dice"][:5] for method, row in video_scores(one).items()} for one in SHOWN)
    assert f"a mean Dice of {simulated['stpfnet_light']}, and optical flow {simulated['DIS optical flow']}" in text
    assert f"({easy['DIS optical flow']} against {easy['stpfnet_light']})" in text


def test_no_document_has_figures_of_code_that_others_do_not_have() -> None:
    told = re.compile(r"not in (?:the|this) repository")
    documents = [*ROOT.glob("*.md"), *ROOT.glob("Docs/**/*.md"), *ROOT.glob("Resources/Models/*/docs/*.md")]
    assert len(documents) > 40
    found = [path.relative_to(ROOT).as_posix() for path in documents if told.search(path.read_text(encoding="utf-8"))]
    assert found == []
