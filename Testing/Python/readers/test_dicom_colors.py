"""Colours and levels: no conversion twice, palettes, inverted grey, more than 8 bits, grey stored as colour."""

import io

import numpy as np
import pytest
from PIL import Image
from pydicom.pixels.processing import convert_color_space
from source_makers import dicom_object, jpeg, moving_frames

from UltrasoundLesionSegLib.readers.open import read_cine

COLOR = moving_frames(4, color=True)
GREY = moving_frames(4)


def stacked(cine):
    return np.stack(list(cine)).astype(int)


def test_rgb_is_left_as_it_is(save_dicom):
    for planar in (0, 1):
        stored = COLOR if planar == 0 else COLOR.transpose(0, 3, 1, 2)
        data = dicom_object(COLOR, PlanarConfiguration=planar, PixelData=np.ascontiguousarray(stored).tobytes())
        np.testing.assert_array_equal(stacked(read_cine(save_dicom(data))), COLOR)


def test_uncompressed_ybr_is_converted_once(save_dicom):
    ybr = convert_color_space(COLOR, "RGB", "YBR_FULL")
    data = dicom_object(COLOR, PixelData=ybr.tobytes(), PhotometricInterpretation="YBR_FULL")
    assert np.abs(stacked(read_cine(save_dicom(data))) - COLOR).max() <= 3


def test_uncompressed_ybr_422_is_converted_once(save_dicom):
    ybr = convert_color_space(COLOR, "RGB", "YBR_FULL")
    pairs = np.stack([ybr[:, :, 0::2, 0], ybr[:, :, 1::2, 0], ybr[:, :, 0::2, 1], ybr[:, :, 0::2, 2]], axis=-1)
    data = dicom_object(
        COLOR, PixelData=np.ascontiguousarray(pairs).tobytes(), PhotometricInterpretation="YBR_FULL_422"
    )
    assert np.abs(stacked(read_cine(save_dicom(data))) - COLOR).mean() < 2


def partial(frames):
    """YBR of levels 16 to 235 (PS3.3-2003 C.7.6.3.1.2)."""
    matrix = np.array([[0.2568, 0.5041, 0.0979], [-0.1482, -0.2910, 0.4392], [0.4392, -0.3678, -0.0714]])
    return (frames @ matrix.T + [16, 128, 128]).round().astype(np.uint8)


@pytest.mark.parametrize("frames", [COLOR, np.repeat(GREY[..., np.newaxis], 3, axis=3)], ids=["color", "grey"])
@pytest.mark.parametrize("is_expanded", [True, False])
def test_ybr_of_levels_from_16_is_spread(save_dicom, frames, is_expanded):
    ybr = partial(frames)
    pairs = np.stack([ybr[:, :, 0::2, 0], ybr[:, :, 1::2, 0], ybr[:, :, 0::2, 1], ybr[:, :, 0::2, 2]], axis=-1)
    stored = np.ascontiguousarray(ybr if is_expanded else pairs).tobytes()
    cine = read_cine(save_dicom(dicom_object(frames, PixelData=stored, PhotometricInterpretation="YBR_PARTIAL_422")))
    expected = frames if cine.is_color else frames[..., 0]
    assert cine.notes == ()
    assert np.abs(stacked(cine) - expected).mean() < 1
    assert np.abs(stacked(cine) - expected).max() <= (3 if is_expanded or not cine.is_color else 12)


def test_ybr_that_says_levels_from_16_but_is_darker_is_full(save_dicom):
    ybr = convert_color_space(COLOR - COLOR.min(), "RGB", "YBR_FULL")
    data = dicom_object(COLOR, PixelData=ybr.tobytes(), PhotometricInterpretation="YBR_PARTIAL_422")
    assert np.abs(stacked(read_cine(save_dicom(data))) - (COLOR - COLOR.min())).max() <= 3


@pytest.mark.parametrize("told", [0, 1])
@pytest.mark.parametrize("kind", ["grey", "grey with a coloured bar", "YBR"])
def test_colors_in_another_order_than_the_header_says(save_dicom, told, kind):
    frames = np.repeat(GREY[..., np.newaxis], 3, axis=3)
    if kind == "grey with a coloured bar":
        frames[:, 5:30, 2:6] = np.linspace((255, 0, 0), (0, 0, 255), 25).astype(np.uint8)[:, np.newaxis]
    stored = convert_color_space(frames, "RGB", "YBR_FULL") if kind == "YBR" else frames
    ordered = stored.transpose(0, 3, 1, 2) if told == 0 else stored
    data = dicom_object(frames, PlanarConfiguration=told, PixelData=np.ascontiguousarray(ordered).tobytes())
    data.PhotometricInterpretation = "YBR_FULL" if kind == "YBR" else "RGB"
    cine = read_cine(save_dicom(data))
    assert np.abs(stacked(cine) - (frames if cine.is_color else frames[..., 0])).max() <= (1 if kind == "YBR" else 0)
    found = "plane by plane" if told == 0 else "pixel by pixel"
    assert any(f"Planar Configuration; they lie {found}" in note for note in cine.notes)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("color", [(0, 0, 0), (40, 90, 200), (128, 128, 128)])
