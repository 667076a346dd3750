"""One file of many pictures is a cine: TIFF stacks, animated GIF, PNG and WebP."""

import io
import shutil
import struct

import av
import numpy as np
import pytest
import tifffile
from PIL import Image
from source_makers import PLANTED, jpeg, moving_frames, save_animation

from UltrasoundLesionSegLib.cine import SourceKind
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers.frames import CachedFrames
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.paged_picture import PagedFrames
from UltrasoundLesionSegLib.readers.pages import PageFile

FRAMES = moving_frames(8)
COLOR = moving_frames(8, color=True)


def stacked(cine):
    return np.stack(list(cine))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("frames", [FRAMES, COLOR], ids=["grey", "colour"])
def test_an_animation_is_a_cine_with_its_times(kind, frames, tmp_path):
    cine = read_cine(save_animation(tmp_path / PLANTED, frames, kind))
    assert (len(cine), cine.shape, cine.is_color) == (8, (40, 56), frames.ndim == 4)
    assert np.abs(stacked(cine).astype(int) - frames).max() <= (12 if kind == "GIF" and frames.ndim == 4 else 0)
    np.testing.assert_allclose(cine.timing.seconds, 0.05 * np.arange(8), atol=1e-4)
    assert cine.timing.approximate
    kind_of_source = SourceKind.VIDEO if kind == "PNG" else SourceKind.IMAGES
    assert (cine.identity.kind, cine.notes) == (kind_of_source, ())


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_frames_shown_for_different_times(kind, tmp_path):
    cine = read_cine(save_animation(tmp_path / "a", FRAMES, kind, duration=[40, 80, 20, 200, 30, 30, 60, 70]))
    np.testing.assert_allclose(cine.timing.seconds, np.cumsum([0, 40, 80, 20, 200, 30, 30, 60]) / 1000, atol=1e-4)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_delay_of_zero_is_no_time(kind, tmp_path):
    cine = read_cine(save_animation(tmp_path / "a", FRAMES, kind, duration=0))
    assert (len(cine), cine.timing) == (8, None)
    assert cine.notes == ("The animation does not say how long each frame is shown: times are unknown.",)


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_partial_frames_are_built_up_as_players_do(kind, disposal, tmp_path):
    """Small pictures on a transparent ground, left, restored or cleared; FFmpeg's own decoder is the reference."""
    layers = []
    for index in range(6):
        picture = np.zeros((40, 56, 4), np.uint8)
        picture[5 + 4 * index : 15 + 4 * index, 3 + 7 * index : 18 + 7 * index] = (40 * index + 30, 200, 90, 255)
        layers.append(Image.fromarray(picture))
    if kind == "PNG":
        if disposal == 3:
            pytest.skip("animated PNG has three kinds")
        options = {"disposal": disposal, "blend": 1}
    else:
        options = {"disposal": disposal}
    path = tmp_path / f"a.{kind.lower()}"
    layers[0].save(path, kind, save_all=True, append_images=layers[1:], duration=50, **options)
    with av.open(str(path)) as container:
        shown = [frame.to_ndarray(format="rgba") for frame in container.decode(video=0)]
    expected = [np.where(one[..., 3:] > 0, one[..., :3], 0) for one in shown]
    cine = read_cine(path)
    assert len(cine) == len(expected)
    np.testing.assert_array_equal(stacked(cine), expected)


def test_the_picture_beside_an_animated_png_is_no_frame_of_it(tmp_path):
    pictures = [Image.fromarray(frame) for frame in FRAMES]
    other = Image.fromarray(255 - FRAMES[0])
    other.save(tmp_path / "a", "PNG", save_all=True, append_images=pictures, default_image=True, duration=50)
    np.testing.assert_array_equal(stacked(read_cine(tmp_path / "a")), FRAMES)


def test_going_back_through_an_animation(tmp_path):
    frames = moving_frames(60)
    path = save_animation(tmp_path / "a", frames, "WEBP")
    with PageFile(path) as pages:
        reader = PagedFrames(pages, False, (0, 255), 60, cache_bytes=10 * 40 * 56)
        for at in (59, 30, 29, 28, 5, 40, 0, 59):
            np.testing.assert_array_equal(reader[at], frames[at])
        assert len(reader._cached) <= 10


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_frames_of_a_damaged_animation_are_right_or_named(kind, tmp_path):
    path = save_animation(tmp_path / "a", FRAMES, kind)
    right = stacked(read_cine(path))
    content = bytearray(path.read_bytes())
    if kind == "GIF":
        with Image.open(path) as image:
            image.seek(5)
            at = image.tile[0][2] + 40
    else:
        at = len(content) // 2
    content[at : at + 60] = b"\xff" * 60
    path.write_bytes(content)
    cine = read_cine(path)
    assert cine.notes
    unreadable = []
    for index in [*range(len(cine)), 1, len(cine) - 1]:
        try:
            np.testing.assert_array_equal(cine.frames[index], right[index])
        except FrameError:
            unreadable.append(index)
    assert len(cine) - len(set(unreadable)) in (2, 3, 4, 5)


