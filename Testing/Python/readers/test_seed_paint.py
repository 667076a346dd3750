"""Masks as programs keep them: soft, inverted, coloured, indexed, compressed, transparent; what is refused, and why."""

import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from seed_pictures import AREA, HALF, LESION, LEVEL, SECOND, SOFT, areas, read

from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.seed_masks import read_seed_file
from UltrasoundLesionSegLib.readers.seed_tissue import cut_at_a_level
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine


def paint(*colored):
    picture = np.zeros((*LEVEL.shape, 3), np.uint8)
    for mask, color in colored:
        picture[mask] = color
    return picture


FIELD = [
    ("05_soft_edged_masks/resized_linear.png", 2926, HALF),
    ("05_soft_edged_masks/rgba_soft_alpha.png", 2926, f"painted on a transparent ground; {HALF}"),
    ("06_masks_without_black_background/imagej_inverting_lut.tif", 2926, "inverted: the background was white"),
    ("06_masks_without_black_background/inverted.png", 2926, "inverted: the background was white"),
    ("06_masks_without_black_background/viridis.png", 2926, "the background was what touches the frame's border"),
    ("07_indexed_png_with_smooth_edges/png8_16.png", 2926, HALF),
    ("26_jpeg_masks/mask_red.jpg", 2926, HALF),
    ("26_jpeg_masks/clip.seed.5.jpg", 3445, HALF),
    ("22_pixel_shape_known_but_not_used/par_seed.png", 1961, ""),
    ("00_base/seed.png", 2926, ""),
]


@pytest.mark.parametrize(("name", "area", "said"), FIELD)
def test_masks_from_the_field(shared_data, name, area, said):
    found = read_seed_file(shared_data / "field" / name)
    assert len(areas(found)) == 1
    assert areas(found)[0] == pytest.approx(area, rel=0.005)
    assert "; ".join(found.remarks).startswith(said)


def test_two_lesions_and_a_stack_from_the_field(shared_data):
    found = read_seed_file(shared_data / "field" / "08_two_lesions_by_colour_or_level" / "rgb_two_classes.png")
    assert areas(found) == [2926, 600]
    assert found.remarks == ("2 lesions by colour",)
    stack = read_seed_file(shared_data / "field" / "04_tiff_stack_as_seed" / "six_pages.tif")
    assert sorted(stack.masks) == list(range(6))
    truth = np.asarray(Image.open(shared_data / "field" / "00_base" / "seed.png")) > 0
    np.testing.assert_array_equal(stack.masks[2] > 0, truth)


@pytest.mark.parametrize("frame", [0, 2, 5])
def test_the_frame_itself_is_refused_with_what_was_seen(shared_data, tmp_path, frame):
    picture = read_cine(shared_data / "field" / "00_base" / "base.dcm").frames[frame]
    outline = np.repeat(picture[..., np.newaxis], 3, axis=2)
    cv2.circle(outline, (80, 80), 30, (255, 255, 0), 1)
    filled = outline.copy()
    cv2.circle(filled, (80, 80), 30, (255, 0, 0), -1)
    for image in (picture, outline, filled, Image.fromarray(picture).quantize(16)):
        with pytest.raises(SeedError, match=r"\d+ (grey levels|colours)"):
            read(tmp_path, image)


def test_real_frames_are_no_masks(shared_data):
    paths = sorted((shared_data / "stills" / "busbra" / "images").glob("*"))[:12]
    assert paths
    for path in paths:
        with pytest.raises(SeedError, match=r"picture of tissue|cannot be told"):
            read_seed_file(path)


@pytest.mark.parametrize("how", ["linear", "cubic", "lanczos", "blurred", "noisy", "enlarged"])
def test_half_level_and_up(tmp_path, how):
    small = cv2.resize(LEVEL, (100, 80), interpolation=cv2.INTER_AREA)
    methods = {
        "linear": cv2.INTER_LINEAR,
        "cubic": cv2.INTER_CUBIC,
        "lanczos": cv2.INTER_LANCZOS4,
        "enlarged": cv2.INTER_NEAREST,
    }
    if how in methods:
        picture = cv2.resize(small, (200, 160), interpolation=methods[how])
    elif how == "blurred":
        picture = SOFT
    else:
        noise = np.random.default_rng(0).normal(0, 3, LEVEL.shape)
        picture = np.clip(LEVEL * 0.8 + 20 + noise, 0, 255).astype(np.uint8)
    found = read(tmp_path, picture)
    assert areas(found) == [pytest.approx(AREA, rel=0.02)]
    assert HALF in found.remarks