def test_even_and_noisy_colors_are_believed_in_their_order(save_dicom, planar, color):
    frames = np.full((3, 42, 57, 3), color, np.uint8)
    frames[1, 10:20, 10:20] = 255
    frames[2] = np.random.default_rng(0).integers(0, 256, (42, 57, 3))
    stored = frames if planar == 0 else frames.transpose(0, 3, 1, 2)
    data = dicom_object(frames, PlanarConfiguration=planar, PixelData=np.ascontiguousarray(stored).tobytes())
    cine = read_cine(save_dicom(data))
    np.testing.assert_array_equal(stacked(cine), frames)
    assert cine.notes == ()


@pytest.mark.parametrize("told", ["YBR_FULL_422", "YBR_FULL"])
@pytest.mark.parametrize("frames", [COLOR, np.repeat(GREY[..., np.newaxis], 3, axis=3)], ids=["color", "grey"])
def test_decompressed_rgb_that_still_says_ybr_is_recognised(save_dicom, told, frames):
    cine = read_cine(save_dicom(dicom_object(frames, PhotometricInterpretation=told)))
    got = stacked(cine)
    np.testing.assert_array_equal(got, frames if cine.is_color else frames[..., 0])


@pytest.mark.parametrize("told", ["YBR_FULL_422", "YBR_FULL", "RGB"])
def test_jpeg_with_a_wrong_photometric_interpretation_has_right_colors(save_dicom, told):
    data = dicom_object(COLOR, [jpeg(frame) for frame in COLOR], PhotometricInterpretation=told)
    assert np.abs(stacked(read_cine(save_dicom(data))) - COLOR).mean() < 3


def test_jpeg_of_rgb_components_has_right_colors(save_dicom):
    def rgb_jpeg(frame):
        target = io.BytesIO()
        Image.fromarray(frame).save(target, "JPEG", quality=95, keep_rgb=True)
        return target.getvalue()

    for told in ("RGB", "YBR_FULL_422"):
        data = dicom_object(COLOR, [rgb_jpeg(frame) for frame in COLOR], PhotometricInterpretation=told)
        assert np.abs(stacked(read_cine(save_dicom(data))) - COLOR).mean() < 3


def test_grey_stored_as_color_becomes_grey(save_dicom):
    tripled = np.repeat(GREY[..., np.newaxis], 3, axis=3)
    cine = read_cine(save_dicom(dicom_object(tripled)))
    assert not cine.is_color
    np.testing.assert_array_equal(stacked(cine), GREY)
    cine = read_cine(save_dicom(dicom_object(tripled, [jpeg(frame) for frame in tripled])))
    assert not cine.is_color
    assert np.abs(stacked(cine) - GREY).mean() < 3


def test_a_little_color_in_a_lossless_cine_stays_color(save_dicom):
    frames = np.repeat(GREY[..., np.newaxis], 3, axis=3)
    frames[2, 5, 5, 0] ^= 2
    assert read_cine(save_dicom(dicom_object(frames))).is_color


def test_monochrome1_is_inverted(save_dicom):
    cine = read_cine(save_dicom(dicom_object(255 - GREY, PhotometricInterpretation="MONOCHROME1")))
    np.testing.assert_array_equal(stacked(cine), GREY)


def with_palette(frames, colors, **elements):
    names = ("Red", "Green", "Blue")
    tables = {
        f"{name}PaletteColorLookupTableData": colors[:, at].astype("<u2").tobytes() for at, name in enumerate(names)
    }
    for name in names:
        tables[f"{name}PaletteColorLookupTableDescriptor"] = [len(colors), 0, 16]
    return dicom_object(frames, PhotometricInterpretation="PALETTE COLOR", **{**tables, **elements})


