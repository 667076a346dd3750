from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.evaluation.layouts import Layout, read_cases


def test_davis_with_and_without_a_folder_for_the_resolution(davis: Path) -> None:
    cases = list(read_cases(davis, Layout.DAVIS))
    assert [(case.name, case.patient) for case in cases] == [("video0", "a"), ("video1", "a"), ("video2", "b")]
    before = [case.truth(3) for case in cases]
    for name in ("JPEGImages", "Annotations"):
        shutil.move(davis / name, davis / "old")
        (davis / name).mkdir()
        shutil.move(davis / "old", davis / name / "Full-Resolution")
    again = list(read_cases(davis, Layout.DAVIS))
    for one, other in zip(before, again, strict=True):
        assert np.array_equal(one, other.truth(3))
    truth = again[0].truth(0)
    assert truth is not None
    assert truth.shape == (1, 96, 120)
    assert truth[0, 45, 60]
    assert truth.sum() == pytest.approx(np.pi * 16**2, rel=0.05)


def test_a_list_of_videos_chooses_among_them(davis: Path) -> None:
    lists = davis / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("video2\n")
    assert [case.name for case in read_cases(davis, Layout.DAVIS, "val")] == ["video2"]
    with pytest.raises(SourceError, match="no list of videos"):
        list(read_cases(davis, Layout.DAVIS, "test"))


def test_several_lesions_are_told_apart_by_their_values(davis: Path) -> None:
    for path in (davis / "Annotations" / "video0").iterdir():
        labels = np.zeros((96, 120), np.uint8)
        labels[10:20, 10:20], labels[50:60, 50:70] = 1, 2
        cv2.imwrite(str(path), labels)
    case = next(iter(read_cases(davis, Layout.DAVIS)))
    truth = case.truth(2)
    assert truth is not None
    assert case.lesion_count == 2
    assert [int(mask.sum()) for mask in truth] == [100, 200]


def test_a_frame_without_a_label_has_no_truth(davis: Path) -> None:
    (davis / "Annotations" / "video0" / "00003.png").unlink()
    case = next(iter(read_cases(davis, Layout.DAVIS)))
    assert case.truth(3) is None
    assert case.truth(4) is not None


def test_buv_is_numbered_without_zeros(buv: Path) -> None:
    (case,) = read_cases(buv, Layout.BUV)
    assert len(case.cine) == 12
    for number in (2, 9, 10):
        label = cv2.imread(str(buv / "labels" / "v1" / f"{number}.png"), cv2.IMREAD_GRAYSCALE)
        truth = case.truth(number)
        assert truth is not None
        assert np.array_equal(truth[0], label > 0)
        assert np.array_equal(case.cine.frames[number], cv2.imread(str(buv / "images" / "v1" / f"{number}.png"), 0))


def test_stills_by_split(stills: Path) -> None:
    cases = list(read_cases(stills, Layout.STILLS, "val"))
    assert [case.name for case in cases] == ["s1", "s2"]
    assert all(case.truth(0) is not None and len(case.cine) == 1 for case in cases)


@pytest.mark.parametrize("layout", [Layout.DAVIS, Layout.BUV, Layout.STILLS])
def test_a_folder_with_another_layout_is_refused(tmp_path: Path, layout: Layout) -> None:
    with pytest.raises(SourceError):
        list(read_cases(tmp_path, layout))


def test_labels_of_another_size_are_refused(davis: Path) -> None:
    cv2.imwrite(str(davis / "Annotations" / "video0" / "00002.png"), np.ones((10, 10), np.uint8))
    case = next(iter(read_cases(davis, Layout.DAVIS)))
    with pytest.raises(SourceError, match="another size"):
        case.truth(2)
