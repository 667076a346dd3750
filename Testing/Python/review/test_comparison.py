"""Two readers, or a reader and the model, compared on files as batch and panel write them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from review_helpers import store_as_done

from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.manifest import BatchCase, ListedCase, write_listed
from UltrasoundLesionSegLib.cine import CalibratedRegion, Calibration, Cine
from UltrasoundLesionSegLib.errors import OutputError, ReviewError
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, SourceNote
from UltrasoundLesionSegLib.reader_work.results import read_machine_result
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder
from UltrasoundLesionSegLib.reader_work.work import Work
from UltrasoundLesionSegLib.review.compare import compare_and_write
from UltrasoundLesionSegLib.review.comparison import (
    Comparison,
    Kind,
    LesionComparison,
    compare_readers,
    match_lesions,
)
from UltrasoundLesionSegLib.review.comparison_results import overall

MakeCase = Callable[..., Path]
MakeAnchor = Callable[..., ReaderAnchor]


def no_source(case: str, source: SourceNote | None) -> None:
    return None


@pytest.fixture
def output(machine_case: MakeCase, anchor: MakeAnchor) -> Path:
    """Cases a, b and c of ten frames; A and B are done with a and b, A alone with c."""
    for name in "abc":
        out = machine_case(name, [0.9] * 9).parents[1]
    for case in "ab":
        store_as_done(out, "A", case, [anchor(2), anchor(5), anchor(7, how=How.CONFIRMED)])
        store_as_done(out, "B", case, [anchor(2, radius=4), anchor(5, how=How.NOT_VISIBLE), anchor(7)])
    store_as_done(out, "A", "c", [anchor(2)])
    return out


def row_of(rows: Sequence[LesionComparison], case: str, kind: Kind) -> LesionComparison:
    (row,) = [one for one in rows if one.case == case and one.kind is kind]
    return row


def test_drawn_frames_of_two_readers(output: Path) -> None:
    found = compare_readers(output, "A", "B", no_source)
    row = row_of(found.lesions, "a", Kind.DRAWN)
    assert (row.frames, row.seen_by_both, row.only_first, row.only_second) == (2, 1, 1, 0)  # 7 was only confirmed
    assert found.confirmed == 2
    discs = [np.count_nonzero(one) for one in (np.hypot(*np.mgrid[-9:10, -9:10]) <= radius for radius in (5, 4))]
    overlap = 2 * discs[1] / sum(discs)
    assert row.dice == pytest.approx((overlap + 0) / 2)  # nothing in common where B sees no lesion
    assert (row.worst_frame, row.lowest_dice) == (5, 0)
    assert row.hausdorff95 == pytest.approx(1, abs=0.5)
    assert row.first_axis - row.second_axis == pytest.approx(2, abs=0.3)
    assert row.unit == "px"
    assert found.left_out == {"c": "reader B is not done with it"}


def test_frames_between_outlines_are_compared_apart(output: Path) -> None:
    row = row_of(compare_readers(output, "A", "B", no_source).lesions, "b", Kind.FOLLOWED)
    assert row.frames == 6  # ten, less frame 0 of the batch's seed and the three that a reader looked at
    assert (row.dice, row.identical) == (1, 6)  # both took the machine's masks


def test_a_reader_and_the_model(output: Path) -> None:
    found = compare_readers(output, "B", "model", no_source)
    row = row_of(found.lesions, "a", Kind.DRAWN)
    assert (row.frames, row.only_second, row.seen_by_both) == (3, 1, 2)
    again = compare_readers(output, "model", "B", no_source)
    assert row_of(again.lesions, "a", Kind.DRAWN).only_first == 1


def test_lengths_are_in_mm_where_the_source_tells_the_size_of_a_pixel(output: Path) -> None:
    frames = np.zeros((10, 24, 32), np.uint8)
    fine = Calibration(0.5, 0.5, "test")
    inches = compare_readers(output, "A", "B", no_source)
    whole = compare_readers(output, "A", "B", lambda case, digest: Cine.from_array(frames, fine))
    one, other = (row_of(found.lesions, "a", Kind.DRAWN) for found in (inches, whole))
    assert other.unit == "mm"
    assert other.first_axis == pytest.approx(one.first_axis / 2)
    assert other.hausdorff95 == pytest.approx(one.hausdorff95 / 2)

    from dataclasses import replace

    beside = (CalibratedRegion((0, 0, 23, 9), fine),)  # the lesion does not lie in it
    elsewhere = replace(Cine.from_array(frames), regions=beside)
    assert row_of(compare_readers(output, "A", "B", lambda *_: elsewhere).lesions, "a", Kind.DRAWN).unit == "px"


def test_intervals_end_where_the_quantity_does(output: Path) -> None:
    (row, *_) = compare_readers(output, "A", "B", no_source).of(Kind.FOLLOWED)
    values = [(1.0, 0.1), (0.97, 0.2), (0.8, 3.0)]
    rows = [replace(row, dice=dice, hausdorff95=distance) for dice, distance in values]
    found = overall(Comparison("A", "B", tuple(rows)), Kind.FOLLOWED)
    assert found is not None
    assert (found.dice.value, found.dice.high) == (pytest.approx(0.9233, abs=1e-4), 1)
    assert found.dice.low == pytest.approx(0.6554, abs=1e-4)  # 0.9233 - 4.303 * 0.1079 / 3**0.5
    assert (found.lengths[0].hausdorff95.low, found.lengths[0].hausdorff95.value) == (0, pytest.approx(1.1))
    assert found.lengths[0].hausdorff95.high > 3


def test_lesions_are_matched_by_where_they_are_not_by_their_names() -> None:
    left, right = np.zeros((2, 8, 8), bool)
    left[:, :3], right[:, 5:] = True, True
    swapped = match_lesions([(0, {"Lesion": left, "Lesion 2": right}, {"Lesion": right, "Lesion 2": left})])
    assert swapped == {"Lesion": "Lesion 2", "Lesion 2": "Lesion"}
    assert match_lesions([(0, {"Lesion": left}, {"Lesion": right})]) == {"Lesion": "Lesion"}  # they disagree
    assert match_lesions([(0, {"Lesion": left}, {"Mass": right})]) == {}
    assert match_lesions([]) == {}


def test_work_on_another_version_of_the_source_is_left_out(
    output: Path, machine_case: MakeCase, anchor: MakeAnchor
) -> None:
    machine_case("d", [0.9] * 9)
    store_as_done(output, "A", "d", [anchor(2)])
    run = output / "cases" / "d" / "run.json"
    run.write_text(run.read_text().replace("ab" * 32, "cd" * 32))
    store_as_done(output, "B", "d", [anchor(2)])
    assert "versions of the source" in compare_readers(output, "A", "B", no_source).left_out["d"]


def test_damaged_work_is_left_out_and_the_others_are_compared(output: Path) -> None:
    for path in (output / "review" / "A" / "a" / "anchors").iterdir():
        path.write_bytes(b"no picture")
    found = compare_readers(output, "A", "B", no_source)
    assert {row.case for row in found.lesions} == {"b"}
    assert "damaged" in found.left_out["a"]


@pytest.mark.parametrize(("codes", "words"), [(("A", "A"), "same reader"), (("A", "C"), "the readers are: A, B")])
def test_codes_that_are_no_two_readers(output: Path, codes: tuple[str, str], words: str) -> None:
    with pytest.raises(ReviewError, match=words):
        compare_readers(output, *codes, no_source)


def test_nothing_to_compare_says_why(machine_case: MakeCase, anchor: MakeAnchor) -> None:
    output = machine_case("a", [0.9] * 4).parents[1]
    store_as_done(output, "A", "a", [anchor(2)])
    work = ReviewFolder(output).work("B", "a")
    with work.hold() as hold:
        machine = read_machine_result(output / "cases" / "a")
        assert machine is not None
        work.store(hold, Work(machine.source, [anchor(2)]))
    with pytest.raises(ReviewError, match="B is not done with it"):
        compare_readers(output, "A", "B", no_source)


def test_table_json_and_page_are_written(output: Path, tmp_path: Path) -> None:
    found = compare_and_write(output, ("A", "B"), tmp_path / "out")
    with (tmp_path / "out" / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["case"], row["kind"]) for row in rows] == [
        (case, kind) for case in "ab" for kind in ("drawn", "followed")
    ]
    content = json.loads((tmp_path / "out" / "comparison.json").read_text())
    drawn = content["overall"]["drawn"]
    assert drawn["frames"] == 4
    assert drawn["dice"]["value"] == pytest.approx(float(rows[0]["dice"]), abs=1e-4)
    assert drawn["lengths"][0]["axes"]["bias"]["value"] == pytest.approx(2, abs=0.3)
    assert drawn["lengths"][0]["axes"]["upper"]["value"] is None  # two lesions tell nothing of the spread
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "Bland-Altman" in page
    assert "http" not in page.replace("http-equiv", "")  # nothing is loaded from anywhere
    assert "image/jpeg" not in page
    assert found.left_out == 1
    assert "2 lesions" in found.sentences[0]
    assert "limits of agreement and ICC need at least 3 lesions, here 2" in found.sentences[1]
    assert not any("nan" in line for line in found.sentences)
    same = "12 of 12 masks are the same on both sides"
    assert [same in line for line in found.sentences].count(True) == 1
    assert same in page


def test_cines_that_are_not_found_are_asked_for(output: Path, tmp_path: Path) -> None:
    listed = [ListedCase(BatchCase(tmp_path / "gone" / f"{name}.dcm", name=name), "done") for name in "abc"]
    write_listed(BatchFolder(output).sources, listed)
    found = compare_and_write(output, ("A", "B"), tmp_path / "out")
    assert found.sentences[-1].startswith("note: the cines of 2 cases are not where")
    assert found.sentences[-1].endswith("--sources")


def test_pictures_need_permission_and_a_source(output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from UltrasoundLesionSegLib.review.case_cines import CaseCines

    frames = np.random.default_rng(1).integers(0, 255, (10, 24, 32), np.uint8)
    monkeypatch.setattr(CaseCines, "cine", lambda self, case, sha256=None: Cine.from_array(frames))
    compare_and_write(output, ("A", "B"), tmp_path / "out", pixels_allowed=True)
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert page.count("data:image/jpeg") == 2
    assert "frame 5: Dice 0.000" in page
    compare_and_write(output, ("A", "B"), tmp_path / "without")
    assert "data:image/jpeg" not in (tmp_path / "without" / "comparison.html").read_text()


@pytest.mark.parametrize("content", ["mine", '{"first": "A", "second": "model"}'])
def test_a_comparison_replaces_nothing_but_an_earlier_one_of_the_same_readers(
    output: Path, tmp_path: Path, content: str
) -> None:
    folder = tmp_path / "compared"
    compare_and_write(output, ("A", "B"), folder)
    compare_and_write(output, ("A", "B"), folder)
    (folder / "comparison.json").write_text(content)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OutputError, match=r"the output folder holds .* choose another folder"):
        compare_and_write(output, ("A", "B"), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
