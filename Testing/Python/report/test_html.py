import html.parser
import re
from dataclasses import replace

import numpy as np
import pytest

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.measurement.frame import measure_frame
from UltrasoundLesionSegLib.measurement.lesion import summarize_lesion
from UltrasoundLesionSegLib.report.case import CaseReport, LesionReport
from UltrasoundLesionSegLib.report.html import make_report, write_report
from UltrasoundLesionSegLib.report.key_frames import close_view, key_frames
from UltrasoundLesionSegLib.report.overlay import describe

VOID = {"meta", "img", "br", "line", "rect", "circle", "path", "polyline"}


class Page(html.parser.HTMLParser):
    """Collects tags and text, and fails on tags that do not nest."""

    def __init__(self, text):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data + " "


@pytest.fixture(scope="module")
def page(case):
    return Page(make_report(case, pixels_allowed=True))


def test_says_what_was_measured_by_whom_and_with_what(page, case):
    text = re.sub(r"\s+", " ", page.text)
    summary = case.lesions[0].summary
    assert f"{summary.long_axis_there:.1f} × {summary.perpendicular_axis_there:.1f} mm" in text
    for sentence in (
        "Not for diagnosis. This software is not a medical device.",
        "cine-3fa92c1b",
        "1 frame drawn by a person",
        "1 frame made by a model from a person's clicks, or corrected by a person",
        "10 frames made by the model alone",
        "by a person: frames 0–1, 9",
        "stpfnet_light, version 1.2",
        "ab" * 32,
        "a pixel is 0.1200 mm deep and 0.1000 mm wide, from SequenceOfUltrasoundRegions. Measured twice.",
        "frames per second, from FrameTime",
        "Frames that cannot be read frame 6 cannot be read: its data is damaged",
        "The clip has a cut.",
        "ultrasound-lesion-seg 0.1.0",
        "need a cine at a right angle",
    ):
        assert sentence in text, sentence
    assert text.count("Not for diagnosis") >= 2  # above and below