@pytest.mark.parametrize("quality", [95, 75, 30])
@pytest.mark.parametrize("color", [(255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpeg_in_any_colour(tmp_path, quality, color, subsampling):
    found = read(tmp_path, paint((LESION, color)), "jpg", quality=quality, subsampling=subsampling)
    assert areas(found) == [pytest.approx(AREA, rel=0.02)]


def test_a_label_image_in_jpeg_is_refused(tmp_path):
    with pytest.raises(SeedError, match="too close for a JPEG"):
        read(tmp_path, (LEVEL // 255).astype(np.uint8), "jpg")


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "webp"])
def test_inverted_masks(tmp_path, suffix):
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    found = read(tmp_path, 255 - LEVEL, suffix, **options)
    assert areas(found) == [AREA]
    assert found.remarks == ("inverted: the background was white",)


def test_inverted_in_other_ways(tmp_path):
    assert areas(read(tmp_path, Image.fromarray(~LESION))) == [AREA]
    ones = read(tmp_path, np.where(LESION, 2, 1).astype(np.uint8))
    assert (areas(ones), ones.remarks) == ([AREA], ("the background was 1, not 0",))
    assert areas(read(tmp_path, Image.fromarray((255 - LEVEL).astype(np.uint16) * 257))) == [AREA]
    assert areas(read(tmp_path, 255 - SOFT)) == [pytest.approx(AREA, rel=0.01)]
    buffer = io.BytesIO()
    Image.fromarray(~LESION).save(buffer, "TIFF", tiffinfo={262: 0})  # 1 bit, WhiteIsZero
    (tmp_path / "b.tif").write_bytes(buffer.getvalue())
    assert areas(read_seed_file(tmp_path / "b.tif")) == [AREA]


@pytest.mark.parametrize("gap", [0, 40])
def test_a_lesion_cut_by_the_border_is_no_background(tmp_path, gap):
    cut = np.zeros_like(LEVEL)
    cut[gap + 60 :, :] = 255  # as wide as the frame
    assert areas(read(tmp_path, cut)) == [int((cut > 0).sum())]
    side = cv2.circle(np.zeros_like(LEVEL), (0, 80), 70, 255, -1)
    assert areas(read(tmp_path, side)) == [int((side > 0).sum())]
    assert areas(read(tmp_path, 255 - side)) == [int((side > 0).sum())]
    wide = cv2.ellipse(np.zeros_like(LEVEL), (100, 90), (110, 75), 0, 0, 360, 255, -1)  # leaves the corners alone
    for picture in (wide, 255 - wide, cv2.GaussianBlur(wide, (0, 0), 1)):
        assert areas(read(tmp_path, picture)) == [pytest.approx(int((wide > 0).sum()), rel=0.01)]


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.full_like(LEVEL, 255), "covers 100% of the frame"),
        (np.where(np.arange(160)[:, np.newaxis] < 40, 0, LEVEL * 0 + 255).astype(np.uint8), "of the frame's border"),
        (np.pad(np.full((154, 194), 255, np.uint8), 3), "covers 93% of the frame"),
        (np.tile(np.arange(200, dtype=np.uint8), (160, 1)), "grey levels|cannot be told"),
        (np.pad(LEVEL[1:-1, 1:-1], 1, constant_values=255), "cannot be told"),  # a line around the picture
        (np.where(np.random.default_rng(0).random((160, 200)) < 0.05, 255, 0).astype(np.uint8), "pieces"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path, picture, said):
    with pytest.raises(SeedError, match=said):
        read(tmp_path, picture)


def test_two_lesions_by_colour_or_level(tmp_path):
    counts = [AREA, int(SECOND.sum())]
    assert areas(read(tmp_path, paint((LESION, (255, 0, 0)), (SECOND, (0, 0, 255))))) == counts
    assert areas(read(tmp_path, paint((LESION, (255, 255, 0)), (SECOND, (0, 255, 255))))) == counts
    levels = np.where(LESION, 127, np.where(SECOND, 255, 0)).astype(np.uint8)
    found = read(tmp_path, levels)
    assert (areas(found), found.remarks) == (counts, ("2 lesions by grey level",))
    for soft in (cv2.GaussianBlur(levels, (0, 0), 1), paint((LESION, (255, 0, 0)), (SECOND, (0, 0, 255)))):
        assert areas(read(tmp_path, cv2.GaussianBlur(soft, (0, 0), 1))) == pytest.approx(counts, rel=0.05)
    assert areas(read(tmp_path, levels, "jpg", quality=75)) == pytest.approx(counts, rel=0.05)


def test_labels_in_steps(tmp_path):
    labels = np.zeros_like(LEVEL)
    for label in range(1, 4):
        cv2.circle(labels, (40 * label, 60), 6 + 3 * label, label, -1)
    counts = [int((labels == label).sum()) for label in range(1, 4)]
    assert areas(read(tmp_path, labels * 80)) == counts
    (kept,) = read(tmp_path, labels * 10).masks.values()  # up to 64, numbers are labels
    np.testing.assert_array_equal(kept, labels * 10)
    assert areas(read(tmp_path, Image.fromarray(labels.astype(np.uint16) * 20000))) == counts


def indexed(numbers, colors):
    image = Image.fromarray(numbers.astype(np.uint8)).convert("P")
    image.putdata(numbers.ravel().tolist())
    image.putpalette([one for color in colors for one in color])
    return image


def test_a_palette_number_is_a_label_where_the_colours_say_so(tmp_path):
    numbers = np.where(LESION, 2, np.where(SECOND, 5, 0))
    colors = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128)]
    found = read(tmp_path, indexed(numbers, colors))
    assert sorted(np.unique(found.masks[None])) == [0, 2, 5]
    white_first = indexed(np.where(LESION, 1, 0), [(255, 255, 255), (0, 0, 0)])
    assert areas(read(tmp_path, white_first)) == [AREA]
    lesion_first = indexed(np.where(LESION, 0, 1), [(255, 255, 255), (0, 0, 0)])
    assert areas(read(tmp_path, lesion_first)) == [AREA]
    for count in (4, 16, 64):
        assert areas(read(tmp_path, Image.fromarray(SOFT).quantize(count))) == [pytest.approx(AREA, rel=0.03)]
    transparent = indexed(np.where(LESION, 1, 0), [(0, 0, 0), (0, 0, 0)])
    assert areas(read(tmp_path, transparent, transparency=0)) == [AREA]


