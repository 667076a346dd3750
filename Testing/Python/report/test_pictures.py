"""Video and contact sheet."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.measurement.frame import measure_frame
from UltrasoundLesionSegLib.report import contact_sheet
from UltrasoundLesionSegLib.report.contact_sheet import choose_frames, make_contact_sheet, write_contact_sheet
from UltrasoundLesionSegLib.report.video import write_overlay_video


def read_video(path):
    video = cv2.VideoCapture(str(path))
    frames: list[np.ndarray] = []
    while True:
        done, frame = video.read()
        if not done:
            return frames, video.get(cv2.CAP_PROP_FPS)
        frames.append(frame)


@pytest.mark.parametrize("name", ["overlay.mp4", "overlay.avi"])
def test_video_has_every_frame_at_the_clips_rate(tmp_path, case, name):
    frames, rate = read_video(write_overlay_video(tmp_path / name, case, pixels_allowed=True))
    assert len(frames) == 14
    assert rate == pytest.approx(25, abs=0.01)
    assert frames[0].shape[0] % 2 == frames[0].shape[1] % 2 == 0
    assert frames[0].shape[1] >= 121 * 7
    # blue, green, red: the first lesion's outline is yellow
    blue, green, red = frames[2].astype(int)[..., 0], frames[2].astype(int)[..., 1], frames[2].astype(int)[..., 2]
    assert ((red > 180) & (green > 180) & (blue < 90)).sum() > 200
    band = frames[6][90 * 7 :]
    assert frames[6][: 90 * 7 - 10].mean() < 3  # the unreadable frame is black
    assert band.max() > 150  # but has its text


def test_video_without_timing_plays_at_ten_frames_per_second(tmp_path, bare_case):
    frames, rate = read_video(write_overlay_video(tmp_path / "overlay.avi", bare_case, pixels_allowed=True))
    assert (len(frames), rate) == (14, 10)


def test_other_types_of_video_are_refused(tmp_path, case):
    with pytest.raises(OutputError, match=r"\.mp4 or \.avi"):
        write_overlay_video(tmp_path / "overlay.mov", case, pixels_allowed=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", [write_overlay_video, write_contact_sheet])
def test_pixels_need_a_permission(tmp_path, case, writer):
    with pytest.raises(OutputError, match="patient's name"):
        writer(tmp_path / "picture.mp4", case, pixels_allowed=False)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TypeError):
        writer(tmp_path / "picture.mp4", case)


def test_frames_for_the_sheet():
    assert choose_frames(3, 24) == [0, 1, 2]
    assert choose_frames(1, 24) == [0]
    many = choose_frames(1000, 24)
    assert (len(many), many[0], many[-1]) == (24, 0, 999)
    assert np.ptp(np.diff(many)) <= 1


def test_contact_sheet(tmp_path, case):
    image = Image.open(write_contact_sheet(tmp_path / "sheet.png", case, pixels_allowed=True))
    assert image.info == {}
    sheet = make_contact_sheet(case)
    np.testing.assert_array_equal(np.array(image), sheet)
    assert sheet.shape[1] == 10 + 6 * 270
    assert (sheet == (255, 214, 102)).all(axis=2).any()  # a caption of a frame drawn by a person


def test_only_frames_with_a_result_are_on_the_sheet_and_their_captions_say_what_they_are(case, monkeypatch):
    texts, nan = [], float("nan")

    def noted(canvas, position, text, *rest):
        texts.append(text)
        return canvas

    monkeypatch.setattr(contact_sheet, "write_text", noted)
    lesion = case.lesions[0]
    empty = measure_frame(np.zeros((90, 121), bool), np.zeros((90, 121), np.uint8), None, 0.93, Origin.MODEL)
    made = [
        replace(empty, origin=Origin.MANUAL, confidence=nan),
        replace(lesion.by_frame[5], origin=Origin.SUGGESTED, confidence=nan),
        replace(lesion.by_frame[5], origin=Origin.EDITED, confidence=nan),
        empty,
        replace(lesion.by_frame[5], confidence=0.55),
    ]
    few = replace(lesion, frames=(2, 3, 4, 7, 9), measurements=tuple(made))
    make_contact_sheet(replace(case, lesions=(few,), masks=lambda frame: case.masks(frame)[:1]))
    assert "14 frames, 5 with a result." in texts[0]
    assert [text.split("   ")[0] for text in texts[1:]] == ["2", "3", "4", "7", "9"]
    assert [text.split(" s   ")[1] for text in texts[1:]] == [
        "marked not visible",
        "suggested seed",
        "clicked or corrected",
        "not visible   confidence 0.93",
        "confidence 0.55",
    ]
    texts.clear()
    make_contact_sheet(replace(case, lesions=(), masks=lambda frame: case.masks(frame)[:0]))
    assert len(texts) == 1 + 14, "nothing has a result yet: all frames are shown"


def test_the_first_seed_is_on_the_contact_sheet(unwatched_case):
    from UltrasoundLesionSegLib.report.contact_sheet import _with_first_start

    assert _with_first_start([0, 2, 13], unwatched_case) == [0, 3, 13]
    assert _with_first_start([0, 3, 13], unwatched_case) == [0, 3, 13]