@pytest.mark.parametrize("interval", [0.0001, 40])
def test_an_interval_that_no_scanner_has_is_not_believed(tmp_path, interval):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, FRAMES, imagej=True, metadata={"axes": "TYX", "finterval": interval})
    cine = read_cine(path)
    assert cine.timing is None
    assert "Frame times are unknown: by the frame interval of the TIFF file" in cine.notes[0]


def test_a_stack_is_a_cine(tmp_path):
    path = tmp_path / PLANTED
    tifffile.imwrite(path, FRAMES, imagej=True, metadata={"axes": "TYX", "finterval": 0.04})
    cine = read_cine(path)
    np.testing.assert_array_equal(stacked(cine), FRAMES)
    np.testing.assert_allclose(cine.timing.seconds, 0.04 * np.arange(8))
    assert cine.notes == ()


def test_deep_stacks_share_one_scale(tmp_path):
    for name, deep, options in (
        ("grey", FRAMES.astype(np.uint16) * 16, {}),
        ("colour", COLOR.astype(np.uint16) * 16, {"photometric": "rgb"}),
        ("one directory", COLOR.astype(np.uint16) * 16, {"photometric": "rgb", "truncate": True}),
        ("float", FRAMES.astype(np.float32) / 7, {}),
    ):
        tifffile.imwrite(tmp_path / name, deep, **options)
        cine = read_cine(tmp_path / name)
        low, high = float(deep.min()), float(deep.max())
        expected = ((deep.astype(float) - low) * 255 / (high - low)).round()
        assert np.abs(stacked(cine).astype(int) - expected).max() <= 1, name
        assert cine.notes == (f"The values {low:g} to {high:g} of the source are shown as 0 to 255.",)


def test_a_damaged_page_is_named(tmp_path):
    path = tmp_path / "a.tif"
    pictures = [Image.fromarray(frame) for frame in FRAMES]
    pictures[0].save(path, "TIFF", save_all=True, append_images=pictures[1:], compression="tiff_lzw")
    with tifffile.TiffFile(path) as file:
        offset, size = file.pages[7].dataoffsets[0], file.pages[7].databytecounts[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + size] = b"\xff" * size
    path.write_bytes(content)
    cine = read_cine(path)
    assert "1 of the 8 frames looked at on opening cannot be read" in cine.notes[0]
    np.testing.assert_array_equal(cine.frames[3], FRAMES[3])
    with pytest.raises(FrameError, match="frame 7"):
        cine.frames[7]


def test_a_folder_with_one_such_file_is_that_cine(tmp_path):
    save_animation(tmp_path / "a.gif", FRAMES, "GIF")
    assert len(read_cine(tmp_path)) == 8
    shutil.copy(tmp_path / "a.gif", tmp_path / "b.gif")
    with pytest.raises(SourceError, match="2 pictures of several frames each"):
        read_cine(tmp_path)


def test_an_animation_that_changes_is_a_frame_error(tmp_path):
    path = save_animation(tmp_path / "a", FRAMES, "GIF")
    cine = read_cine(path)
    save_animation(path, FRAMES[::-1], "GIF", duration=60)
    assert isinstance(cine.frames, CachedFrames)
    cine.frames._cached.clear()
    with pytest.raises(FrameError, match="has changed"):
        cine.frames[0]


@pytest.mark.parametrize(
    ("name", "rate"), [("03_tiff_stack_as_cine/ij_stack.tif", 20.0), ("31_gif/a.gif", 20.0)], ids=["TIFF", "GIF"]
)
def test_the_inputs_from_the_field(shared_data, name, rate):
    cine = read_cine(shared_data / "field" / name)
    base = read_cine(shared_data / "field" / "00_base" / "base.dcm")
    np.testing.assert_array_equal(stacked(cine), stacked(base))
    assert cine.timing.frames_per_second == pytest.approx(rate)


def gif_of(pictures, width=60, height=40):
    """A GIF of grey pictures, each at (x, y) with a disposal method, None for no control block."""
    ramp = b"".join(bytes([level] * 3) for level in range(256))
    found = b"GIF89a" + struct.pack("<HH", width, height) + bytes([0xF7, 0, 0]) + ramp
    for x, y, picture, disposal in pictures:
        if disposal is not None:
            found += b"\x21\xf9\x04" + bytes([disposal << 2, 5, 0, 0, 0])
        target = io.BytesIO()
        image = Image.fromarray(picture).convert("P")
        image.putpalette(ramp)
        image.save(target, "GIF", optimize=False)
        written = target.getvalue()
        at = written.index(b"\x2c" + struct.pack("<HHHH", 0, 0, *picture.shape[::-1]))
        palette = 3 << (written[at + 9] & 7) + 1 if written[at + 9] & 0x80 else 0
        found += b"\x2c" + struct.pack("<HHHHB", x, y, *picture.shape[::-1], 0) + written[at + 10 + palette : -1]
    return found + b"\x3b"