def test_transparent_grounds(tmp_path):
    alpha = np.where(LESION, 255, 0).astype(np.uint8)
    tissue = np.random.default_rng(1).integers(0, 255, (*LEVEL.shape, 3), np.uint8)
    for color in (tissue, paint(), paint((LESION, (255, 255, 255))), paint((LESION | ~LESION, (200, 30, 30)))):
        assert areas(read(tmp_path, np.dstack([color, alpha]))) == [AREA]
    assert areas(read(tmp_path, np.dstack([LEVEL * 0, SOFT]))) == [pytest.approx(AREA, rel=0.01)]  # LA
    two = paint((LESION, (255, 0, 0)), (SECOND, (0, 0, 255)))
    both = np.where(LESION | SECOND, 90, 0).astype(np.uint8)
    assert areas(read(tmp_path, np.dstack([two, both]))) == [AREA, int(SECOND.sum())]
    margin = np.full_like(LEVEL, 255)
    margin[:10] = 0
    assert areas(read(tmp_path, np.dstack([LEVEL, LEVEL, LEVEL, margin]))) == [AREA]
    with pytest.raises(SeedError, match="empty"):
        read(tmp_path, np.dstack([LEVEL, LEVEL, LEVEL, LEVEL * 0]))


@pytest.mark.parametrize("color", [(255, 255, 255), (255, 220, 0)])
def test_a_closed_outline_is_filled(tmp_path, color):
    picture = paint()
    contours, _ = cv2.findContours(LEVEL, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, color, 2)
    found = read(tmp_path, picture)
    assert areas(found) == [pytest.approx(AREA, rel=0.08)]
    assert "a closed outline was filled" in found.remarks
    thin = paint()
    cv2.drawContours(thin, contours, -1, color, 1)
    assert areas(read(tmp_path, thin)) == [pytest.approx(AREA, rel=0.01)]
    ring = LESION & (cv2.erode(LEVEL, np.ones((17, 17))) == 0)  # a thick rim is a lesion with a hole
    assert areas(read(tmp_path, ring)) == [int(ring.sum())]