def test_is_self_contained(page):
    allowed = {"img": "data:image/jpeg;base64,"}
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed")
        for name in ("src", "href", "srcset", "action", "poster"):
            if name in attributes:
                assert attributes[name].startswith(allowed[tag])
    policies = [one["content"] for tag, one in page.tags if one.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_names_are_escaped(page):
    assert "<b>Cyst</b> & co" in page.text
    assert not any(tag == "b" for tag, _ in page.tags)


def test_key_frames_are_shown(page, case):
    shown = [one["alt"] for tag, one in page.tags if tag == "img"]
    assert shown == [f"Frame {frame} with outlines and callipers" for frame in key_frames(case)]
    assert len(shown) == 2  # frame 0 is the largest and the first drawn, frame 2 the least sure


def test_the_table_of_frames_is_complete(page, case):
    rows = [one for tag, one in page.tags if tag == "tr"]
    assert sum(one.get("class") == "anchor" for one in rows) == 6
    assert "Posterior echo ratio" in page.text
    assert page.text.count("not visible") >= 1


def test_without_permission_there_is_no_picture_and_the_page_says_why(case):
    page = Page(make_report(case, pixels_allowed=False))
    assert not any(tag == "img" for tag, _ in page.tags)
    assert "data:image" not in make_report(case, pixels_allowed=False)
    assert "Pictures are left out" in page.text
    assert any(tag == "svg" for tag, _ in page.tags)


def test_without_calibration_nothing_is_in_millimetres(bare_case):
    text = Page(make_report(bare_case, pixels_allowed=True)).text
    assert not re.search(r"\d mm|\(mm", text)
    assert "None is known: all lengths are in pixels (px)." in text
    assert "Area (px²)" in text
    assert "Timing unknown" in re.sub(r"\s+", " ", text)


def test_a_case_without_lesions(case):
    text = Page(
        make_report(CaseReport(case.cine, lambda frame: np.zeros((0, 90, 121), bool), ()), pixels_allowed=True)
    ).text
    assert "No lesion was segmented." in text


def test_a_lesion_that_is_never_visible(case):
    lesion = case.lesions[1]
    hidden = tuple(one for one in lesion.measurements if not one.is_visible)
    frames = tuple(frame for frame, one in lesion.by_frame.items() if not one.is_visible)
    alone = LesionReport("Gone", (1, 2, 3), frames, hidden, summarize_lesion(hidden, frames))
    empty = replace(case, lesions=(alone,), masks=lambda frame: np.zeros((1, 90, 121), bool))
    assert "Not visible on any measured frame." in Page(make_report(empty, pixels_allowed=True)).text


def test_key_frames_say_why(case):
    chosen = key_frames(case)
    reasons = {reason for several in chosen.values() for reason in several}
    assert "Mass left: lowest confidence" in reasons
    assert 2 in chosen  # 0.40 is the lowest confidence of a model's frame
    assert list(chosen) == sorted(chosen)
    assert 6 not in chosen


def test_a_seed_that_no_person_drew_is_marked_and_not_called_a_persons(unwatched_case):
    page = Page(make_report(unwatched_case, pixels_allowed=True)).text
    assert "drawn by a person" not in page
    assert "by a person: frame" not in page
    origin = unwatched_case.lesions[0].by_frame[3].origin
    assert describe(unwatched_case, 3)[0].endswith(f", {origin.value} seed")
    assert f"Mass left: {origin.value} seed" in key_frames(unwatched_case)[3]
    assert ", confidence" in describe(unwatched_case, 4)[0]


def test_many_lesions_do_not_make_a_page_of_a_hundred_pictures(case):
    assert len(key_frames(replace(case, lesions=case.lesions * 20))) <= 12


def test_the_view_holds_every_lesion_and_keeps_the_frames_proportions(case):
    frames = list(key_frames(case))
    view = close_view(case, frames)
    for frame in frames:
        rows, columns = np.nonzero(case.masks(frame).any(axis=0))
        assert view.box.row_min <= rows.min() <= rows.max() < view.box.row_end
        assert view.box.column_min <= columns.min() <= columns.max() < view.box.column_end
    assert view.box.depth / view.box.width == pytest.approx(90 / 121, rel=0.02)
    small = close_view(
        replace(case, masks=lambda frame: np.pad(np.ones((1, 3, 3), bool), ((0, 0), (2, 85), (1, 117)))), [0]
    )
    assert small.box.row_min == small.box.column_min == 0
    assert small.box.width == round(0.4 * 121)


def test_writing(tmp_path, case):
    target = write_report(tmp_path / "new" / "report.html", case, pixels_allowed=True)
    assert target.read_text(encoding="utf-8") == make_report(case, pixels_allowed=True)


def test_frames_and_measurements_must_match(case):
    lesion = case.lesions[0]
    with pytest.raises(ValueError, match="12 frames"):
        LesionReport("x", (1, 2, 3), lesion.frames[1:], lesion.measurements, lesion.summary)


def test_frames_to_look_at_are_named_and_the_first_one_is_shown(case):
    offered = tuple((frame, 0.5 + frame / 100) for frame in (11, 4, 5, 7, 8, 10, 12))
    page = Page(make_report(replace(case, look_first=offered), pixels_allowed=True)).text
    assert "Look first at frames 11 (confidence 0.61), 4 (confidence 0.54)" in page
    assert "10 (confidence 0.60)" in page
    assert "12 (confidence" not in page
    assert "and 1 more" in page
    assert "to look at first" in key_frames(replace(case, look_first=offered))[11][0]


def test_a_report_says_when_no_frame_needs_a_look(case):
    assert "No frame needs a look first" in make_report(case, pixels_allowed=False)


def test_a_suggested_seed_is_to_look_at_first(case):
    lesion = case.lesions[0]
    measurements = tuple(
        replace(one, origin=Origin.SUGGESTED) if at == 3 else one for at, one in enumerate(lesion.measurements)
    )
    suggested = replace(case, lesions=(replace(lesion, measurements=measurements),))
    first = "<strong>Look first at frame 3</strong>: a model suggested the lesion there, and nobody has looked at it."
    page = make_report(suggested, pixels_allowed=False)
    assert first in page
    assert "No frame needs a look first" not in page
    page = make_report(replace(suggested, look_first=((5, 0.5),)), pixels_allowed=False)
    assert page.index(first) < page.index("Then look at frame 5 (confidence 0.50)")
    pictures = key_frames(replace(suggested, look_first=((5, 0.5),)))
    assert (pictures[3][0], pictures[5][0]) == ("to look at first", "to look at next")
    drawn = replace(case, lesions=())
    assert "needs a look first" not in make_report(drawn, pixels_allowed=False)


def test_a_report_on_one_frame_speaks_of_one(case):
    cut = np.zeros((90, 121), bool)
    cut[20:40, :15] = True
    one = measure_frame(cut, case.cine.frames[0], None, float("nan"), Origin.MANUAL)
    summary = summarize_lesion([one], [0], None)
    summary = replace(summary, frames_left_out=1)
    lesion = LesionReport("Mass", (255, 255, 0), (0,), (one,), summary)
    page = make_report(replace(case, masks=lambda frame: cut[None], lesions=(lesion,)), pixels_allowed=False)
    said = Page(page).text
    assert not re.findall(r"\b1 (?:\w+ )?frames|\bnan\b|-0\.0", said)
    assert "cut by the image's border on 1 frame:" in said
    assert "1 visible frame without calibration is in none" in said
    assert ": 1 measured frame" in said
