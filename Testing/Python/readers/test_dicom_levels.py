"""The grey levels of DICOM pixels: more or fewer than 8 bits, windows, tables, contradicting headers."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, UltrasoundImageStorage
from source_makers import dicom_object, moving_frames

from UltrasoundLesionSegLib.readers.open import read_cine

GREY = moving_frames(5)
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}


def deep(times, **elements):
    """An object of 16 bits a value whose values are those of 8 bits multiplied."""
    return dicom_object(GREY.astype(np.uint16) * times, **elements)


def table(entries, first=0):
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, 8]
    item["LUTDescriptor"].VR = "US"
    item.add_new(0x00283006, "OW", np.asarray(entries, "<u2").tobytes())
    return [item]


def shown(path):
    return np.stack(list(read_cine(path))).astype(int)


@pytest.mark.parametrize(("times", "told", "used"), [(1, 16, 8), (1, 12, 8), (16, 16, 12), (4, 16, 10)])
def test_bits_that_no_value_uses_do_not_darken_the_cine(save_dicom, times, told, used):
    path = save_dicom(deep(times, BitsStored=told, HighBit=told - 1))
    assert np.abs(shown(path) - GREY).max() <= 1
    assert read_cine(path).notes == (
        f"The picture is stored very dark ({used} of its {told} bits are used): it is shown brighter.",
    )


def test_signed_values_that_are_never_below_zero(save_dicom):
    data = deep(128, PixelRepresentation=1)
    assert np.abs(shown(save_dicom(data)) - GREY).max() <= 1
    assert read_cine(save_dicom(data)).notes == ()


def test_twelve_signed_bits_in_sixteen(save_dicom):
    values = GREY.astype(np.int16) * 16 - 2048
    data = dicom_object(values, PixelRepresentation=1, RescaleSlope=1, RescaleIntercept=2048)
    assert np.abs(shown(save_dicom(data)) - GREY).max() <= 1


def test_fewer_than_eight_bits_with_an_overlay_above(save_dicom):
    data = dicom_object(GREY // 2 | (GREY > 150).astype(np.uint8) << 7, BitsStored=7, HighBit=6)
    assert np.abs(shown(save_dicom(data)) - GREY).max() <= 2


@pytest.mark.parametrize(("times", "center", "width"), [(1, 2048, 4096), (16, 127, 255), (16, 9000, 100)])
def test_a_window_that_shows_nothing_is_not_used(save_dicom, times, center, width):
    path = save_dicom(deep(times, **TWELVE, WindowCenter=center, WindowWidth=width))
    assert np.abs(shown(path) - GREY).max() <= 1
    assert "does not fit the picture" in read_cine(path).notes[0]


def test_a_window_is_kept_beside_a_few_brighter_pixels(save_dicom):
    values = GREY.astype(np.uint16) * 4
    values[:, 2:5, 2:9] = 65535  # burnt in
    path = save_dicom(dicom_object(values, WindowCenter=512, WindowWidth=1024))
    assert np.abs(shown(path)[:, 8:] - GREY[:, 8:]).max() <= 1
    assert read_cine(path).notes == ()


TURNED = {
    "slope": {"RescaleSlope": -1, "RescaleIntercept": 255},
    "VOI LUT": {"VOILUTSequence": table(np.arange(255, -1, -1))},
    "Modality LUT": {"ModalityLUTSequence": table(np.arange(255, -1, -1))},
    "presentation": {"PresentationLUTShape": "INVERSE"},
}


@pytest.mark.parametrize("kind", TURNED)
def test_eight_bits_that_the_header_turns_round(save_dicom, kind):
    path = save_dicom(dicom_object(255 - GREY, **TURNED[kind]))
    np.testing.assert_array_equal(shown(path), GREY)
    assert "stored with dark and bright exchanged" in read_cine(path).notes[0]


@pytest.mark.parametrize("shape", ["INVERSE", "IDENTITY"])
def test_monochrome1_is_turned_round_once(save_dicom, shape):
    data = dicom_object(255 - GREY, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape=shape)
    np.testing.assert_array_equal(shown(save_dicom(data)), GREY)


def test_tables_of_eight_bits_change_nothing_else(save_dicom):
    data = dicom_object(GREY, VOILUTSequence=table(np.arange(256) // 4))
    np.testing.assert_array_equal(shown(save_dicom(data)), GREY)


def test_twelve_bits_by_the_table_of_the_header(save_dicom):
    data = deep(16, **TWELVE, VOILUTSequence=table(np.arange(4096) // 16))
    assert np.abs(shown(save_dicom(data)) - GREY).max() <= 1
    data = dicom_object(4095 - GREY.astype(np.uint16) * 16, **TWELVE)
    data.VOILUTSequence = table(255 - np.arange(4096) // 16)
    assert np.abs(shown(save_dicom(data)) - GREY).max() <= 1


@pytest.mark.parametrize("entries", [b"", b"\1", b"\1" * 511])
def test_a_table_that_is_cut_short_is_not_used(save_dicom, entries):
    data = dicom_object(GREY, VOILUTSequence=table(np.arange(255, -1, -1)))
    data.VOILUTSequence[0][0x00283006].value = entries
    data.VOILUTSequence[0].LUTDescriptor = [600, 0, 8]
    np.testing.assert_array_equal(shown(save_dicom(data)), GREY)


def test_a_series_has_one_scale_whatever_window_each_object_names(save_dicom, tmp_path):
    for number, frame in enumerate(GREY):
        elements: dict[str, Any] = {"WindowCenter": 2048 + 300 * number, "WindowWidth": 4096 - 500 * number}
        data = dicom_object(frame[np.newaxis].astype(np.uint16) * 16, **TWELVE, **elements)
        data.SOPClassUID, data.InstanceNumber = UltrasoundImageStorage, number + 1
        save_dicom(data, f"series/{number}.dcm")
    assert np.abs(shown(tmp_path / "series") - GREY).max() <= 1


@pytest.mark.parametrize("is_signed", [False, True])
def test_deep_values_in_big_endian(tmp_path, is_signed):
    values = GREY.astype(np.int16 if is_signed else np.uint16) * (8 if is_signed else 16)
    data = dicom_object(values, **TWELVE, PixelRepresentation=int(is_signed))
    data.PixelData = values.astype(values.dtype.newbyteorder(">")).tobytes()
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert np.abs(shown(tmp_path / "a.dcm") - GREY).max() <= 1