@pytest.mark.parametrize("suffix", ["tif", "gif", "png", "webp"])
def test_several_pages_are_several_frames(tmp_path, suffix):
    pages = [LEVEL, LEVEL * 0, np.roll(LEVEL, 20, axis=1)]
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    images = [Image.fromarray(one) for one in pages]
    images[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=images[1:], **options)
    found = read_seed_file(tmp_path / f"a.{suffix}")
    assert sorted(found.masks) == [0, 2]
    np.testing.assert_array_equal(found.masks[2] > 0, pages[2] > 0)


@pytest.mark.parametrize("is_soft", [False, True])
def test_pages_of_several_kinds_are_on_their_frames(tmp_path, is_soft):
    images = [Image.fromarray(one) for one in (LEVEL * 0, SOFT if is_soft else LEVEL, LEVEL, LEVEL)]
    images[0], images[2], images[3] = images[0].convert("1"), images[2].convert("1"), images[3].convert("RGB")
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:])
    found = read_seed_file(tmp_path / "a.tif")
    assert {frame: int((one == 1).sum()) for frame, one in found.masks.items()} == {1: AREA, 2: AREA, 3: AREA}


def test_an_inverted_stack_has_blank_pages_in_its_background(tmp_path):
    images = [Image.fromarray(255 - one) for one in (LEVEL, LEVEL * 0, LEVEL)]
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:])
    found = read_seed_file(tmp_path / "a.tif")
    assert {frame: int((one > 0).sum()) for frame, one in found.masks.items()} == {0: AREA, 2: AREA}


def test_a_soft_page_does_not_grow_where_the_lesion_fades(tmp_path):
    faint = (cv2.GaussianBlur(LEVEL, (0, 0), 15) * 0.4).astype(np.uint8)
    images = [Image.fromarray(one) for one in (SOFT, faint)]
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:])
    assert sorted(read_seed_file(tmp_path / "a.tif").masks) == [0]


@pytest.mark.parametrize(("suffix", "codec"), [("avi", "FFV1"), ("avi", "MJPG"), ("mp4", "mp4v")])
def test_a_video_of_masks(tmp_path, suffix, codec):
    pages = [LEVEL, LEVEL * 0, np.roll(LEVEL, 20, axis=1)]
    writer = cv2.VideoWriter(str(tmp_path / f"a.{suffix}"), cv2.VideoWriter.fourcc(*codec), 10, (200, 160))
    for page in pages:
        writer.write(cv2.cvtColor(page, cv2.COLOR_GRAY2BGR))
    writer.release()
    found = read_seed_file(tmp_path / f"a.{suffix}")
    assert sorted(found.masks) == [0, 2]
    for frame in (0, 2):
        assert np.count_nonzero((found.masks[frame] > 0) != (pages[frame] > 0)) < 0.02 * AREA


def test_the_cine_itself_is_no_seed(shared_data):
    with pytest.raises(SeedError, match=r"picture of tissue|cannot be told|no even area"):
        read_seed_file(shared_data / "field" / "26_jpeg_masks" / "clip.mp4")