@pytest.mark.parametrize("later", [1, 0, None])
@pytest.mark.parametrize("first", [0, 1, 2, 3, None])
def test_what_becomes_of_a_frame_of_a_gif_is_as_the_file_says(tmp_path, first, later):
    ground, patch = np.full((40, 60), 50, np.uint8), np.full((10, 12), 200, np.uint8)
    (tmp_path / "a.gif").write_bytes(gif_of([(0, 0, ground, first), (5, 5, patch, later), (30, 20, patch, later)]))
    kept = np.zeros((40, 60), np.uint8) if first in (2, 3) else ground.copy()
    expected = [ground.copy()]
    for x, y in ((5, 5), (30, 20)):
        kept[y : y + 10, x : x + 12] = 200
        expected.append(kept.copy())
    np.testing.assert_array_equal(stacked(read_cine(tmp_path / "a.gif")), expected)


def test_a_gif_frame_that_is_to_be_replaced_and_one_that_does_not_say(tmp_path):
    ground, patch = np.full((40, 60), 50, np.uint8), np.full((10, 12), 200, np.uint8)
    layers = [(0, 0, ground, 1), (5, 5, patch, 3), (20, 5, patch, 0), (30, 20, patch, 2), (45, 25, patch, None)]
    (tmp_path / "a.gif").write_bytes(gif_of(layers))
    last = ground.copy()
    last[5:15, 20:32] = 200
    cleared = last.copy()
    cleared[20:30, 30:42] = 0
    cleared[25:35, 45:57] = 200
    found = stacked(read_cine(tmp_path / "a.gif"))
    np.testing.assert_array_equal(found[2], last)
    np.testing.assert_array_equal(found[4], cleared)


def test_a_gif_without_its_end_says_so(tmp_path):
    whole = gif_of([(0, 0, frame[:40, :56], 1) for frame in FRAMES], 56)
    (tmp_path / "a.gif").write_bytes(whole[:-1])
    cine = read_cine(tmp_path / "a.gif")
    assert len(cine) == 8
    assert "lacks its end" in cine.notes[0]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_frames_that_a_writer_merged_are_noted(kind, tmp_path):
    repeated = FRAMES[[0, 1, 1, 1, 2, 3, 4, 4, 5, 5]]
    cine = read_cine(save_animation(tmp_path / "a", repeated, kind))
    assert len(cine) == 6
    assert cine.notes[0].startswith("2 of the 6 frames are shown for twice the usual time or longer")


def jpegs(path, frames, is_indexed):
    """JPEG streams in one file, with an index or without."""
    pictures = [Image.fromarray(frame) for frame in frames]
    if is_indexed:
        pictures[0].save(path, "MPO", save_all=True, append_images=pictures[1:], quality=95)
    else:
        path.write_bytes(b"".join(jpeg(frame) for frame in frames))
    return path


@pytest.mark.parametrize("is_indexed", [True, False])
@pytest.mark.parametrize("count", [2, 8])
def test_a_jpeg_file_of_several_pictures(tmp_path, is_indexed, count):
    cine = read_cine(jpegs(tmp_path / "a", FRAMES[:count], is_indexed))
    assert (len(cine), cine.timing, cine.notes) == (count, None, ())
    assert np.abs(stacked(cine).astype(int) - FRAMES[:count]).mean() < 2
    assert np.abs(cine.frames[1].astype(int) - FRAMES[1]).mean() < 2
    (tmp_path / "folder").mkdir()
    (tmp_path / "a").rename(tmp_path / "folder" / "a.jpg")
    assert len(read_cine(tmp_path / "folder")) == count
    (tmp_path / "folder" / "b.jpg").write_bytes((tmp_path / "folder" / "a.jpg").read_bytes())
    with pytest.raises(SourceError, match="2 pictures of several frames each"):
        read_cine(tmp_path / "folder")


def test_a_preview_in_a_jpeg_file_is_no_frame(tmp_path):
    small = FRAMES[0][:20, :28]
    assert len(read_cine(jpegs(tmp_path / "a.jpg", [FRAMES[0], small], True))) == 1
    cine = read_cine(jpegs(tmp_path / "b.jpg", [FRAMES[0], FRAMES[1], small], True))
    assert (len(cine), cine.notes) == (2, ("1 of the 3 pictures of the JPEG file have another size: left out.",))
