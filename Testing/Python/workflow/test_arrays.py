"""From arrays to masks to tables: what a researcher does without files."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from engine_helpers import clip_of_moving_discs, dice
from numpy.typing import NDArray
from PIL import Image
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.errors import OutputError, SceneError, SeedError, SourceError
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

Discs = tuple[Any, NDArray[np.bool_]]


def frames_of(cine: Any) -> NDArray[np.uint8]:
    return np.stack(list(cine))


def two_lesions(shape: tuple[int, int]) -> NDArray[np.uint8]:
    labels = np.zeros(shape, np.uint8)
    labels[10:20, 10:20], labels[40:60, 50:70] = 1, 2
    return labels


@pytest.mark.parametrize("is_color", [False, True])
def test_an_array_becomes_a_cine_with_its_spacing_and_times(logic: UltrasoundLesionWorkflow, is_color: bool) -> None:
    frames = frames_of(clip_of_moving_discs(frames=5)[0])
    frames = np.stack([frames, frames // 2, frames // 3], axis=3) if is_color else frames
    cine = logic.cine(logic.loadCine(frames, spacing=(0.1, 0.2), frameRate=20))
    np.testing.assert_array_equal(np.stack(list(cine)), frames)
    assert cine.calibration is not None
    assert cine.calibration.spacing == (0.1, 0.2)
    assert cine.timing is not None
    np.testing.assert_allclose(cine.timing.seconds, [0, 0.05, 0.1, 0.15, 0.2])


def test_an_array_alone_invents_no_millimetres_and_no_times(logic: UltrasoundLesionWorkflow) -> None:
    cine = logic.cine(logic.loadCine(frames_of(clip_of_moving_discs(frames=3)[0])))
    assert cine.calibration is None
    assert cine.timing is None


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"source": np.zeros((3, 8, 8), np.float32)}, "uint8"),
        ({"source": np.zeros((8, 8), np.uint8)}, "shape"),
        ({"source": np.zeros((3, 8, 8, 4), np.uint8)}, "shape"),
        ({"source": np.zeros((0, 8, 8), np.uint8)}, "no frames"),
        ({"source": np.zeros((3, 8, 8), np.uint8), "spacing": (0.1, -0.1)}, "not positive"),
        ({"source": np.zeros((3, 8, 8), np.uint8), "frameRate": 0}, "not positive"),
        ({"source": "clip.mp4", "frameRate": 10}, "for arrays"),
    ],
)
def test_what_is_no_cine_is_refused(logic: UltrasoundLesionWorkflow, arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(SourceError, match=word):
        logic.loadCine(**arguments)


def test_array_to_masks_to_table(logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork) -> None:
    cine, truth = clip_of_moving_discs(frames=8)
    browser = logic.loadCine(frames_of(cine), spacing=(0.1, 0.1), frameRate=25)
    logic.setSeed(browser, truth[3][0], frame=3)
    logic.propagate(browser, frames=(1, 7))
    masks = logic.masks(browser)
    assert masks.dtype == np.bool_
    assert masks.shape == (8, *truth.shape[2:])
    assert not masks[[0, 7]].any()
    assert min(dice(masks[frame], truth[frame][0]) for frame in range(1, 7)) > 0.9
    table = logic.results(browser)
    assert isinstance(table, pandas.DataFrame)
    assert list(table["frame"]) == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(table["area_mm2"], masks[1:7].sum(axis=(1, 2)) * 0.01)
    np.testing.assert_allclose(table["time_s"], np.arange(1, 7) / 25)
    lesions = logic.results(browser, of="lesions")
    assert list(lesions["segment"]) == ["Lesion"]
    assert lesions["area_mean_mm2"][0] == pytest.approx(table["area_mm2"].mean())


def test_without_pandas_a_table_is_a_dict_of_columns(
    logic: UltrasoundLesionWorkflow, discs: Discs, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, truth = discs
    logic.setSeed(browser, truth[5][0], frame=5)
    whole = logic.measure(browser).as_table()
    monkeypatch.setitem(sys.modules, "pandas", None)  # an import raises ImportError
    table = logic.measure(browser).as_table()
    assert type(table) is dict
    assert list(table) == list(whole.columns)
    assert table["area_px2"] == [truth[5][0].sum()]
    with pytest.raises(OutputError, match="'frames' or 'lesions'"):
        logic.results(browser, of="days")


def test_masks_of_one_lesion_or_of_all(logic: UltrasoundLesionWorkflow, discs: Discs) -> None:
    browser, _ = discs
    labels = two_lesions(logic.cine(browser).shape)
    logic.setSeed(browser, labels, frame=2)
    np.testing.assert_array_equal(logic.masks(browser, "Lesion")[2], labels == 1)
    np.testing.assert_array_equal(logic.masks(browser, "Lesion 2")[2], labels == 2)
    np.testing.assert_array_equal(logic.masks(browser)[2], labels > 0)
    assert logic.masks(browser).sum() == (labels > 0).sum()
    with pytest.raises(SceneError, match="no segment"):
        logic.masks(browser, "Cyst")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float32])
def test_a_label_image_in_an_array_is_what_it_is_in_a_file(
    logic: UltrasoundLesionWorkflow, discs: Discs, tmp_path: Path, dtype: type
) -> None:
    browser, _ = discs
    labels = two_lesions(logic.cine(browser).shape)
    Image.fromarray(labels).save(tmp_path / "labels.png")
    logic.setSeed(browser, tmp_path / "labels.png", frame=1)
    of_file = {name: logic.masks(browser, name)[1] for name in ("Lesion", "Lesion 2")}
    assert len(logic.setSeed(browser, labels.astype(dtype), frame=3)) == 2
    for name, mask in of_file.items():
        np.testing.assert_array_equal(logic.masks(browser, name)[3], mask)


def test_lesions_have_the_numbers_of_their_label_image(logic: UltrasoundLesionWorkflow, discs: Discs) -> None:
    browser, _ = discs
    labels = np.zeros(logic.cine(browser).shape, np.uint8)
    labels[10:20, 10:20], labels[30:40, 30:40] = 1, 3
    assert logic.setSeed(browser, labels, frame=1) == ["lesion-1", "lesion-3"]
    np.testing.assert_array_equal(logic.masks(browser, "Lesion 3")[1], labels == 3)
    assert logic.setSeed(browser, labels == 1, frame=2, segment="another") == ["lesion-2"]


def test_written_masks_number_the_lesions_in_the_order_of_their_table(
    logic: UltrasoundLesionWorkflow, discs: Discs, tmp_path: Path
) -> None:
    browser, _ = discs
    labels = np.zeros(logic.cine(browser).shape, np.uint8)
    labels[10:20, 10:20], labels[30:40, 30:40] = 1, 3
    logic.setSeed(browser, labels, frame=1)
    logic.export(browser, tmp_path, ["masks"])
    assert list(logic.results(browser, of="lesions")["segment"]) == ["Lesion", "Lesion 3"]
    with Image.open(tmp_path / "masks" / "00001.png") as written:
        np.testing.assert_array_equal(np.asarray(written), np.where(labels == 3, 2, labels))


def test_a_stack_of_masks_is_a_lesion_each(logic: UltrasoundLesionWorkflow, discs: Discs) -> None:
    browser, _ = discs
    stack = np.zeros((3, *logic.cine(browser).shape), bool)
    stack[0, 10:20, 10:20] = stack[2, 15:30, 15:30] = True  # they overlap, and the second one is empty
    assert len(logic.setSeed(browser, stack, frame=4)) == 2
    np.testing.assert_array_equal(logic.masks(browser, "Lesion")[4], stack[0])
    np.testing.assert_array_equal(logic.masks(browser, "Lesion 3")[4], stack[2])


def test_black_and_white_is_one_lesion(logic: UltrasoundLesionWorkflow, discs: Discs) -> None:
    browser, truth = discs
    assert len(logic.setSeed(browser, np.where(truth[5][0], 255, 0), frame=5)) == 1
    np.testing.assert_array_equal(logic.masks(browser)[5], truth[5][0])


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((96, 128), bool),
        np.zeros((96, 128), np.uint8),
        np.zeros((2, 96, 128), bool),
        np.full((96, 128), 0.5),
        np.full((96, 128), np.nan),
        np.full((96, 128), -1),
        np.arange(96 * 128).reshape(96, 128) % 200,
        np.ones((2, 96, 128), np.uint8),
        np.ones((96,), bool),
        np.ones((95, 128), bool),
        np.full((96, 128), "x"),
    ],
)
def test_arrays_that_are_no_seed_are_refused_and_nothing_is_written(
    logic: UltrasoundLesionWorkflow, discs: Discs, values: NDArray[Any]
) -> None:
    browser, _ = discs
    assert logic.cine(browser).shape == (96, 128)
    with pytest.raises(SeedError):
        logic.setSeed(browser, values, frame=0)
    assert not any(logic.anchors(browser).values())


def test_a_second_drawing_replaces_the_first_and_the_log_says_so(
    logic: UltrasoundLesionWorkflow, discs: Discs, caplog: pytest.LogCaptureFixture
) -> None:
    browser, truth = discs
    with caplog.at_level(logging.INFO, "UltrasoundLesionSegLib"):
        logic.setSeed(browser, truth[5][0], frame=5)
        logic.setSeed(browser, truth[5][0], frame=5)  # the same again replaces nothing
        logic.setSeed(browser, truth[6][0], frame=6)
        assert not caplog.records
        logic.setSeed(browser, truth[4][0], frame=5)
    (record,) = caplog.records
    name = logic.cine(browser).identity.short_name
    assert record.getMessage() == f"{name}, frame 5: a new seed of lesion 1 replaces the one that was on this frame"
    assert record.frame == 5  # type: ignore[attr-defined]
    np.testing.assert_array_equal(logic.masks(browser)[5], truth[4][0])
