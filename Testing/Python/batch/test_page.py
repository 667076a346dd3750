"""The pages, the plot and the index over many cases."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from UltrasoundLesionSegLib.batch.case_row import CaseRow
from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.index import add_to_index, read_index, write_index
from UltrasoundLesionSegLib.batch.page import write_pages
from UltrasoundLesionSegLib.batch.plot import make_plot
from UltrasoundLesionSegLib.batch.reviews import Reviews
from UltrasoundLesionSegLib.engine.next_frame import Outlook, Stretch, worst_stretch
from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.reader_work.record import ReviewRecord, ReviewState, SourceNote


def row(number: int, **values: object) -> CaseRow:
    cells = {"frames": 100, "source_sha256": f"{number:064x}"}
    known = {"cells": cells, "lowest": (3, 0.5), "highest": 0.9, "mean": 0.7, "gain": 1.0, "offers": (4, 9)}
    return CaseRow(f"case-{number:04d}", "done", **{**known, "offer_count": 2, **values})  # type: ignore[arg-type]


def links(page: Path) -> list[str]:
    return re.findall(r'href="([^"]+)"', page.read_text())


def test_many_cases_are_on_several_pages(tmp_path: Path) -> None:
    pages = write_pages(tmp_path / "index.html", [row(number) for number in range(450)], b"", Reviews())
    assert [page.name for page in pages] == ["index.html", "index-2.html", "index-3.html"]
    reports = [[link for link in links(page) if link.endswith("report.html")] for page in pages]
    assert [len(one) for one in reports] == [200, 200, 50]
    assert len({link for one in reports for link in one}) == 450
    for page in pages:
        others = [one.name for one in pages if one is not page]
        assert set(links(page)) & {one.name for one in pages} == set(others)
        assert "<script" not in page.read_text()
    (tmp_path / "index-old.html").write_text("somebody's own")
    assert len(write_pages(tmp_path / "index.html", [row(1)], b"", Reviews())) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index-old.html", "index.html"]
    assert "Page" not in (tmp_path / "index.html").read_text()


def test_hundreds_of_failures_do_not_fill_the_page(tmp_path: Path) -> None:
    rows = [CaseRow(f"case-{number:04d}", "failed", "the source is <refused>") for number in range(250)]
    (page,) = write_pages(tmp_path / "index.html", rows, b"", Reviews())
    text = page.read_text()
    assert text.count("&lt;refused&gt;") == 200
    assert "50 more are listed in key/failed.csv." in text


def reviews() -> Reviews:
    def record(number: int, reader: str, state: ReviewState, of: int | None = None) -> ReviewRecord:
        source = SourceNote(f"{number if of is None else of:064x}", 100, 5, 5)
        return ReviewRecord(f"case-{number:04d}", reader, state, source=source, seconds=12.5)

    a = [record(0, "A", ReviewState.DONE), record(1, "A", ReviewState.IN_WORK), record(2, "A", ReviewState.DONE, of=9)]
    b = [record(1, "B", ReviewState.SET_ASIDE)]
    return Reviews({"A": {one.case: one for one in a}, "B": {one.case: one for one in b}})


def test_the_page_tells_readers_states_and_can_be_filtered_by_them(tmp_path: Path) -> None:
    (page,) = write_pages(tmp_path / "index.html", [row(number) for number in range(4)], b"", reviews())
    text = page.read_text()
    assert "by readers: 1 new, 1 in work, 1 done, 1 set aside" in text
    assert re.findall(r'<tr class="([a-z-]+)">', text) == ["done", "set-aside", "in-work", "new"]
    assert "<td>A: in work, B: set aside</td>" in text
    assert "<td>A: in work</td>" in text, "what was done on another version of the source is no longer done"
    assert set(re.findall(r'id="show-([a-z-]+)"', text)) == {"all", "new", "in-work", "done", "set-aside"}


def test_a_reader_s_damaged_case_is_said(tmp_path: Path) -> None:
    whole = ReviewRecord("case-0001", "B", ReviewState.DONE, source=SourceNote(f"{1:064x}", 100, 5, 5))
    broken = ReviewError("the files are damaged")
    shown = Reviews({"A": {"case-0001": broken}, "B": {"case-0001": whole, "case-0002": broken}})
    (page,) = write_pages(tmp_path / "index.html", [row(1), row(2)], b"", shown)
    text = page.read_text()
    assert "<td>A: damaged, B: done</td>" in text
    assert "the files of the work of reader A are damaged" in text
    assert "<td>B: damaged</td>" in text
    assert shown.cells(row(1))["review_A"] == "damaged"
    assert shown.furthest(row(2)) is ReviewState.NEW


def test_one_case_is_told_in_the_singular(tmp_path: Path) -> None:
    (page,) = write_pages(tmp_path / "index.html", [row(1)], b"", Reviews())
    assert "1 case: 1 with a result, 0 failed" in page.read_text()


def test_the_table_has_three_columns_a_reader() -> None:
    shown = reviews()
    assert shown.columns[:3] == ["review_A", "frames_drawn_A", "review_seconds_A"]
    assert shown.cells(row(1)) == {
        "frames_to_look_at": 2,
        "first_frame_to_look_at": 4,
        "review_A": "in work",
        "frames_drawn_A": 0,
        "review_seconds_A": 12.5,
        "review_B": "set aside",
        "frames_drawn_B": 0,
        "review_seconds_B": 12.5,
    }
    assert shown.cells(row(3)) == {"frames_to_look_at": 2, "first_frame_to_look_at": 4}
    assert shown.cells(CaseRow("case-0009", "failed")) == {}


def test_a_suggested_seed_is_a_frame_to_look_at_until_a_reader_has_dealt_with_it(tmp_path: Path) -> None:
    done, unseen = row(0, suggested_on=30), row(7, suggested_on=30, gain=0.0, offers=(), offer_count=0)
    shown = reviews()
    (page,) = write_pages(tmp_path / "index.html", [done, unseen], b"", shown)
    assert re.findall(r"<td>(\d+ frames?: [\d, ]+|none)</td>", page.read_text()) == ["2 frames: 4, 9", "1 frame: 30"]
    cells = [shown.cells(one) for one in (done, unseen, row(8, suggested_on=30), row(9, offers=(), offer_count=0))]
    assert [one["frames_to_look_at"] for one in cells] == [2, 1, 3, 0]
    assert [one["first_frame_to_look_at"] for one in cells] == [4, 30, 30, ""]
    assert shown.to_look_at(row(8, suggested_on=30)) == ((30, 4, 9), 3)
    more_to_win = row(10, gain=50.0)
    assert sorted([done, more_to_win, unseen], key=shown.urgency) == [unseen, more_to_win, done]


def test_the_plot_marks_the_cases_by_state() -> None:
    axes = make_plot([row(number) for number in range(4)], reviews()).axes[0]
    labels = {line.get_label(): len(np.asarray(line.get_xdata())) for line in axes.lines}
    assert labels == {"mean, new": 1, "mean, in work": 1, "mean, done": 1, "mean, set aside": 1}


def test_the_index_keeps_what_a_case_is_shown_with(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path)
    one = row(1, stretch=Stretch(3, 12, 0.4), long_axes={"mm": (8.5, 9.25)}, remarks=("a",), reader="A", stamp=(5, 6))
    without = row(2, lowest=None, highest=float("nan"), mean=float("nan"), stretch=None)
    with folder.held():
        write_index(folder, [one, CaseRow("case-0003", "failed", "why")])
        add_to_index(folder, without)
        add_to_index(folder, row(1, gain=7.0))
        found = read_index(folder)
        assert list(found) == ["case-0001", "case-0002"]
        assert found["case-0001"] == row(1, gain=7.0), "the last line counts"
        assert np.isnan(found["case-0002"].mean)
        write_index(folder, [one])
        assert read_index(folder) == {"case-0001": one}
        with (tmp_path / ".batch" / "index.jsonl").open("a") as file:
            file.write('[1]\n{"name": 3}\nnull\n{"name": "case-0009", "state"')
        assert read_index(folder) == {"case-0001": one}


def test_the_worst_stretch_is_where_the_overlap_is_lowest() -> None:
    expected = np.full(50, 0.9)
    expected[20:30] = 0.3
    expected[0] = np.nan
    stretch = worst_stretch([Outlook(np.full(50, 0.8), ()), Outlook(expected, (0,))])
    assert stretch is not None
    assert (stretch.first, stretch.last, round(stretch.overlap, 6)) == (20, 29, 0.3)
    short = worst_stretch([Outlook(np.array([np.nan, 0.5]), (0,))])
    assert short == Stretch(0, 1, 0.5)
    assert worst_stretch([Outlook(np.full(5, np.nan), ())]) is None
    assert worst_stretch([]) is None
