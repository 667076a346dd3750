"""Videos of every kind: codecs, containers, interlaced material, depths, sizes, times, what the header adds."""

import struct
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, features
from pydicom.encaps import encapsulate
from pydicom.uid import UID
from source_makers import dicom_object, encode_video, moving_frames

from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.video_frames import VideoFrames

GREY = moving_frames(24, 64, 96)
COLOR = moving_frames(24, 64, 96, color=True)
NOISY = (moving_frames(40, 128, 160) // 2 + np.random.default_rng(1).integers(0, 80, (40, 128, 160))).astype(np.uint8)
INTERLACED = int(av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me)


def interlaced(stream):
    stream.codec_context.flags |= INTERLACED


# container, codec, pixels, options, preparation
KINDS: dict[str, tuple[str, str, str, dict[str, Any], Any]] = {
    "H.264": ("mp4", "libx264", "yuv420p", {}, None),
    "H.264, MBAFF, top field first": ("mp4", "libx264", "yuv420p", {"x264-params": "tff=1"}, interlaced),
    "H.264, MBAFF, bottom field first": ("mp4", "libx264", "yuv420p", {"x264-params": "bff=1"}, interlaced),
    "H.264, 4:2:2 interlaced": ("mkv", "libx264", "yuv422p", {"x264-params": "tff=1"}, interlaced),
    "H.264, open groups": ("mp4", "libx264", "yuv420p", {"x264-params": "open-gop=1:keyint=8:bframes=3"}, None),
    "H.264, key pictures only": ("mov", "libx264", "yuv420p", {"g": "1"}, None),
    "H.264 in FLV": ("flv", "libx264", "yuv420p", {}, None),
    "H.264 in a transport stream": ("ts", "libx264", "yuv420p", {}, None),
    "H.264 in AVI": ("avi", "libx264", "yuv420p", {"x264-params": "bframes=0"}, None),
    "H.264, 4:4:4": ("mkv", "libx264", "yuv444p", {}, None),
    "HEVC": ("mp4", "libx265", "yuv420p", {"x265-params": "log-level=none"}, None),
    "AV1": ("mp4", "libsvtav1", "yuv420p", {}, None),
    "AV1 in IVF": ("ivf", "libsvtav1", "yuv420p", {}, None),
    "VP8": ("webm", "libvpx", "yuv420p", {"b": "2M"}, None),
    "VP9": ("webm", "libvpx-vp9", "yuv420p", {"b": "2M"}, None),
    "MPEG-1": ("mpg", "mpeg1video", "yuv420p", {"q": "2"}, None),
    "MPEG-2": ("mpg", "mpeg2video", "yuv420p", {"q": "2", "bf": "2"}, None),
    "MPEG-2, interlaced": ("mpg", "mpeg2video", "yuv420p", {"q": "2"}, interlaced),
    "MPEG-2, 4:2:2 interlaced": ("ts", "mpeg2video", "yuv422p", {"q": "2", "bf": "2"}, interlaced),
    "MPEG-2 in MXF": ("mxf", "mpeg2video", "yuv422p", {"q": "2"}, None),
    "MPEG-4 with B pictures": ("mp4", "mpeg4", "yuv420p", {"q": "2", "bf": "2"}, None),
    "MPEG-4 in AVI": ("avi", "mpeg4", "yuv420p", {"q": "2"}, None),
    "WMV": ("asf", "wmv2", "yuv420p", {"q": "2"}, None),
    "Sorenson in FLV": ("flv", "flv", "yuv420p", {"q": "2"}, None),
    "Motion JPEG": ("avi", "mjpeg", "yuvj420p", {"q": "2"}, None),
    "Motion JPEG, 4:2:2": ("mov", "mjpeg", "yuvj422p", {"q": "2"}, None),
    "ProRes": ("mov", "prores_ks", "yuv422p10le", {}, None),
    "FFV1": ("mkv", "ffv1", "yuv420p", {}, None),
    "FFV1, 10 bits": ("mkv", "ffv1", "yuv420p10le", {}, None),
    "FFV1, grey of 16 bits": ("mkv", "ffv1", "gray16le", {}, None),
    "FFV1 with alpha": ("mkv", "ffv1", "yuva444p", {}, None),
    "HuffYUV": ("avi", "huffyuv", "yuv422p", {}, None),
    "uncompressed": ("avi", "rawvideo", "yuv420p", {}, None),
    "RGB": ("mov", "png", "rgb24", {}, None),
    "RGB with alpha": ("mov", "qtrle", "argb", {}, None),
}
LOSSLESS = ("RGB", "RGB with alpha")


def made(tmp_path, kind, frames):
    suffix, codec, pixels, options, prepare = KINDS[kind]
    path = tmp_path / f"a.{suffix}"
    try:
        return encode_video(path, frames, codec, pixels=pixels, prepare=prepare, **options)
    except (av.FFmpegError, ValueError) as error:
        pytest.skip(f"this FFmpeg cannot write it: {error}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", [GREY, COLOR], ids=["grey", "colour"])
def test_every_frame_in_any_order_with_its_time(kind, frames, tmp_path):
    if KINDS[kind][2].startswith("gray") and frames.ndim == 4:
        pytest.skip("a grey kind")
    path = made(tmp_path, kind, frames)
    cine = read_cine(path)
    assert (len(cine), cine.shape, cine.is_color) == (24, (64, 96), frames.ndim == 4)
    assert all("no time for 1 of its frames, at the end" in note for note in cine.notes)  # program streams
    assert not cine.notes or path.suffix == ".mpg"
    got = np.stack(list(cine))
    assert np.abs(got.astype(int) - frames).mean() < (0.01 if kind in LOSSLESS else 5)
    for index in range(24):  # no frame stands in another's place
        apart = [np.abs(got[index].astype(int) - one).mean() for one in frames]
        assert int(np.argmin(apart)) == index
    np.testing.assert_allclose(cine.timing.seconds, 0.04 * np.arange(24), atol=2e-3)
    assert isinstance(cine.frames, VideoFrames)
    reader = VideoFrames(cine.frames._opener, cine.frames._index, 5 * got[0].nbytes)
    for index in (23, 3, 20, 7, 0, 15, 14, 13, 12):
        np.testing.assert_array_equal(reader[index], got[index])


@pytest.mark.parametrize(("codec", "form"), [("libx264", "h264"), ("libx265", "hevc"), ("mpeg2video", "mpeg2video")])
def test_streams_without_a_container(codec, form, tmp_path):
    options: dict[str, Any] = (
        {"x265-params": "log-level=none"} if codec == "libx265" else {"q": "2"} if "mpeg" in codec else {}
    )
    cine = read_cine(encode_video(tmp_path / "a", GREY, codec, form, **options))
    assert len(cine) == 24
    got = np.stack(list(cine))
    assert np.abs(got.astype(int) - GREY).mean() < 5
    for index in (23, 3, 20, 0, 15):
        np.testing.assert_array_equal(cine.frames[index], got[index])


def test_h264_in_avi_is_shown_in_the_order_of_its_pictures(tmp_path):
    # AVI numbers pictures as they are decoded, so with B pictures its times are in another order than the frames
    path = encode_video(tmp_path / "a.avi", GREY, "libx264", bf="2")
    with av.open(str(path)) as file:
        times = [frame.pts for frame in file.decode(video=0)]
    assert times != sorted(times)
    cine = read_cine(path)
    got = np.stack(list(cine))
    assert [int(np.argmin([np.abs(one.astype(int) - other).mean() for other in GREY])) for one in got] == list(
        range(24)
    )
    for index in (23, 3, 20, 0, 15):
        np.testing.assert_array_equal(cine.frames[index], got[index])
    np.testing.assert_allclose(cine.timing.seconds, 0.04 * np.arange(24))


@pytest.mark.parametrize("is_inverted", [False, True])
def test_a_palette_of_greys_is_exact(is_inverted, tmp_path):
    frames = GREY[:3]
    palette = b"".join(bytes((255 - one if is_inverted else one,) * 3 + (0,)) for one in range(256))
    path = tmp_path / "a.avi"

    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "pal8"
        for picture in frames:
            frame = av.VideoFrame(96, 64, "pal8")
            rows = np.frombuffer(frame.planes[0], np.uint8).reshape(64, -1)
            rows[:, :96] = picture
            np.frombuffer(frame.planes[1], np.uint8)[:1024] = np.frombuffer(palette, np.uint8)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    got = np.stack(list(read_cine(path)))
    np.testing.assert_array_equal(got, 255 - frames if is_inverted else frames)


def test_dv(tmp_path):
    frames = moving_frames(6, 576, 720, color=True)
    cine = read_cine(encode_video(tmp_path / "a.dv", frames, "dvvideo", "dv"))
    assert (len(cine), cine.shape) == (6, (576, 720))
    assert np.abs(np.stack(list(cine)).astype(int) - frames).mean() < 5
    assert cine.pixel_aspect is not None


@pytest.mark.parametrize("shape", [(33, 47), (35, 46), (17, 130)])
@pytest.mark.parametrize(("codec", "pixels"), [("ffv1", "yuv444p"), ("ffv1", "yuv420p"), ("mjpeg", "yuvj444p")])
def test_odd_sizes(shape, codec, pixels, tmp_path):
    frames = moving_frames(5, *shape)
    cine = read_cine(encode_video(tmp_path / "a.mkv", frames, codec, pixels=pixels, q="2"))
    assert cine.shape == shape
    assert np.abs(np.stack(list(cine)).astype(int) - frames).mean() < 4


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le", "yuv444p"])
def test_black_and_white_are_0_and_255(is_full, pixels, tmp_path):
    ramp = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (3, 64, 1))

    def set_range(stream):
        stream.codec_context.color_range = 2 if is_full else 1

    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 128, pixels
        set_range(stream)
        for number, picture in enumerate(ramp):
            frame = av.VideoFrame.from_ndarray(picture, "gray")
            frame = frame.reformat(format=pixels, dst_color_range=2 if is_full else 1)
            frame.color_range, frame.pts = 2 if is_full else 1, number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    cine = read_cine(path)
    assert np.abs(cine.frames[1].astype(int) - ramp[1]).max() <= 1


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_video_is_shown_upright(turns, tmp_path):
    def turn(stream):
        stream.set_display_rotation(90 * turns)  # counterclockwise

    cine = read_cine(encode_video(tmp_path / "a.mp4", COLOR, "libx264", prepare=turn))
    expected = np.rot90(COLOR, turns, axes=(1, 2))
    assert cine.shape == expected.shape[1:3]
    assert np.abs(np.stack(list(cine)).astype(int) - expected).mean() < 5


