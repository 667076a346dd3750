import re
import xml.etree.ElementTree

import numpy as np
import pytest

from UltrasoundLesionSegLib.report.case import runs
from UltrasoundLesionSegLib.report.charts import MOST_BARS, Series, confidence_strip, legible, line_chart, ticks


def parse(svg):
    return xml.etree.ElementTree.fromstring(svg)


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 10, 6, [0, 2, 4, 6, 8, 10]),
        (0, 10.6, 5, [0, 5, 10]),
        (0, 0.37, 5, [0, 0.1, 0.2, 0.3]),
        (0, 4999, 9, [0, 1000, 2000, 3000, 4000]),
        (3, 9, 4, [4, 6, 8]),
    ],
)
def test_ticks_are_round(low, high, most, expected):
    assert ticks(low, high, most) == pytest.approx(expected)


@pytest.mark.parametrize("colour", [(255, 255, 0), (0, 0, 0), (255, 255, 255), (0, 0, 90), (128, 174, 128), (1, 2, 3)])
def test_colours_are_legible_on_white_and_on_dark(colour):
    channels = np.array([int(value) for value in re.findall(r"\d+", legible(colour))]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) > 3
    assert (luminance + 0.05) / 0.058 > 3  # against the dark page, #15171a


def test_curves_have_gaps_where_there_is_no_value():
    values = np.array([1, 2, np.nan, np.nan, 3, np.nan, 4, 5, 6], float)
    chart = parse(line_chart("Area", [Series("one", (0, 90, 200), values, marks=(1, 2))]))
    curves = [element for element in chart if element.tag == "polyline"]
    assert [len(curve.get("points").split()) for curve in curves] == [2, 2, 3]  # a lone value is a short line
    assert len([element for element in chart if element.tag == "circle"]) == 1  # no dot without a value


def test_higher_values_are_drawn_higher():
    chart = parse(line_chart("Area", [Series("one", (0, 90, 200), np.array([0.0, 10.0]))]))
    (curve,) = [element for element in chart if element.tag == "polyline"]
    (left, low), (right, high) = (map(float, point.split(",")) for point in curve.get("points").split())
    assert left < right
    assert high < low


@pytest.mark.parametrize("values", [[np.nan] * 5, [0.0], [0.0, 0.0], []])
def test_charts_of_nothing(values):
    parse(line_chart("Area", [Series("one", (0, 90, 200), np.array(values, float))]))
    if values:
        parse(confidence_strip("Confidence", np.array(values, float), [], [], (0, 0, 0)))


def test_a_bar_a_frame_as_high_as_its_confidence():
    strip = parse(confidence_strip("C", np.array([1.0, 0.5, np.nan, 0.25]), anchors=[2], hidden=[3], colour=(9, 9, 9)))
    bars = [element for element in strip if element.tag == "rect"]
    assert [float(bar.get("height")) for bar in bars] == pytest.approx([34, 17, 8.5])
    assert len([element for element in strip if element.tag == "path"]) == 1
    assert len([element for element in strip if element.get("class") == "hidden"]) == 1


def test_a_long_clip_shows_the_lowest_of_several_frames():
    confidence = np.full(5000, 0.9)
    confidence[1234] = 0.1
    bars = [one for one in parse(confidence_strip("C", confidence, [], [], (9, 9, 9))) if one.tag == "rect"]
    assert len(bars) == MOST_BARS
    heights = [float(bar.get("height")) for bar in bars]
    assert sorted(heights)[:2] == pytest.approx([3.4, 30.6])


def test_titles_are_escaped():
    assert "<script" not in line_chart('<script>"', [Series("one", (1, 2, 3), np.ones(2))])


def test_runs():
    assert runs([5, 1, 2, 3, 9]) == [(1, 3), (5, 5), (9, 9)]
    assert runs([]) == []
