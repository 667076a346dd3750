"""The fingerprint of a cine's pixels: what it depends on, and what not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from dicom_helpers import write_multiframe, write_series

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import FrameError
from UltrasoundLesionSegLib.mrml.cine_nodes import add_cine
from UltrasoundLesionSegLib.mrml.cine_of_browser import cine_from_browser
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.pixel_digest import pixel_digest

FRAMES = np.random.default_rng(1).integers(0, 255, (4, 20, 30), np.uint8)


def test_files_of_other_kinds_with_equal_pixels_have_the_same(tmp_path: Path) -> None:
    one = read_cine(write_multiframe(tmp_path / "one.dcm", FRAMES))
    series = read_cine(write_series(tmp_path / "series", FRAMES))
    assert one.identity.digest != series.identity.digest
    assert pixel_digest(one) == pixel_digest(series) == pixel_digest(Cine.from_array(FRAMES))


def test_grey_in_colour_is_the_same_and_every_pixel_order_and_number_of_frames_count() -> None:
    known = pixel_digest(Cine.from_array(FRAMES))
    assert pixel_digest(Cine.from_array(np.repeat(FRAMES[..., np.newaxis], 3, axis=3))) == known
    other = FRAMES.copy()
    other[3, 19, 29] ^= 1
    others = [other, FRAMES[::-1], FRAMES[:3], np.concatenate([FRAMES, FRAMES[:1]])]
    assert len({known, *(pixel_digest(Cine.from_array(np.ascontiguousarray(one))) for one in others)}) == 5


def test_a_file_is_decoded_once_for_it(tmp_path: Path) -> None:
    read: list[int] = []

    class Counting:
        def __len__(self) -> int:
            return len(FRAMES)

        def __getitem__(self, index: int) -> np.ndarray:
            read.append(index)
            return FRAMES[index]

    source = write_multiframe(tmp_path / "once.dcm", FRAMES, ContentDate="20261129", PatientID="once")
    first, second = (replace(read_cine(source), frames=Counting()) for _ in range(2))
    assert pixel_digest(first) == pixel_digest(second) == pixel_digest(Cine.from_array(FRAMES))
    assert read == [0, 1, 2, 3]


def test_the_scene_keeps_it_and_a_frame_that_cannot_be_read_is_none() -> None:
    class Damaged:
        def __len__(self) -> int:
            return len(FRAMES)

        def __getitem__(self, index: int) -> np.ndarray:
            if index == 2:
                raise FrameError(index, "it is damaged")
            return FRAMES[index]

    whole = Cine.from_array(FRAMES)
    damaged = Cine(Damaged(), 20, 30, False, replace(whole.identity, digest="0" * 64))
    black = FRAMES.copy()
    black[2] = 0
    kept = cine_from_browser(add_cine(damaged)).identity.pixels
    assert kept == pixel_digest(damaged)
    assert kept not in (pixel_digest(whole), pixel_digest(Cine.from_array(black)))
    assert cine_from_browser(add_cine(whole)).identity.pixels == pixel_digest(whole)
