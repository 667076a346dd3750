from dataclasses import replace

import numpy as np
import pytest

from UltrasoundLesionSegLib.measurement.shape import Box
from UltrasoundLesionSegLib.report.overlay import View, canvas_of, describe, draw_case_frame, outlines


def test_outlines_of_parts_and_holes():
    mask = np.zeros((60, 80), bool)
    mask[5:25, 5:35] = True
    mask[10:15, 10:15] = False
    mask[40:50, 60:70] = True
    found = outlines(mask)
    assert len(found) == 3
    centres = sorted(points.mean(axis=0).tolist() for points in found)
    np.testing.assert_allclose(centres, [(12, 12), (14.5, 19.5), (44.5, 64.5)], atol=0.01)
    assert all(points.min() > 0 for points in found)


def test_a_mask_of_the_whole_image_has_one_outline():
    assert len(outlines(np.ones((5, 6), bool))) == 1
    assert outlines(np.zeros((5, 6), bool)) == []


def test_a_view_keeps_pixel_centres_in_place():
    view = View(Box(10, 30, 20, 60), 4.0)
    assert view.size == (80, 160)
    # the corner of the first pixel shown (half a pixel before its centre) is the corner of the picture
    np.testing.assert_allclose(view.place(np.array([[9.5, 19.5], [29.5, 59.5]])), [[-0.5, -0.5], [159.5, 79.5]])


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_canvas_has_the_views_size_and_the_frames_levels(scale):
    frame = np.full((40, 60), 77, np.uint8)
    canvas = canvas_of(frame, View(Box(0, 40, 0, 60), scale))
    assert canvas.shape == (40 * scale, 60 * scale, 3)
    assert (canvas == 77).all()
    coloured = canvas_of(np.dstack([frame, frame * 2, frame]), View(Box(0, 40, 0, 60), scale))
    assert coloured[0, 0].tolist() == [77, 154, 77]


def test_the_drawn_outline_lies_on_the_masks_edge(case):
    view = View(Box(0, 90, 0, 121), 7.0)
    plain = canvas_of(case.frame_or_black(3), view)
    drawn = draw_case_frame(case, 3, view, callipers=False)
    changed = np.argwhere((drawn != plain).any(axis=2)) / 7 - 0.5 + 1 / 14
    rows, columns = changed.T
    first = np.hypot((rows - 40) / 14, (columns - 43) / 22)
    second = np.hypot(rows - 60, columns - 95) / 9
    near = (abs(first - 1) < 0.12) | (abs(second - 1) < 0.18)
    assert near.all()
    # all the way around
    angle = np.arctan2(rows - 40, columns - 43)[abs(first - 1) < 0.12]
    assert np.diff(np.sort(angle)).max() < 0.1
    # in the lesion's own colour
    assert (drawn == (255, 255, 0)).all(axis=2).sum() > 300


def test_callipers_change_only_their_surroundings(case):
    view = View.whole(case)
    without, with_callipers = (draw_case_frame(case, 3, view, callipers=wanted) for wanted in (False, True))
    changed = np.argwhere((without != with_callipers).any(axis=2))
    ends = case.lesions[0].by_frame[3].long_axis_ends
    for end in view.place(np.array(ends))[:, ::-1]:
        assert np.hypot(*(changed - end).T).min() < 3


def test_the_callers_frame_is_not_drawn_on(case):
    frame = np.full((90, 121, 3), 9, np.uint8)
    canvas = canvas_of(frame, View(Box(0, 90, 0, 121), 1))
    canvas[:] = 0
    assert (frame == 9).all()


def test_an_unreadable_frame_is_black(case):
    assert not draw_case_frame(case, 6, View.whole(case)).any()


def test_description(case, bare_case):
    assert describe(case, 0)[0].endswith("mm, drawn by a person")
    assert describe(case, 1)[0].endswith("confirmed by a person")
    assert describe(case, 2)[1].endswith("confidence 0.40")
    assert describe(case, 10)[1] == "<b>Cyst</b> & co: not visible, confidence 0.80"
    assert describe(case, 6) == ["Mass left: not measured", "<b>Cyst</b> & co: not measured"]
    assert " px," in describe(bare_case, 2)[0]
    assert describe(case, 2, named=True)[0].startswith("Mass left: 4")
    lesions = [replace(lesion, name=name) for lesion, name in zip(case.lesions, ("病変", "L" * 80), strict=True)]
    odd = replace(case, lesions=tuple(lesions))
    assert describe(odd, 6) == ["Lesion 1: not measured", "Lesion 2: not measured"]
    assert describe(odd, 6, named=True)[0] == "病変: not measured"