@pytest.mark.parametrize("scale", [257, 256, 1], ids=["16 bits", "upper bits", "8 bits said to be 16"])
def test_palettes_are_applied(save_dicom, scale):
    levels = np.arange(256)
    colors = np.stack([levels, 255 - levels, levels // 2], axis=1)
    cine = read_cine(save_dicom(with_palette(GREY, colors * scale)))
    assert cine.is_color
    np.testing.assert_array_equal(stacked(cine), colors[GREY])


def test_a_grey_palette_gives_a_grey_cine(save_dicom):
    colors = np.repeat(255 - np.arange(256)[:, np.newaxis], 3, axis=1)
    cine = read_cine(save_dicom(with_palette(GREY, colors * 257)))
    assert not cine.is_color
    np.testing.assert_array_equal(stacked(cine), 255 - GREY)


def test_a_missing_palette_is_refused(save_dicom):
    from UltrasoundLesionSegLib.errors import SourceError

    with pytest.raises(SourceError, match="palette"):
        read_cine(save_dicom(dicom_object(GREY, PhotometricInterpretation="PALETTE COLOR")))


def test_twelve_bits_use_the_whole_range_of_the_stored_bits(save_dicom):
    deep = (GREY.astype(np.uint16) * 16)[:, :, :]
    cine = read_cine(save_dicom(dicom_object(deep, BitsStored=12, HighBit=11)))
    np.testing.assert_array_equal(stacked(cine), np.round(deep * (255 / 4095)))


def test_sixteen_bits_use_the_window_of_the_header(save_dicom):
    deep = GREY.astype(np.uint16) * 4
    cine = read_cine(save_dicom(dicom_object(deep, WindowCenter=[300, 1], WindowWidth=[401, 2])))
    # PS3.3 C.11.2.1.2.1 with c = 300, w = 401: 99.5 becomes 0 and 499.5 becomes 255
    expected = ((deep.astype(float) - 99.5) * 255 / 400).round().clip(0, 255)
    assert np.abs(stacked(cine) - expected).max() <= 1


def test_signed_pixels_keep_their_order(save_dicom):
    signed = GREY.astype(np.int16) * 200 - 20000
    cine = read_cine(save_dicom(dicom_object(signed, PixelRepresentation=1)))
    order = np.argsort(signed[0].ravel())
    assert (np.diff(cine.frames[0].ravel()[order].astype(int)) >= 0).all()
    assert abs(int(cine.frames[0].min()) - round((int(signed[0].min()) + 32768) * 255 / 65535)) <= 1


def test_a_window_does_not_change_eight_bits(save_dicom):
    cine = read_cine(save_dicom(dicom_object(GREY, WindowCenter=50, WindowWidth=20)))
    np.testing.assert_array_equal(stacked(cine), GREY)


def test_the_real_palette_object(shared_data):
    from pydicom import dcmread
    from pydicom.pixels import apply_color_lut

    path = shared_data / "cine" / "dicom_us" / "OBXXXX1A_2frame.dcm"
    data = dcmread(path)
    expected = apply_color_lut(data.pixel_array, data) >> 8
    np.testing.assert_array_equal(stacked(read_cine(path)), expected)


@pytest.mark.parametrize("is_missing", [True, False])
def test_without_a_photometric_interpretation_the_samples_decide(save_dicom, is_missing):
    told = None if is_missing else ""
    grey = moving_frames(3)
    cine = read_cine(save_dicom(dicom_object(grey, PhotometricInterpretation=told)))
    np.testing.assert_array_equal(np.stack(list(cine)), grey)
    assert any("does not say what its values are" in note and "grey" in note for note in cine.notes)
    color = moving_frames(3, color=True)
    cine = read_cine(save_dicom(dicom_object(color, PhotometricInterpretation=told)))
    np.testing.assert_array_equal(np.stack(list(cine)), color)
    assert any("read as RGB" in note for note in cine.notes)


@pytest.mark.parametrize(
    ("written", "right", "is_noted"),
    [(" monochrome2", 0, False), ("monochrome1 ", 255, False), ("MONOCHROME", 0, True), ("GRAYSCALE", 0, True)],
)
def test_a_photometric_interpretation_in_another_spelling(save_dicom, written, right, is_noted):
    grey = moving_frames(3)
    path = save_dicom(dicom_object(grey, PhotometricInterpretation="X" * 12))
    content = path.read_bytes()
    assert content.count(b"X" * 12) == 1
    path.write_bytes(content.replace(b"X" * 12, written.encode().ljust(12)))
    cine = read_cine(path)
    np.testing.assert_array_equal(np.stack(list(cine)), grey ^ right)
    assert any("does not say what its values are" in note for note in cine.notes) == is_noted


@pytest.mark.parametrize(("shift", "highest"), [(8, 15), (4, 11)])
def test_stored_bits_that_are_not_the_lowest(save_dicom, shift, highest):
    # as GDCM and DCMTK read them
    grey = moving_frames(3)
    stored = (grey.astype(np.uint16) << shift) | 3
    cine = read_cine(save_dicom(dicom_object(stored, BitsStored=8, HighBit=highest)))
    np.testing.assert_array_equal(np.stack(list(cine)), grey)
