"""Folders of pictures: natural order, formats, depths, damage in place."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from source_makers import PLANTED, moving_frames

from UltrasoundLesionSegLib.cine import SourceKind
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers.image_folder import natural_key
from UltrasoundLesionSegLib.readers.open import read_cine

FRAMES = moving_frames(12)


def stacked(cine):
    return np.stack(list(cine))


@pytest.mark.parametrize("pattern", ["{}.png", "{:05d}.png", "Frame {} of 12.bmp", "f{}.tif"])
def test_ten_follows_nine(save_pictures, pattern):
    cine = read_cine(save_pictures(FRAMES, pattern))
    np.testing.assert_array_equal(stacked(cine), FRAMES)
    assert cine.identity.kind is SourceKind.IMAGES
    assert (cine.calibration, cine.timing, cine.notes) == (None, None, ())


def test_natural_order_of_names():
    names = ["10.png", "9.png", "a10b2.png", "a9b10.png", "A9b9.png", "009b.png"]
    assert sorted(names, key=natural_key) == ["9.png", "009b.png", "10.png", "A9b9.png", "a9b10.png", "a10b2.png"]


def test_color_and_grey_stored_as_color(save_pictures):
    color = moving_frames(3, color=True)
    cine = read_cine(save_pictures(color))
    assert cine.is_color
    np.testing.assert_array_equal(stacked(cine), color)
    tripled = np.repeat(FRAMES[..., np.newaxis], 3, axis=3)
    cine = read_cine(save_pictures(tripled, folder="tripled"))
    assert not cine.is_color
    np.testing.assert_array_equal(stacked(cine), FRAMES)


def test_jpeg_frames_of_davis(save_pictures):
    cine = read_cine(save_pictures(FRAMES, "{:05d}.jpg"))
    assert np.abs(stacked(cine).astype(int) - FRAMES).mean() < 3


def test_palettes_transparency_and_one_bit(tmp_path):
    grey = FRAMES[0]
    variants = {
        "palette": (Image.fromarray(np.stack([grey] * 3, axis=2)).quantize(256), 4),
        "transparent": (Image.fromarray(np.dstack([grey] * 3 + [np.full_like(grey, 9)])), 0),
        "grey and transparent": (Image.fromarray(np.dstack([grey, grey]), "LA"), 0),
        "one bit": (Image.fromarray(grey > 60), None),
    }
    for name, (image, tolerance) in variants.items():
        folder = tmp_path / name
        folder.mkdir()
        image.save(folder / "0.png")
        cine = read_cine(folder)
        assert not cine.is_color, name
        expected = 255 * (grey > 60) if tolerance is None else grey
        assert np.abs(cine.frames[0].astype(int) - expected).max() <= (tolerance or 0), name


@pytest.mark.parametrize("color", [False, True])
def test_sixteen_bits_share_one_scale(tmp_path, color):
    deep = moving_frames(12, color=color)[:3].astype(np.uint16) * 16
    for index, frame in enumerate(deep):
        cv2.imwrite(str(tmp_path / f"{index}.png"), frame[..., ::-1] if color else frame)
    cine = read_cine(tmp_path)
    low, high = int(deep.min()), int(deep.max())
    expected = ((deep.astype(float) - low) * 255 / (high - low)).round()
    assert np.abs(stacked(cine).astype(int) - expected).max() <= 1
    assert cine.notes == (f"The values {low} to {high} of the source are shown as 0 to 255.",)


def test_sixteen_bits_that_hold_eight_are_taken_as_they_are(tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), FRAMES[0].astype(np.uint16))
    cine = read_cine(tmp_path)
    np.testing.assert_array_equal(cine.frames[0], FRAMES[0])
    assert cine.notes == ()


def test_one_picture_is_a_cine_of_one_frame(save_pictures):
    cine = read_cine(save_pictures(FRAMES[:1]) / "00000.png")
    assert len(cine) == 1


@pytest.mark.parametrize("damage", ["cut", "another size", "no picture inside"])
def test_a_bad_picture_keeps_its_place(save_pictures, damage):
    folder = save_pictures(FRAMES)
    path = folder / "00004.png"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:300])
    elif damage == "another size":
        Image.fromarray(FRAMES[4][:20]).save(path)
    else:
        path.write_bytes(path.read_bytes()[:8] + bytes(50))
    cine = read_cine(folder)
    assert len(cine) == 12
    with pytest.raises(FrameError, match="frame 4 cannot be read") as caught:
        cine.frames[4]
    assert str(folder) not in str(caught.value)
    np.testing.assert_array_equal(cine.frames[5], FRAMES[5])
    if damage != "cut":
        assert cine.notes == ("1 of the 12 pictures are damaged or of another size; the others are used.",)


def test_a_cut_jpeg_is_not_filled_with_grey(save_pictures):
    folder = save_pictures(FRAMES, "{}.jpg")
    path = folder / "3.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FrameError):
        read_cine(folder).frames[3]


def test_a_folder_of_pictures_of_many_sizes_is_no_cine(tmp_path):
    for index in range(6):
        Image.fromarray(moving_frames(1, 20 + index, 30)[0]).save(tmp_path / f"{PLANTED}{index}.png")
    with pytest.raises(SourceError, match="6 different sizes") as caught:
        read_cine(tmp_path)
    assert PLANTED not in str(caught.value)


def test_a_picture_that_vanishes_is_a_frame_error(save_pictures):
    folder = save_pictures(FRAMES)
    cine = read_cine(folder)
    (folder / "00007.png").unlink()
    with pytest.raises(FrameError, match="frame 7"):
        cine.frames[7]


def test_only_the_frame_asked_for_is_decoded(save_pictures, monkeypatch):
    cine = read_cine(save_pictures(moving_frames(40)))
    opened = []
    load = Image.open
    monkeypatch.setattr(Image, "open", lambda data, *rest: opened.append(data) or load(data, *rest))
    cine.frames[20]
    assert len(opened) == 1
    assert isinstance(opened[0], io.BytesIO)


@pytest.mark.parametrize(
    ("first", "step", "is_said"), [(0, 1, False), (1, 1, False), (2, 1, True), (5, 5, False), (10, 5, True)]
)
def test_numbers_that_begin_late_are_noted(save_pictures, first, step, is_said):
    folder = save_pictures(moving_frames(4))
    for number in reversed(range(4)):
        (folder / f"{number:05d}.png").rename(folder / f"{first + step * number:05d}x.png")
    notes = read_cine(folder).notes
    assert any(f"begin with {first}: the frames before may be missing" in note for note in notes) is is_said


def test_dates_in_names_are_no_counters(save_pictures):
    assert read_cine(save_pictures(FRAMES[:4], "2024010{}.png")).notes == ()


def test_a_picture_without_a_number_among_numbered_ones_is_noted(save_pictures):
    folder = save_pictures(moving_frames(4))
    Image.fromarray(moving_frames(1)[0] // 2).save(folder / "average.png")
    cine = read_cine(folder)
    assert len(cine) == 5
    assert any("1 of the 5 pictures has no number" in note for note in cine.notes)


def test_names_without_numbers_are_noted(tmp_path):
    for name, frame in zip(("first", "second", "third"), FRAMES[:3], strict=True):
        Image.fromarray(frame).save(tmp_path / f"{name}.png")
    assert read_cine(tmp_path).notes == (
        "The pictures' names have no numbers: the frames are in the order of the names, which may be another.",
    )
    assert read_cine(tmp_path / "first.png").notes == ()


def test_equal_pictures_are_counted(save_pictures):
    folder = save_pictures(FRAMES[:4])
    (folder / "00004.png").write_bytes((folder / "00002.png").read_bytes())
    assert read_cine(folder).notes == ("1 of the 5 pictures is equal to another, byte by byte.",)


@pytest.mark.parametrize("orientation", [1, 6])
def test_pictures_that_say_to_be_turned_are_noted(tmp_path, orientation):
    said = Image.Exif()
    said[274] = orientation
    Image.fromarray(FRAMES[0]).save(tmp_path / "0.jpg", exif=said, quality=95)
    cine = read_cine(tmp_path / "0.jpg")
    assert cine.shape == FRAMES[0].shape
    assert [note for note in cine.notes if "turned or mirrored" in note] == list(cine.notes)
    assert len(cine.notes) == (orientation != 1)


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["t0", "t0.04", "t0.08", "t0.12", "t0.16", "t0.2"], [0, 1, 2, 3, 4, 5]),  # times, of which 0.2 is the last
        (["1.1", "1.2", "1.9", "1.10", "1.11", "2.1"], [0, 1, 2, 3, 4, 5]),  # parts and their numbers
        (["1.08", "1.09", "1.10", "1.100", "1.101", "1.110"], [0, 1, 2, 3, 4, 5]),
    ],
)
def test_names_that_end_with_decimal_numbers(tmp_path, names, order):
    for name, frame in zip(names, FRAMES, strict=False):
        Image.fromarray(frame).save(tmp_path / f"{name}.png")
    np.testing.assert_array_equal(stacked(read_cine(tmp_path)), FRAMES[order])


def save_grey_and_alpha(path, values):
    """Write a PNG of two channels of 16 bits (W3C PNG, 11.2.2), which no library here writes."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">2I5B", values.shape[1], values.shape[0], 16, 4, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    stored = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(stored))


