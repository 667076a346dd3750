"""The pictures in one file: TIFF stacks as programs write them, animations, damage."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
import tifffile
from PIL import Image
from source_makers import PLANTED, moving_frames

from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers.frames import AS_STORED, choose_levels, to_uint8
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.pages import PageFile

GREY = moving_frames(6)
COLOR = moving_frames(6, color=True)


def by_pillow(frames, **options):
    pictures = [Image.fromarray(frame) for frame in frames]
    return lambda path: pictures[0].save(path, "TIFF", save_all=True, append_images=pictures[1:], **options)


def by_tifffile(frames, **options):
    return lambda path: tifffile.imwrite(path, frames, **options)


def by_itk(frames, compress=False):
    image = SimpleITK.GetImageFromArray(frames, isVector=frames.ndim == 4)
    return lambda path: SimpleITK.WriteImage(image, str(path), useCompression=compress)


def one_by_one(frames, preview=False):
    def write(path):
        with tifffile.TiffWriter(path) as file:
            if preview:
                file.write(frames[0, ::4, ::4], subfiletype=1)
            for frame in frames:
                file.write(frame)
            if preview:
                file.write(frames[0, ::8, ::8], subfiletype=1)

    return write


def pyramid(frames):
    def write(path):
        with tifffile.TiffWriter(path, ome=True) as file:
            file.write(frames, subifds=1, metadata={"axes": "TYX"})
            file.write(frames[:, ::2, ::2], subfiletype=1)

    return write


STACKS = {
    "pages": (GREY, by_tifffile(GREY)),
    "ImageJ": (GREY, by_tifffile(GREY, imagej=True)),
    "ImageJ, one directory": (GREY, by_tifffile(GREY, imagej=True, truncate=True)),
    "ImageJ, one directory, 16 bits": (
        GREY * 16.0,
        by_tifffile(GREY.astype(np.uint16) * 16, imagej=True, truncate=True),
    ),
    "ImageJ in colour": (COLOR, by_tifffile(COLOR, imagej=True, metadata={"axes": "TYXS"})),
    "ImageJ, three channels": (COLOR, by_tifffile(np.moveaxis(COLOR, -1, 1), imagej=True, metadata={"axes": "TCYX"})),
    "OME": (GREY, by_tifffile(GREY, ome=True, metadata={"axes": "TYX"})),
    "OME, pyramid": (GREY, pyramid(GREY)),
    "ITK": (GREY, by_itk(GREY)),
    "ITK in colour": (COLOR, by_itk(COLOR)),
    "ITK, compressed": (GREY, by_itk(GREY.astype(np.uint16), compress=True)),
    "LZW": (GREY, by_pillow(GREY, compression="tiff_lzw")),
    "LZW in colour": (COLOR, by_pillow(COLOR, compression="tiff_lzw")),
    "deflate": (GREY, by_pillow(GREY, compression="tiff_adobe_deflate")),
    "PackBits": (GREY, by_pillow(GREY, compression="packbits")),
    "Group 4": (GREY > 90, by_pillow(GREY > 90, compression="group4")),
    "predictor": (GREY, by_tifffile(GREY, compression="zlib", predictor=True)),
    "tiles": (GREY, by_tifffile(GREY, compression="zlib", tile=(16, 16))),
    "planes": (COLOR, by_tifffile(np.moveaxis(COLOR, -1, 1), photometric="rgb", planarconfig="separate")),
    "BigTIFF": (GREY, by_tifffile(GREY, bigtiff=True)),
    "big endian": (GREY, by_tifffile(GREY.astype(np.uint16), byteorder=">")),
    "float": (GREY / 4, by_tifffile(GREY.astype(np.float32) / 4)),
    "white is zero": (GREY, by_tifffile(255 - GREY, photometric="miniswhite")),
    "pages added one by one": (GREY, one_by_one(GREY)),
}


def values(pages):
    return np.stack([np.asarray(pages.image(index)) for index in range(len(pages))])


@pytest.mark.parametrize("kind", STACKS)
def test_each_page_is_a_picture(kind, tmp_path):
    expected, write = STACKS[kind]
    path = tmp_path / "a.tif"
    write(path)
    with PageFile(path) as pages:
        assert (len(pages), pages.height, pages.width, pages.notes) == (6, *expected.shape[1:3], ())
        np.testing.assert_array_equal(values(pages), expected)
        np.testing.assert_array_equal(np.asarray(pages.image(1)), expected[1])


def test_pages_of_several_kinds_are_all_frames_in_their_order(tmp_path):
    """ImageMagick and Pillow write each page in its own form: black ones with one bit, others grey or in colour."""
    frames = GREY.copy()
    frames[1] = 0
    pictures = [Image.fromarray(one) for one in frames]
    pictures[1], pictures[4] = pictures[1].convert("1"), pictures[4].convert("RGB")
    pictures[0].save(tmp_path / "a.tif", save_all=True, append_images=pictures[1:])
    cine = read_cine(tmp_path / "a.tif")
    np.testing.assert_array_equal(np.stack(list(cine)), frames)
    assert cine.notes == ()
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        for number, one in enumerate(frames):
            file.write(one.astype(np.uint16) if number == 2 else one, contiguous=False, metadata=None)
    np.testing.assert_array_equal(np.stack(list(read_cine(tmp_path / "b.tif"))), frames)


def test_jpeg_in_tiff(tmp_path):
    by_pillow(GREY, compression="jpeg")(tmp_path / "a.tif")
    with PageFile(tmp_path / "a.tif") as pages:
        assert np.abs(values(pages).astype(int) - GREY).mean() < 3


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_colours_of_sixteen_bits_keep_their_lower_bits(options, tmp_path):
    deep = COLOR.astype(np.uint16) * 16
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", **options)
    with PageFile(tmp_path / "a.tif") as pages:
        np.testing.assert_array_equal(np.stack([pages.own_values(index) for index in range(6)]), deep)


WIDE = GREY.astype(np.uint16) * 16
DEEP = COLOR.astype(np.uint16) * 16
WITH_ALPHA = np.stack([GREY, np.full_like(GREY, 255)], axis=1)
BEYOND_PILLOW: dict[str, tuple[np.ndarray, np.ndarray, dict[str, Any]]] = {
    "planes of 16 bits": (DEEP, np.moveaxis(DEEP, -1, 1), {"photometric": "rgb", "planarconfig": "separate"}),
    "planes of 16 bits, tiles": (
        DEEP,
        np.moveaxis(DEEP, -1, 1),
        {"photometric": "rgb", "planarconfig": "separate", "compression": "zlib", "tile": (16, 16)},
    ),
    "white is zero, 16 bits": (WIDE + (65535 - WIDE.max()), WIDE.max() - WIDE, {"photometric": "miniswhite"}),
    "ImageJ, white is zero": (GREY, 255 - GREY, {"photometric": "miniswhite", "imagej": True}),
    "signed bytes": (GREY.astype(np.int8), GREY.astype(np.int8), {}),
    "floats of 64 bits": (GREY / 4.0, GREY / 4.0, {}),
    "floats of 16 bits": (GREY.astype(np.float16), GREY.astype(np.float16), {}),
    "numbers of 64 bits": (GREY.astype(np.int64), GREY.astype(np.int64), {}),
    "floats in colour": (COLOR.astype(np.float32), COLOR.astype(np.float32), {"photometric": "rgb"}),
    "planes of grey and alpha": (
        GREY,
        WITH_ALPHA,
        {"photometric": "minisblack", "planarconfig": "separate", "extrasamples": ["unassalpha"]},
    ),
}


@pytest.mark.parametrize("kind", BEYOND_PILLOW)
def test_what_pillow_refuses_or_reads_wrongly(kind, tmp_path):
    expected, stored, options = BEYOND_PILLOW[kind]
    tifffile.imwrite(tmp_path / "stack.tif", stored, **options)
    levels = AS_STORED if expected.dtype == np.uint8 else choose_levels([expected])
    right = np.stack([to_uint8(one, levels) for one in expected])
    np.testing.assert_array_equal(np.stack(list(read_cine(tmp_path / "stack.tif"))), right)
    (tmp_path / "frames").mkdir()
    options = {name: value for name, value in options.items() if name != "imagej"}
    for number, frame in enumerate(stored):
        tifffile.imwrite(tmp_path / "frames" / f"{number}.tif", frame, **options)
    np.testing.assert_array_equal(np.stack(list(read_cine(tmp_path / "frames"))), right)


def test_a_compression_that_is_not_read_is_named(tmp_path):
    image = SimpleITK.GetImageFromArray(WIDE[0])
    SimpleITK.WriteImage(image, str(tmp_path / "a.tif"), useCompression=True, compressor="LZW")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages.first
        assert page.compression == 5
        data[page.tags["PhotometricInterpretation"].valueoffset] = 0  # white is zero
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(SourceError, match="1 x 16 bits a pixel in a compression that is not read"):
        read_cine(tmp_path / "a.tif")


def test_previews_and_masks_are_left_out_and_counted(tmp_path):
    one_by_one(GREY, preview=True)(tmp_path / "a.tif")
    with PageFile(tmp_path / "a.tif") as pages:
        np.testing.assert_array_equal(values(pages), GREY)
        assert pages.notes == ("2 of the 8 pages of the TIFF file have another size or are masks: left out.",)


def test_pictures_along_two_axes_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / f"{PLANTED}.tif", GREY.reshape(2, 3, 40, 56), imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(SourceError, match="2 x 3 pictures") as caught:
        PageFile(tmp_path / f"{PLANTED}.tif")
    assert PLANTED not in str(caught.value)


def test_a_cut_file_says_so(tmp_path):
    path = tmp_path / "a.tif"
    by_pillow(GREY, compression="tiff_lzw")(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with PageFile(path) as pages:
        assert pages.notes == (f"The TIFF file is cut off: {len(pages)} of its frames could be found.",)
        np.testing.assert_array_equal(values(pages), GREY[: len(pages)])
    tifffile.imwrite(path, GREY, imagej=True, truncate=True)
    path.write_bytes(path.read_bytes()[:-3000])
    with PageFile(path) as pages:
        assert (len(pages), len(pages.notes)) == (4, 1)
        np.testing.assert_array_equal(values(pages), GREY[:4])


def test_a_page_that_is_cut_is_named_and_the_others_are_read(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY)
    path.write_bytes(path.read_bytes()[:-3000])  # tifffile keeps the directories in front
    with PageFile(path) as pages:
        with pytest.raises(FrameError, match="frame 5 cannot be read"):
            pages.image(5)
        np.testing.assert_array_equal(np.asarray(pages.image(3)), GREY[3])


@pytest.mark.parametrize(("back_to", "found"), [(0, 5), (3, 4), (4, 5)])
def test_a_directory_that_leads_back_to_itself_ends(tmp_path, back_to, found):
    path = tmp_path / "a.tif"
    by_pillow(GREY)(path)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        offsets = [page.offset for page in file.pages]
    at = content.rindex(offsets[-1].to_bytes(4, "little"))
    content[at : at + 4] = offsets[back_to].to_bytes(4, "little")
    path.write_bytes(content)
    with PageFile(path) as pages:
        assert len(pages) == found


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_animations_are_read_in_any_order(kind, tmp_path):
    pictures = [Image.fromarray(frame).convert("RGB") for frame in GREY]
    options = {"lossless": True} if kind == "WEBP" else {}
    path = tmp_path / "a"
    pictures[0].save(path, kind, save_all=True, append_images=pictures[1:], duration=50, **options)
    with PageFile(path) as pages:
        assert len(pages) == 6
        for index in (5, 0, 3, 2, 4, 1):
            got = np.asarray(pages.image(index).convert("RGB")).astype(int)
            assert np.abs(got - GREY[index][..., np.newaxis]).max() <= (8 if kind == "GIF" else 0)


def test_a_picture_has_one_page(tmp_path):
    for kind in ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP"):
        Image.fromarray(GREY[0]).save(tmp_path / kind, kind)
        with PageFile(tmp_path / kind) as pages:
            assert len(pages) == 1
            assert pages.image(0).size == (56, 40)


def test_what_is_no_picture_is_refused(tmp_path):
    path: Path = tmp_path / PLANTED
    path.write_bytes(b"II*\0" + bytes(40))
    with pytest.raises(SourceError, match="no picture") as caught:
        PageFile(path)
    assert PLANTED not in str(caught.value)
    with pytest.raises(SourceError, match="cannot be opened"):
        PageFile(tmp_path / "absent")


def test_a_stack_of_which_one_page_is_left_says_so(tmp_path):
    path = tmp_path / "a.tif"
    by_pillow(GREY, compression="tiff_lzw")(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 10])
    cine = read_cine(path)
    assert (len(cine), cine.notes) == (1, ("The TIFF file is cut off: 1 of its frames could be found.",))
