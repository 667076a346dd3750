"""Masks that were saved through a colour map."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from seed_pictures import AREA, HALF, LEVEL, SECOND, SOFT, areas, read

from UltrasoundLesionSegLib.errors import SeedError


@pytest.mark.parametrize("name", ["viridis", "plasma", "jet", "hot", "gray_r", "Reds"])
@pytest.mark.parametrize("level", [LEVEL, SOFT], ids=["hard", "soft"])
def test_masks_saved_through_a_colour_map(tmp_path, name, level):
    import matplotlib

    picture = (matplotlib.colormaps[name](level / 255)[..., :3] * 255).round().astype(np.uint8)
    assert areas(read(tmp_path, picture)) == [pytest.approx(AREA, rel=0.03)]


@pytest.mark.parametrize("is_inverted", [False, True])
@pytest.mark.parametrize("name", ["VIRIDIS", "MAGMA", "INFERNO", "PLASMA", "JET", "HOT", "TURBO", "PINK", "OCEAN"])
def test_soft_masks_saved_through_a_colour_map(tmp_path, name, is_inverted):
    level = cv2.GaussianBlur(LEVEL, (0, 0), 3)
    half = int((level >= 128).sum())
    picture = cv2.applyColorMap(255 - level if is_inverted else level, getattr(cv2, f"COLORMAP_{name}"))
    found = read(tmp_path, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    assert areas(found) == [pytest.approx(half, rel=0.005)]
    assert found.remarks[0] == f"levels of the colour map {name.lower()}"
    compressed = read(tmp_path, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), "jpg", quality=90)
    assert areas(compressed) == [pytest.approx(half, rel=0.03)]


def test_two_soft_lesions_in_a_colour_map(tmp_path):
    level = cv2.GaussianBlur(np.where(SECOND, 127, LEVEL).astype(np.uint8), (0, 0), 1.5)
    found = read(tmp_path, cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB))
    assert areas(found) == [pytest.approx(SECOND.sum(), rel=0.02), pytest.approx(AREA, rel=0.01)]


def test_colours_blended_with_black_are_of_no_map(tmp_path):
    for color in ((255, 0, 0), (255, 200, 0), (0, 0, 255), (250, 250, 180)):
        picture = (SOFT[..., np.newaxis] / 255 * np.array(color)).round().astype(np.uint8)
        for suffix in ("png", "jpg"):
            found = read(tmp_path, picture, suffix)
            assert (areas(found), found.remarks) == ([pytest.approx(AREA, rel=0.01)], (HALF,))


@pytest.mark.parametrize("is_inverted", [False, True])
@pytest.mark.parametrize("name", ["HSV", "TWILIGHT"])
def test_a_colour_map_whose_ends_are_alike_is_named(tmp_path, name, is_inverted):
    picture = cv2.applyColorMap(255 - SOFT if is_inverted else SOFT, getattr(cv2, f"COLORMAP_{name}"))
    with pytest.raises(SeedError, match=f"the colour map {name.lower()}, whose two ends are alike"):
        read(tmp_path, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