def test_a_mirrored_video_is_shown_as_players_show_it(tmp_path):
    one, unit = 1 << 16, 1 << 30

    def mirror(stream):
        stream.set_display_matrix([-one, 0, 0, 0, one, 0, 0, 0, unit])

    cine = read_cine(encode_video(tmp_path / "a.mp4", GREY, "libx264", prepare=mirror))
    assert np.abs(np.stack(list(cine)).astype(int) - GREY[:, :, ::-1]).mean() < 5


def test_a_slight_turn_is_no_quarter(tmp_path):
    path = encode_video(tmp_path / "a.mp4", GREY, "libx264", prepare=lambda stream: stream.set_display_rotation(7))
    assert read_cine(path).shape == (64, 96)


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("mpg", "mpeg2video")])
def test_pixels_that_are_not_square(suffix, codec, tmp_path):
    def stretch(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)  # width to height

    cine = read_cine(encode_video(tmp_path / f"a.{suffix}", GREY, codec, prepare=stretch))
    assert cine.shape == (64, 96)  # pixels are kept as they are
    if suffix != "mpg":  # MPEG-2 states the shape of the picture in four steps
        assert cine.pixel_aspect == pytest.approx(11 / 16, rel=0.01)
        assert "Only the shape of a pixel is known" in cine.notes[-1]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_every_frame_has_its_own_time(suffix, tmp_path):
    times = np.cumsum([0, *[40, 40, 10, 250, 33, 34, 20] * 4])[:24].tolist()
    cine = read_cine(encode_video(tmp_path / f"a.{suffix}", GREY, "libx264", times=times))
    assert len(cine) == 24
    np.testing.assert_allclose(cine.timing.seconds, np.array(times) / 1000, atol=1.1e-3)