@pytest.mark.parametrize("channels", [2, 4])
def test_sixteen_bits_beside_transparency_are_not_cut_to_eight(tmp_path, channels):
    for index, frame in enumerate(FRAMES):
        values = np.repeat(frame[..., None].astype(np.uint16) * 16, 4, axis=2)
        values[..., 3] = 4095
        if channels == 2:
            save_grey_and_alpha(tmp_path / f"{index}.png", values[..., [0, 3]])
        else:
            cv2.imwrite(str(tmp_path / f"{index}.png"), values)
    low, high = (int(one) for one in (FRAMES.min(), FRAMES.max()))
    expected = (FRAMES.astype(float) - low) * 255 / (high - low)
    cine = read_cine(tmp_path)
    assert np.abs(stacked(cine) - expected).max() <= 1
    assert not cine.is_color


def test_a_cut_picture_is_noted_on_opening(save_pictures):
    folder = save_pictures(FRAMES)
    cut = folder / "00003.png"
    cut.write_bytes(cut.read_bytes()[:200])
    cine = read_cine(folder)
    assert any("1 of the 12 frames looked at on opening cannot be read" in note for note in cine.notes)
    with pytest.raises(FrameError):
        cine.frames[3]


@pytest.mark.parametrize(("frames", "is_noted"), [([0, 1], False), ([0, 11], True), ([0, 6, 11, 3, 9, 1], True)])
def test_pictures_that_are_hardly_alike_may_be_stills(save_pictures, frames, is_noted):
    said = "Neighbouring frames are hardly alike: they may be stills and no cine, or in a wrong order."
    assert read_cine(save_pictures(FRAMES[frames])).notes == ((said,) if is_noted else ())


def test_the_stills_of_a_data_set_are_noted_and_a_cine_at_every_fifth_frame_is_not(tmp_path, shared_data):
    views = sorted((shared_data / "stills" / "busbra" / "images").glob("bus_00*-?.jpg"))[:12]
    series = sorted((shared_data / "cine" / "breast_series_dicom").glob("*.dcm"))[::5]
    for folder, paths in (("stills", views), ("cine", series)):
        for number, path in enumerate(paths):
            picture = Image.fromarray(read_cine(path).frames[0]).convert("L").resize((200, 160))
            (tmp_path / folder).mkdir(exist_ok=True)
            picture.save(tmp_path / folder / f"{number}.png")
        notes = read_cine(tmp_path / folder).notes
        assert any("may be stills" in note for note in notes) == (folder == "stills")
