"""Lesions that are drawn one after the other, and what is stored of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from engine_helpers import clip_of_moving_discs, disc
from numpy.typing import NDArray
from PIL import Image
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.mrml.tables import write_chart, write_table
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

Discs = tuple[Any, NDArray[np.bool_]]


def right_half(mask: Mask) -> Mask:
    columns = np.nonzero(mask)[1]
    return mask & (np.arange(mask.shape[1]) > columns.mean())


def overlaps(logic: UltrasoundLesionWorkflow, browser: Any) -> list[int]:
    """Pixels that both lesions have, frame by frame."""
    return [int(one.sum()) for one in logic.masks(browser, "Lesion") & logic.masks(browser, "Lesion 2")]


def test_a_lesion_drawn_over_the_mask_of_another_competes_with_it(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    logic.setSeed(browser, truth[5][0], frame=5)
    logic.propagate(browser)
    before = logic.masks(browser, "Lesion")
    drawn = right_half(truth[8][0])
    logic.setSeed(browser, drawn, frame=8, segment="Lesion 2")
    logic.propagate(browser)
    first, second = logic.masks(browser, "Lesion"), logic.masks(browser, "Lesion 2")
    assert overlaps(logic, browser) == [0] * 12
    np.testing.assert_array_equal(second[8], drawn)
    assert first[8].any()
    assert all(second[frame].sum() > 30 for frame in (9, 10, 11))
    np.testing.assert_array_equal(first[:5], before[:5])  # nothing was drawn on these
    assert logic.propagate(browser).frames_computed == []


def test_a_drawing_that_was_stored_under_the_mask_of_another_lesion_competes_too(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    """As after a propagation of a part of the cine in which nothing is drawn of the second lesion."""
    browser, truth = discs
    logic.setSeed(browser, truth[5][0], frame=5)
    logic.propagate(browser)
    logic.setSeed(browser, right_half(truth[8][0]), frame=8, segment="Lesion 2")
    logic.propagate(browser, frames=(9, 12))
    assert logic.masks(browser, "Lesion 2")[9].sum() < 30
    assert logic.propagate(browser).frames_computed == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert overlaps(logic, browser) == [0] * 12
    assert all(logic.masks(browser, "Lesion 2")[frame].sum() > 30 for frame in (9, 10, 11))
    assert logic.propagate(browser).frames_computed == []


def test_a_lesion_drawn_beside_another_leaves_its_masks_as_they_are(
    logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork
) -> None:
    cine, truth = clip_of_moving_discs(frames=12, lesions=2)
    browser = logic.addCine(cine)
    logic.setSeed(browser, truth[5][0], frame=5)
    logic.propagate(browser)
    once = bright_model.segmented
    logic.setSeed(browser, truth[5][1], frame=5, segment="Lesion 2")
    logic.propagate(browser)
    assert bright_model.segmented == 2 * once
    logic.setSeed(browser, truth[8][1], frame=8, segment="Lesion 2")
    logic.propagate(browser)
    computed_again = 2 * 2 + 3 + 3  # frames 6 and 7 both ways, those from 9 on, and the anchors
    assert bright_model.segmented == 2 * once + computed_again


def test_a_lesion_that_is_removed_leaves_no_hole_in_the_others(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    logic.setSeed(browser, truth[5][0], frame=5)
    logic.propagate(browser)
    alone = logic.masks(browser, "Lesion")
    logic.setSeed(browser, right_half(truth[8][0]), frame=8, segment="Lesion 2")
    logic.propagate(browser)
    assert logic.masks(browser, "Lesion")[9].sum() < alone[9].sum()
    beside = logic.removeSegment(browser, "Lesion 2")
    assert {8, 9, 10, 11} <= set(beside)
    assert 5 not in beside  # drawn
    assert logic.propagate(browser).frames_computed
    np.testing.assert_array_equal(logic.masks(browser, "Lesion"), alone)


def test_a_lesion_that_is_removed_elsewhere_in_the_image_costs_nothing(
    logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork
) -> None:
    cine, truth = clip_of_moving_discs(frames=12, lesions=2)
    browser = logic.addCine(cine)
    logic.setSeed(browser, truth[5][0], frame=5)
    logic.setSeed(browser, truth[5][1], frame=5, segment="Lesion 2")
    logic.propagate(browser)
    assert logic.removeSegment(browser, "Lesion 2") == []
    assert logic.propagate(browser).frames_computed == []


def test_lesions_that_may_overlap_are_not_computed_again_for_each_other(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    logic.setSeed(browser, truth[5][0], frame=5)
    logic.propagate(browser, allowOverlap=True)
    once = bright_model.segmented
    logic.setSeed(browser, right_half(truth[8][0]), frame=8, segment="Lesion 2")
    logic.propagate(browser, allowOverlap=True)
    assert bright_model.segmented == 2 * once


def test_a_mask_that_is_about_to_be_computed_again_takes_no_pixels_from_another_lesion(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork
) -> None:
    browser, truth = discs
    half = right_half(truth[8][0])
    logic.setSeed(browser, truth[8][0], frame=8, segment="Lesion 2")
    logic.propagate(browser)
    logic.setSeed(browser, half, frame=8, segment="Lesion 2")
    logic.setSeed(browser, truth[5][0], frame=5, segment="Lesion")
    logic.propagate(browser)

    fresh = logic.addCine(logic.cine(browser), "fresh")
    logic.setSeed(fresh, half, frame=8, segment="Lesion 2")
    logic.setSeed(fresh, truth[5][0], frame=5, segment="Lesion")
    logic.propagate(fresh)
    for lesion in ("Lesion", "Lesion 2"):
        np.testing.assert_array_equal(logic.masks(browser, lesion), logic.masks(fresh, lesion))


def test_frames_without_a_lesion_are_those_that_show_none_of_them(
    logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork
) -> None:
    cine, truth = clip_of_moving_discs(frames=12, hidden=range(5, 8))
    browser = logic.addCine(cine)
    logic.setSeed(browser, truth[2][0], frame=2)
    logic.propagate(browser)
    logic.setSeed(browser, disc(cine.shape, 8, 8, 4), frame=3, segment="Lesion 2")
    logic.setSeed(browser, disc(cine.shape, 8, 8, 4), frame=6, segment="Lesion 2")
    summary = logic.propagate(browser)
    assert not logic.masks(browser, "Lesion 2")[4].any()
    assert summary.frames_computed == [0, 1, 2, 4, 5, 7, 8, 9, 10, 11]
    assert summary.frames_without_lesion == [5, 7]


def test_a_drawing_is_whole_in_exports_of_one_image_where_lesions_overlap(
    logic: UltrasoundLesionWorkflow, discs: Discs, bright_model: BrightNetwork, tmp_path: Path
) -> None:
    browser, truth = discs
    logic.setSeed(browser, truth[5][0], frame=5)
    logic.propagate(browser, allowOverlap=True)
    drawn = right_half(truth[8][0])
    logic.setSeed(browser, drawn, frame=8, segment="Lesion 2")
    assert overlaps(logic, browser)[8] == drawn.sum()
    logic.export(browser, tmp_path, ("masks", "nifti"))
    volume = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "masks.nii.gz")))
    for image in (np.asarray(Image.open(tmp_path / "masks" / "00008.png")), volume[8]):
        np.testing.assert_array_equal(image == 2, drawn)
        assert (image == 1).any()


def test_a_chart_of_an_earlier_version_that_has_a_tables_name_goes(
    logic: UltrasoundLesionWorkflow, discs: Discs
) -> None:
    """Version 0.3 drew one chart a lesion, called as its table is."""
    browser, truth = discs
    logic.setSeed(browser, truth[5][0], frame=5)
    table = write_table("Lesion over time", {"Frame": [5], "Old": [1.0]}, browser)
    write_chart("Lesion over time", table, "Frame", ["Old"], browser)
    logic.measure(browser)
    _, charts = logic.measurementNodes(browser)
    assert [chart.GetTitle() for chart in charts] == ["Lesion: long axis", "Lesion: area"]