def test_frames_that_an_edit_list_hides_are_not_shown(tmp_path):
    path = encode_video(tmp_path / "a.mp4", GREY, "mpeg4", q="2")
    content = bytearray(path.read_bytes())
    at = content.index(b"elst") + 8
    scale = struct.unpack_from(">I", content, content.index(b"mdhd") + 16)[0]
    content[at + 8 : at + 12] = struct.pack(">I", 6 * scale // 25)  # media time: six frames in
    path.write_bytes(content)
    cine = read_cine(path)
    assert (len(cine), cine.notes) == (18, ())
    assert np.abs(np.stack(list(cine)).astype(int) - GREY[6:]).mean() < 5
    assert cine.timing.seconds[0] == 0


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video", "mjpeg", "ffv1"])
def test_damage_is_named_up_to_the_next_key_picture_and_never_filled(codec, tmp_path):
    """Each frame handed out is the sound file's; what is damaged or predicted from damage has no picture."""
    options: dict[str, Any] = {"q": "3", "g": "8", "sc_threshold": "1000000000"}
    options = {"libx264": {"g": "8", "bf": "0", "sc_threshold": "0"}, "ffv1": {"level": "3", "slicecrc": "1"}}.get(
        codec, options
    )
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = encode_video(tmp_path / "a.mkv", NOISY[:24], codec, pixels=pixels, **options)
    right = np.stack(list(read_cine(path)))
    with av.open(str(path)) as container:
        packet = [one for one in container.demux(video=0) if one.size][10]
    content = path.read_bytes()
    at = content.index(bytes(packet)[:60]) + packet.size // 3
    damaged = bytearray(content)
    damaged[at : at + packet.size // 2] = np.random.default_rng(0).bytes(packet.size // 2)
    path.write_bytes(damaged)
    cine = read_cine(path)
    assert len(cine) == 24
    named = []
    for index in range(24):
        try:
            frame = cine.frames[index]
        except FrameError as error:
            named.append(error.frame)
            continue
        if codec != "mjpeg":  # a valid code in place of another cannot be told in baseline JPEG
            np.testing.assert_array_equal(frame, right[index])
    if codec != "mjpeg":
        first = 9 if codec == "mpeg2video" else 10  # its decoder drops the picture that it held back
        assert named == list(range(first, 12 if codec == "ffv1" else 16))
        assert f"{len(named)} of the 24 frames of the video are damaged" in cine.notes[0]


@pytest.mark.parametrize("suffix", ["mkv", "flv", "ts", "mpg", "avi"])
def test_a_file_cut_in_the_middle(suffix, tmp_path):
    codec = "mpeg2video" if suffix in ("ts", "mpg") else "flv" if suffix == "flv" else "mpeg4"
    path = encode_video(tmp_path / f"a.{suffix}", NOISY, codec, q="3")
    whole = np.stack(list(read_cine(path)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    cine = read_cine(path)
    assert 10 < len(cine) < 25
    if suffix in ("mkv", "flv", "avi"):
        assert "the file may be cut off" in cine.notes[0]
    for index in range(len(cine) - 2):
        np.testing.assert_array_equal(cine.frames[index], whole[index])


CUT: dict[str, tuple[str, str | None, str, dict[str, Any]]] = {
    "FLV": ("flv", None, "flv", {}),
    "FLV, H.264": ("flv", None, "libx264", {"bf": "2"}),
    "program stream": ("mpg", None, "mpeg2video", {"q": "2"}),
    "Ogg": ("ogv", None, "libtheora", {}),
    "YUV4MPEG": ("y4m", "yuv4mpegpipe", "wrapped_avframe", {}),
}


@pytest.mark.parametrize("kind", CUT)
def test_a_short_loss_is_said(kind, tmp_path):
    suffix, form, codec, options = CUT[kind]
    try:
        path = encode_video(tmp_path / f"a.{suffix}", GREY, codec, form, **options)
    except (av.FFmpegError, ValueError) as error:
        pytest.skip(f"this FFmpeg cannot write it: {error}")
    data = path.read_bytes()
    whole = read_cine(path)
    assert len(whole) == 24
    assert not any("cut off" in note or "damaged" in note for note in whole.notes)
    for share in (0.97, 0.9, 0.8):
        path.write_bytes(data[: int(share * len(data))])
        assert any("cut off" in note or "damaged" in note for note in read_cine(path).notes)


def test_a_stream_without_a_container_says_that_nobody_knows_its_length(tmp_path):
    cine = read_cine(encode_video(tmp_path / "a.264", GREY, "libx264", "h264"))
    assert cine.notes == ("This kind of file does not say how many frames it has: 24 were found.",)


def test_a_header_without_any_picture(tmp_path):
    path = encode_video(tmp_path / "a.mkv", GREY, "mpeg4")
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(SourceError, match=r"no frame that can be decoded|cannot be decoded"):
        read_cine(path)


@pytest.mark.parametrize(
    ("codec", "form", "syntax", "options", "prepare"),
    [
        ("mpeg2video", "mpeg2video", "100", {"q": "2"}, interlaced),
        ("mpeg2video", "mpegts", "100", {"q": "2"}, interlaced),
        ("libx264", "h264", "102", {"x264-params": "tff=1"}, interlaced),
        ("libx264", "mp4", "102", {"x264-params": "bff=1"}, interlaced),
        ("libx264", "mpegts", "106", {}, None),
        ("libx265", "hevc", "107", {"x265-params": "log-level=none"}, None),
    ],
)
def test_streams_in_dicom(codec, form, syntax, options, prepare, tmp_path, save_dicom):
    path = encode_video(tmp_path / "a", COLOR, codec, form, prepare=prepare, **options)
    data = dicom_object(COLOR, [path.read_bytes()], FrameTime="40")
    data.file_meta.TransferSyntaxUID = UID(f"1.2.840.10008.1.2.4.{syntax}")
    data.PixelData = encapsulate([path.read_bytes()], fragments_per_frame=4, has_bot=False)
    cine = read_cine(save_dicom(data))
    assert (len(cine), cine.notes) == (24, ())
    assert np.abs(np.stack(list(cine)).astype(int) - COLOR).mean() < 6
    for index in (23, 5, 12):
        assert np.abs(cine.frames[index].astype(int) - COLOR[index]).mean() < 6


@pytest.mark.parametrize("name", ["h264_int.mp4", "mpeg2_interlaced.dcm"])
def test_interlaced_inputs_from_the_field(shared_data, name):
    """A dark oval that stays, and a bright mark that moves along the lower edge."""
    cine = read_cine(shared_data / "field" / "01_interlaced_video" / name)
    assert (len(cine), cine.notes) == (24, ())
    height, width = cine.shape
    places = []
    for frame in cine:
        grey = frame.mean(axis=2) if frame.ndim == 3 else frame.astype(float)
        oval = grey[int(0.22 * height) : int(0.35 * height), int(0.38 * width) : int(0.56 * width)]
        assert oval.mean() < 90
        edge = grey[int(0.93 * height) : int(0.985 * height)].mean(axis=0)
        assert edge.max() > 180
        places.append(int(np.argmax(edge)))
    assert len(set(places)) > 12


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
def test_an_animated_avif_is_more_than_its_still(tmp_path):
    frames = moving_frames(6, 48, 64)
    first, *others = [Image.fromarray(one) for one in frames]
    first.save(tmp_path / "a.avif", save_all=True, append_images=others, duration=50, quality=95)
    found = np.stack(list(read_cine(tmp_path / "a.avif"))).astype(int)
    assert found.shape == frames.shape
    assert np.abs(found - frames).mean() < 2


def test_a_file_with_two_videos_says_so(tmp_path):
    small, large = moving_frames(4, 32, 48), moving_frames(4, 48, 64)
    with av.open(str(tmp_path / "two.mkv"), "w") as container:
        streams = [container.add_stream("ffv1", rate=25) for _ in range(2)]
        for stream, frames in zip(streams, (small, large), strict=True):
            stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], "gray"
        for stream, frames in zip(streams, (small, large), strict=True):
            for picture in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "gray")))
            container.mux(stream.encode(None))
    cine = read_cine(tmp_path / "two.mkv")
    np.testing.assert_array_equal(np.stack(list(cine)), large)
    assert any("2 videos" in note for note in cine.notes)