def test_a_long_stack_of_plain_masks_is_read_in_little_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("UltrasoundLesionSegLib.readers.seed_values._MOST_BYTES", 10_000_000)
    pages = [Image.fromarray(np.roll(LEVEL, at, axis=1)) for at in range(60)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert len(read_seed_file(tmp_path / "a.tif").masks) == 60
    soft = [Image.fromarray(SOFT)] * 90
    soft[0].save(tmp_path / "b.tif", save_all=True, append_images=soft[1:])
    with pytest.raises(SeedError, match="too many soft"):
        read_seed_file(tmp_path / "b.tif")


@pytest.mark.parametrize("color", [(255, 255, 255), (255, 0, 0), (0, 200, 80), (40, 40, 90)])
@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("is_multiplied", [True, False])
def test_paint_that_was_multiplied_with_its_transparency(tmp_path, color, width, is_multiplied):
    soft = cv2.GaussianBlur(LEVEL, (0, 0), width)
    factor = soft / 255 if is_multiplied else np.ones(soft.shape)
    layers = [(factor * one).round().astype(np.uint8) for one in color]
    found = read(tmp_path, np.dstack([*layers, soft]))
    assert areas(found)[0] == pytest.approx(AREA, rel=0.02)
    assert "painted on a transparent ground" in found.remarks


@pytest.mark.parametrize("level", [24, 36, 60])
@pytest.mark.parametrize("is_color", [True, False])
def test_a_dark_lesion_beside_a_bright_one_in_a_soft_mask(tmp_path, level, is_color):
    dark, bright = ((level, 0, 0), (255, 0, 0)) if is_color else ((level,) * 3, (255,) * 3)
    picture = cv2.GaussianBlur(paint((LESION, dark), (SECOND, bright)), (0, 0), 1.5)
    found = areas(read(tmp_path, picture))
    assert found == pytest.approx([AREA, int(SECOND.sum())], rel=0.01)
    lossy = tmp_path / "lossy"
    lossy.mkdir()
    if level < 40:  # never one of the two alone
        with pytest.raises(SeedError, match="picture of tissue"):
            read(lossy, picture, "jpg", quality=90)
    else:
        assert len(areas(read(lossy, picture, "jpg", quality=90))) == 2


@pytest.mark.parametrize("level", [8, 14])
def test_a_lesion_of_nearly_the_backgrounds_level_is_said_to_be_background(tmp_path, level):
    picture = cv2.GaussianBlur(paint((LESION, (level, 0, 0)), (SECOND, (255, 0, 0))), (0, 0), 1.5)
    found = read(tmp_path, picture)
    assert areas(found) == pytest.approx([int(SECOND.sum())], rel=0.05)
    assert "of nearly the background's level are background" in found.remarks[-1]
    for width in (2, 5, 12):
        found = read(tmp_path, cv2.GaussianBlur(LEVEL, (0, 0), width))
        assert not any("nearly the background" in one for one in found.remarks)


@pytest.mark.parametrize(("levels", "width", "is_said"), [(3, 2, True), (4, 2, False), (3, 4, True), (12, 2, False)])
def test_an_edge_of_few_levels_is_smoothed(tmp_path, levels, width, is_said):
    soft = cv2.GaussianBlur(LEVEL, (0, 0), width)
    coarse = (np.round(soft / 255 * (levels - 1)) * (255 / (levels - 1))).astype(np.uint8)
    found = read(tmp_path, coarse)
    assert areas(found)[0] == pytest.approx(int((soft >= 128).sum()), rel=0.035)
    assert ("its edge has few levels, so it was smoothed by a pixel before" in found.remarks) is is_said


@pytest.mark.parametrize("colors", range(3, 9))
@pytest.mark.parametrize("is_colored", [False, True])
def test_a_palette_of_few_colours(tmp_path, colors, is_colored):
    soft = cv2.GaussianBlur(LEVEL, (0, 0), 2)
    picture = np.stack([soft, soft // 2, 0 * soft], axis=2) if is_colored else soft
    found = read(tmp_path, Image.fromarray(picture).quantize(colors))
    assert areas(found)[0] == pytest.approx(int((soft >= 128).sum()), rel=0.035)


@pytest.mark.parametrize("colors", [16, 32])
def test_few_levels_on_the_edges_of_two_lesions(tmp_path, colors):
    other = cv2.GaussianBlur(SECOND.astype(np.uint8) * 255, (0, 0), 1)
    soft = cv2.GaussianBlur(LEVEL, (0, 0), 2)
    found = read(tmp_path, Image.fromarray(np.stack([soft, 0 * soft, other], axis=2)).quantize(colors))
    assert areas(found) == [
        pytest.approx(int((soft >= 128).sum()), rel=0.035),
        pytest.approx(int((other >= 128).sum()), rel=0.035),
    ]


@pytest.mark.parametrize("quality", [95, 75, 50])
@pytest.mark.parametrize(
    ("one", "other", "said"), [(255, 25, "background"), (255, 215, "lesion"), (255, 235, "lesion")]
)
def test_close_levels_in_a_jpeg_are_remarked(tmp_path, quality, one, other, said):
    picture = np.zeros_like(LEVEL)
    picture[LESION], picture[SECOND] = one, other
    found = read(tmp_path, picture, "jpg", quality=quality)
    both = AREA + int(SECOND.sum())
    assert areas(found) == [pytest.approx(AREA if said == "background" else both, rel=0.02)]
    assert any("near" in remark and remark.endswith(f"are {said}") for remark in found.remarks)
    plain = read(tmp_path, LEVEL, "jpg", quality=quality)
    assert plain.remarks == (HALF,)


@pytest.mark.parametrize("quality", [95, 75, 50, 30])
@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((255, 0, 0), (0, 255, 0)),
        ((255, 0, 0), (255, 255, 0)),
        ((255, 0, 0), (255, 128, 0)),
        ((0, 0, 255), (255, 0, 255)),
    ],
)
def test_two_colours_in_a_jpeg_keep_their_numbers(tmp_path, quality, subsampling, one, other):
    picture = paint((LESION, one), (SECOND, other))
    found = areas(read(tmp_path, picture, "jpg", quality=quality, subsampling=subsampling))
    assert found == [pytest.approx(AREA, rel=0.02), pytest.approx(int(SECOND.sum()), rel=0.04)]


@pytest.mark.parametrize("is_indexed", [True, False])
def test_the_void_around_objects_is_background(tmp_path, is_indexed):
    labels = (LEVEL > 0).astype(np.uint8)
    labels[SECOND] = 2
    around = cv2.dilate(labels, np.ones((5, 5), np.uint8)) > labels
    labels[around & (labels == 0)] = 255
    image = Image.fromarray(labels)
    if is_indexed:
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, *(252 * 3 * [0]), 224, 224, 192])
    found = read(tmp_path, image)
    assert areas(found) == [AREA, int(SECOND.sum())]
    assert f"{int((labels == 255).sum())} pixels of 255 around lesions are background" in found.remarks


