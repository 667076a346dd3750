"""Frames that are missing where the source lets it be known: a note says so."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
import tifffile
from source_makers import dicom_object, encode_video, moving_frames, save_animation

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.open import read_cine

FRAMES = moving_frames(12, 48, 64)


def tags_of(flash):
    """The tags of an FLV file with the lengths behind them, and where the first begins."""
    at, found = 13, []
    while at < len(flash):
        size = 11 + int.from_bytes(flash[at + 1 : at + 4], "big") + 4
        found.append(flash[at : at + size])
        at += size
    return found


def test_bytes_cut_out_of_the_middle_of_an_flv_file_are_noted(tmp_path):
    path = encode_video(tmp_path / "a.flv", FRAMES, "flv")
    assert read_cine(path).notes == ()
    whole = path.read_bytes()
    tags = tags_of(whole)
    begin = len(whole) - sum(map(len, tags[8:]))
    path.write_bytes(whole[: begin - 30] + whole[begin + 40 :])
    assert any("damaged within a packet" in note for note in read_cine(path).notes)


@pytest.mark.parametrize("written", [lambda size: size - 11, lambda size: size - 1])
def test_lengths_that_some_programs_write_behind_flv_tags_are_no_damage(written, tmp_path):
    path = encode_video(tmp_path / "a.flv", FRAMES, "flv")
    whole = path.read_bytes()
    tags = [tag[:-4] + written(len(tag) - 4).to_bytes(4, "big") for tag in tags_of(whole)]
    path.write_bytes(whole[:13] + b"".join(tags))
    cine = read_cine(path)
    assert len(cine) == 12
    assert cine.notes == ()


def test_a_frame_that_is_missing_among_even_times_is_noted(tmp_path):
    times = [40 * number for number in range(12) if number not in (4, 8)]
    cine = read_cine(encode_video(tmp_path / "a.mkv", FRAMES[:10], "mpeg4", times=times))
    assert cine.notes == (
        "2 of the 9 steps between frames are twice as long as usual or longer: frames may be missing there.",
    )


def test_a_rate_that_varies_is_no_loss(tmp_path):
    times = [0, 30, 90, 120, 180, 270, 300, 330, 420, 480, 510, 600]
    assert read_cine(encode_video(tmp_path / "a.mkv", FRAMES, "mpeg4", times=times)).notes == ()


def test_frames_that_a_capture_card_dropped_are_no_cut(tmp_path):
    """Into AVI it writes an empty piece for each; VirtualDub and OBS do so, too."""
    places = [0, 1, 2, 4, 5, 6, 7, 10, 11, 12, 13, 14]
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = *FRAMES.shape[1:3], "yuvj420p"
        for place, picture in zip(places, FRAMES, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "gray").reformat(format="yuvj420p")
            frame.pts, frame.time_base = place, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    cine = read_cine(path)
    np.testing.assert_allclose(cine.timing.seconds, np.array(places) / 25)
    assert cine.notes[0] == (
        "The video's header says 15 frames but 12 could be decoded: their times reach the end, so the others were "
        "dropped when it was recorded."
    )
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 2])
    assert "the file may be cut off" in read_cine(path).notes[0]


def test_pictures_behind_the_only_one_of_a_tiff_file_are_noted(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", FRAMES, imagej=True, truncate=True)
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content.replace(b"ImageJ=", b"Image!="))
    cine = read_cine(tmp_path / "a.tif")
    assert len(cine) == 1
    assert cine.notes == ("As many bytes as 11 more pictures follow the only one of the TIFF file: they are not read.",)


def test_frames_of_a_webp_file_that_cannot_be_found_are_noted(tmp_path):
    save_animation(tmp_path / "a.webp", FRAMES, "WEBP", lossless=True)
    content = bytearray((tmp_path / "a.webp").read_bytes())
    at = content.rindex(b"ANMF")
    content[4:8] = (at - 8).to_bytes(4, "little")  # of the RIFF chunk, which holds all others
    (tmp_path / "a.webp").write_bytes(content)
    cine = read_cine(tmp_path / "a.webp")
    assert len(cine) < 12
    assert cine.notes[0] == f"The WebP file is damaged: {len(cine)} of its 12 frames were found."


def test_a_webp_frame_whose_name_is_damaged_is_noted(tmp_path):
    save_animation(tmp_path / "a.webp", FRAMES, "WEBP", lossless=True)
    content = (tmp_path / "a.webp").read_bytes()
    (tmp_path / "a.webp").write_bytes(content.replace(b"ANMF", b"ANMG", 1))
    cine = read_cine(tmp_path / "a.webp")
    assert len(cine) < 12
    assert cine.notes[0] == f"The WebP file is damaged: {len(cine)} of its 12 frames were found."


@pytest.mark.parametrize("numbers", [(0, 2, 3), (1, 2, 4), (10, 30, 40)])
def test_one_of_four_pictures_that_is_missing_is_noted(save_pictures, numbers):
    folder = save_pictures(FRAMES[:4])
    for index, number in zip(range(4), (*numbers, None), strict=True):
        picture = folder / f"{index:05d}.png"
        picture.unlink() if number is None else picture.rename(folder / f"a{number}.png")
    assert "The numbers of the pictures' names leave out 1: frames may be missing." in read_cine(folder).notes


def test_the_axis_without_a_place_in_space_is_that_of_the_frames(tmp_path):
    header = (
        "NRRD0005\ntype: uint8\ndimension: 4\nspace: left-posterior-superior\nsizes: 12 64 48 1\nencoding: raw\n"
        "space directions: none (0.2,0,0) (0,0.3,0) (0,0,1)\nspace origin: (0,0,0)\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(header.encode() + np.moveaxis(FRAMES, 0, 2).tobytes())
    cine = read_cine(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(np.stack(list(cine)), FRAMES)


@pytest.fixture
def save_series(save_dicom, tmp_path):
    """Write objects of ``stored`` frames each into a folder."""

    def save(stored, **elements):
        for number, count in enumerate(stored):
            save_dicom(dicom_object(FRAMES[:count], InstanceNumber=number + 1, **elements), f"series/{number}.dcm")
        return tmp_path / "series"

    return save


@pytest.mark.parametrize(("stored", "times"), [((1, 1, 6, 1, 1), 1), ((6, 6, 6, 6, 6), 5)])
def test_frames_beyond_the_one_that_a_header_tells_are_noted(save_series, stored, times):
    cine = read_cine(save_series(stored, NumberOfFrames=1))
    assert len(cine) == 5
    assert cine.notes == (
        f"In {times} of the 5 objects: The header says 1 frame but 6 are stored: only the first is used.",
    )


@pytest.mark.parametrize("stored", [(1, 1, 6, 1), (6, 6, 6, 6)])
def test_objects_of_several_frames_that_no_header_tells_are_no_series(save_series, stored):
    with pytest.raises(SourceError, match=r"multi-frame DICOM objects?\b"):
        read_cine(save_series(stored, NumberOfFrames=None))


@pytest.mark.parametrize("keyword", ["ImagesInAcquisition", "NumberOfTemporalPositions"])
def test_a_series_that_says_how_many_images_there_were(save_series, keyword):
    assert read_cine(save_series((1, 1, 1, 1), **{keyword: 4})).notes == ()
    cine = read_cine(save_series((1, 1, 1, 1), **{keyword: 6}))
    assert cine.notes == ("The header says that 6 images were taken but 4 are here: some may be missing.",)
