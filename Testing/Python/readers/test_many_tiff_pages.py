"""Compressed TIFF files of many pages: Pillow takes longer for each page the more there are, tifffile does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.errors import FrameError
from UltrasoundLesionSegLib.readers.image_folder import image_values
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.paged_picture import page_values
from UltrasoundLesionSegLib.readers.pages import PageFile

COUNT = 300
KINDS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "grey": (np.uint8, ()),
    "deep grey": (np.uint16, ()),
    "colour": (np.uint8, (3,)),
}


def values_of(kind: str) -> NDArray[Any]:
    dtype, samples = KINDS[kind]
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (COUNT, 8, 12, *samples), dtype)


def write(path: Path, kind: str = "grey", byteorder: Any = "<", **options: Any) -> Path:
    with tifffile.TiffWriter(path, byteorder=byteorder) as file:
        for page in values_of(kind):
            file.write(page, contiguous=False, metadata=None, **{"compression": "zlib", **options})
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"predictor": True}, {"byteorder": ">"}])
def test_each_page_is_as_pillow_reads_it_and_the_file_is_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, options: dict[str, Any]
) -> None:
    path, values = write(tmp_path / "many.tif", kind, **options), values_of(kind)
    opened: list[Any] = []
    open_file = tifffile.TiffFile.__init__
    monkeypatch.setattr(tifffile.TiffFile, "__init__", lambda *a, **k: (opened.append(a), open_file(*a, **k))[1])
    with PageFile(path) as pages, Image.open(path) as image:
        assert pages.stack is not None
        assert pages.stack.is_for_tifffile
        for index in range(COUNT):
            image.seek(index)
            np.testing.assert_array_equal(page_values(pages, index), values[index])
            np.testing.assert_array_equal(image_values(image), values[index])
            np.testing.assert_array_equal(image_values(pages.image(index)), values[index])
    assert len(opened) == 2  # once to find the pages


PALETTE = {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}
TURNED = {"extratags": [(274, "H", 1, 3, True)]}


@pytest.mark.parametrize("options", [{"compression": None}, PALETTE, TURNED])
def test_pages_that_pillow_reads_fast_or_otherwise_are_left_to_it(tmp_path: Path, options: dict[str, Any]) -> None:
    with PageFile(write(tmp_path / "many.tif", **options)) as pages:
        assert pages.stack is not None
        assert not pages.stack.is_for_tifffile


def test_a_damaged_page_is_one_frame_that_cannot_be_read(tmp_path: Path) -> None:
    path = write(tmp_path / "many.tif")
    with tifffile.TiffFile(path) as file:
        at = file.pages[7].dataoffsets[0]
    with path.open("r+b") as stream:
        stream.seek(at)
        stream.write(b"\0" * 8)
    cine = read_cine(path)
    with pytest.raises(FrameError, match="frame 7 cannot be read: its picture is damaged"):
        cine.frames[7]
    assert cine.frames[8].shape == (8, 12)