def test_a_lesion_in_pieces_is_remarked(tmp_path):
    both = LEVEL | (255 * SECOND).astype(np.uint8)
    assert read(tmp_path, both).remarks == ("lesion 1 is in 2 pieces",)
    frame = simulate_cine(SimulationSettings(seed=0, frames=1, height=160, width=200)).cine.frames[0]
    binary = cv2.threshold(cv2.medianBlur(frame, 11), 0, 255, cv2.THRESH_OTSU)[1]
    assert any("pieces" in one or "holes" in one for one in read(tmp_path, binary).remarks)


def test_a_thick_ring_is_remarked(tmp_path):
    """A thick outline of a small lesion cannot be told from a ring-shaped lesion."""
    ring = cv2.circle(np.zeros((80, 100), np.uint8), (50, 40), 20, 255, 8)
    found = read(tmp_path, ring)
    assert areas(found) == [int((ring > 0).sum())]
    enclosed = int((cv2.circle(ring.copy(), (50, 40), 20, 255, -1) > 0).sum() - (ring > 0).sum())
    assert found.remarks == (f"lesion 1 is a ring around {enclosed} pixels; if it is an outline, fill it",)
    assert read(tmp_path, cv2.circle(np.zeros((80, 100), np.uint8), (50, 40), 24, 255, 20)).remarks == ()


def test_a_frame_cut_at_a_level_is_told_from_a_drawn_lesion(shared_data):
    cine = simulate_cine(SimulationSettings(seed=0, frames=1, height=160, width=200)).cine
    frame = cine.frames[0]
    assert cut_at_a_level(frame, frame > 120)
    assert cut_at_a_level(frame, cv2.GaussianBlur(frame, (0, 0), 5) > 100)
    assert cut_at_a_level(frame, frame < 20)
    assert not cut_at_a_level(frame, LESION)
    for path in sorted((shared_data / "stills" / "busbra" / "images").glob("*.jpg"))[:12]:
        mask = np.asarray(Image.open(path.parents[1] / "masks" / f"{path.stem}.png").convert("L")) > 0
        assert not cut_at_a_level(np.asarray(Image.open(path).convert("L")), mask)


def smoothed(frame, how, width):
    if how == "median":
        return cv2.medianBlur(frame, 2 * width + 1)
    if how == "reduced":
        small = cv2.resize(frame, None, fx=1 / width, fy=1 / width, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, frame.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.GaussianBlur(frame, (0, 0), width)


@pytest.mark.parametrize("how", ["gauss", "median", "reduced"])
@pytest.mark.parametrize("width", [3, 6, 12])
def test_smoothed_frames_are_no_masks(tmp_path, how, width):
    for seed in range(2):
        cine = simulate_cine(SimulationSettings(seed=seed, frames=1, height=240, width=320)).cine
        with pytest.raises(SeedError):
            read(tmp_path, smoothed(cine.frames[0], how, width))


def test_most_smoothed_real_frames_are_refused(shared_data, tmp_path):
    clips = sorted((shared_data / "cine" / "lung_video").glob("*.m*"))[::5]
    passed = tried = 0
    for path in clips:
        cine = read_cine(path)
        frame = cine.frames[len(cine) // 2]
        grey = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        for how, width in (("gauss", 3), ("gauss", 8), ("median", 8), ("reduced", 8)):
            tried += 1
            try:
                read(tmp_path, smoothed(grey, how, width))
                passed += 1
            except SeedError:
                pass
    assert tried >= 16
    assert passed <= tried // 8
