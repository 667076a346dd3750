"""Video files: counted by decoding, exact random access, times, rotation, cut files."""

import csv
import functools
import gc
import struct
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest
from source_makers import PLANTED, encode_video, moving_frames

from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.video_frames import VideoFrames
from UltrasoundLesionSegLib.readers.video_index import VideoIndex, index_video
from UltrasoundLesionSegLib.readers.video_stream import VideoStream
from UltrasoundLesionSegLib.readers.video_timing import video_timing

CODECS = [("clip.avi", "MJPG"), ("clip.mp4", "mp4v"), ("clip.avi", "FFV1"), ("clip.mpg", "PIM1")]


def opener_of(path):
    return functools.partial(open, path, "rb")


def reader_of(path, cache_bytes):
    opener = opener_of(path)
    return VideoFrames(opener, index_video(opener), cache_bytes)


def decoded_in_order(path, is_color=True):
    with av.open(str(path)) as container:
        form = "rgb24" if is_color else "gray"
        return np.array([frame.to_ndarray(format=form) for frame in container.decode(video=0)])


@pytest.mark.parametrize(("name", "codec"), CODECS)
@pytest.mark.parametrize("color", [False, True])
def test_frames_and_color(save_video, name, codec, color):
    frames = moving_frames(30, 64, 96, color)
    cine = read_cine(save_video(frames, name, codec))
    assert (len(cine), cine.shape, cine.is_color) == (30, (64, 96), color)
    assert max(np.abs(got.astype(int) - one).mean() for got, one in zip(cine, frames, strict=True)) < 6
    if codec == "FFV1" and not color:
        np.testing.assert_array_equal(np.stack(list(cine)), frames)


@pytest.mark.parametrize(("name", "codec"), CODECS)
def test_random_access_gives_the_frames_of_reading_in_order(save_video, name, codec):
    path = save_video(moving_frames(150, 48, 64, color=True), name, codec)
    expected = decoded_in_order(path)
    reader = reader_of(path, 40 * 48 * 64 * 3)
    order = [149, 0, 75, 74, 73, 148, 3, 120, *range(149, -1, -1), *np.random.default_rng(0).integers(0, 150, 60)]
    for at in order:
        np.testing.assert_array_equal(reader[at], expected[at])


def test_repeated_pictures_do_not_confuse_random_access(save_video):
    frames = moving_frames(120, 48, 64)
    frames[30:70] = frames[30]  # a frozen stretch, longer than any block
    path = save_video(frames, "clip.mp4", "mp4v")
    expected = decoded_in_order(path, is_color=False)
    reader = reader_of(path, 20 * 48 * 64)
    for at in (119, 75, 69, 50, 31, 29, 110, 45, 0, 71):
        np.testing.assert_array_equal(reader[at], expected[at])


def test_a_clip_that_repeats_exactly_is_read_right(save_video):
    frames = np.tile(moving_frames(12, 48, 64), (12, 1, 1))
    path = save_video(frames)
    expected = decoded_in_order(path, is_color=False)
    reader = reader_of(path, 20 * 48 * 64)
    for at in range(143, -1, -7):
        np.testing.assert_array_equal(reader[at], expected[at])
    assert reader._failed_seeks == 0


def test_a_seek_that_lands_elsewhere_falls_back_to_reading_from_the_start(save_video, monkeypatch):
    path = save_video(moving_frames(100, 48, 64), "clip.mp4", "mp4v")
    expected = decoded_in_order(path, is_color=False)
    reader = reader_of(path, 10 * 48 * 64)
    seek = VideoStream.seek
    monkeypatch.setattr(VideoStream, "seek", lambda self, _: seek(self, 10**9))
    for at in (60, 30, 90, 20, 80, 10):
        np.testing.assert_array_equal(reader[at], expected[at])
    assert reader._failed_seeks == 3


@pytest.mark.parametrize("can_seek", [True, False])
def test_going_backward_is_not_quadratic(save_video, monkeypatch, can_seek):
    count, cached = 400, 80
    path = save_video(moving_frames(count, 32, 48), "clip.mp4", "mp4v")
    reader = reader_of(path, cached * 32 * 48)
    reader._failed_seeks = 0 if can_seek else 3
    reads = []
    monkeypatch.setattr(reader, "_position", lambda picture, of=reader._position: reads.append(1) or of(picture))
    for at in range(count - 1, -1, -1):
        reader[at]
    # each frame a few times when seeking; when read from the start, all before it once for each cache full of 80
    assert len(reads) < (4 * count if can_seek else count * (count / cached + 1) / 2 + 1)


def test_the_cache_is_bounded(save_video):
    path = save_video(moving_frames(100, 32, 48), "clip.mp4", "mp4v")
    reader = reader_of(path, 10 * 32 * 48)
    for at in (99, 50, 0, 99):
        reader[at]
        assert reader._kept.nbytes <= 10 * 32 * 48
        assert len(reader._cached) <= 10


def test_color_switched_on_late_is_seen(save_video):
    frames = np.repeat(moving_frames(60, 48, 64)[..., np.newaxis], 3, axis=3)
    frames[40:, 10:30, 10:30, 0] = 220
    assert read_cine(save_video(frames, "clip.mp4", "mp4v")).is_color


def test_a_cut_file_gives_what_decodes_and_says_so(save_video):
    path = save_video(moving_frames(50, 64, 96))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    cine = read_cine(path)
    assert 20 < len(cine) < 35
    assert cine.notes[0] == (
        f"The video's header says 50 frames but {len(cine)} could be decoded: the file may be cut off."
    )
    assert cine.frames[-1].shape == (64, 96)
    assert len(cine.timing.seconds) == len(cine)


def test_a_video_without_a_frame_is_refused(save_video):
    path = save_video(moving_frames(5, 64, 96), f"{PLANTED}.avi")
    path.write_bytes(path.read_bytes()[:5600])
    with pytest.raises(SourceError, match=r"no frame that can be decoded|cannot be decoded") as caught:
        read_cine(path)
    assert PLANTED not in str(caught.value)


def test_a_video_that_changes_or_goes_is_a_frame_error(save_video):
    path = save_video(moving_frames(30, 64, 96))
    cine = read_cine(path)
    other = save_video(moving_frames(30, 64, 96)[::-1], "other.avi")
    other.replace(path)
    with pytest.raises(FrameError, match="decodes to another picture"):
        cine.frames[5]
    path.unlink()
    with pytest.raises(FrameError, match="cannot be opened any more"):
        cine.frames[7]


def boxes_around(content, inner):
    """Offsets of the MP4 boxes that hold the first box named ``inner``, outermost first, itself last."""
    start, found = content.index(inner) - 4, []
    position, end = 0, len(content)
    while True:
        size = struct.unpack(">I", content[position : position + 4])[0]
        if position <= start < position + size:
            found.append(position)
            if position == start:
                return found
            end, position = position + size, position + 8
        else:
            position += size
        assert position < end


def test_the_rotation_flag_is_applied(save_video):
    frames = moving_frames(5, 64, 96)
    path = save_video(frames, "clip.mp4", "mp4v")
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    content[matrix : matrix + 20] = struct.pack(">5i", 0, 0x10000, 0, -0x10000, 0)
    path.write_bytes(content)
    cine = read_cine(path)
    assert cine.shape == (96, 64)
    assert np.abs(cine.frames[2].astype(int) - np.rot90(frames[2], -1)).mean() < 6


def test_variable_frame_times_are_kept_and_random_access_stays_exact(save_video):
    path = save_video(moving_frames(120, 64, 96), "clip.mp4", "mp4v", rate=20)
    content = bytearray(path.read_bytes())
    at = content.index(b"stts") + 8
    entries, count, delta = struct.unpack(">3I", content[at : at + 12])
    assert (entries, count) == (1, 120)
    content[at : at + 12] = struct.pack(">5I", 2, 60, delta, 60, delta // 2)
    for box in boxes_around(bytes(content), b"stts"):
        size = struct.unpack(">I", content[box : box + 4])[0]
        content[box : box + 4] = struct.pack(">I", size + 8)
    path.write_bytes(content)
    cine = read_cine(path)
    assert len(cine) == 120
    np.testing.assert_allclose(np.diff(cine.timing.seconds[:61]), 0.05, atol=1e-3)
    np.testing.assert_allclose(np.diff(cine.timing.seconds[61:]), 0.025, atol=1e-3)
    assert cine.timing.approximate
    expected = decoded_in_order(path, is_color=False)
    reader = reader_of(path, 20 * 64 * 96)
    for frame in (119, 100, 40, 118, 61, 60, 0):
        np.testing.assert_array_equal(reader[frame], expected[frame])


def index_with(milliseconds, rate=25.0):
    return VideoIndex(tuple(range(len(milliseconds))), tuple(milliseconds), 0.001, 4, 4, False, 0, rate)


def test_missing_last_times_follow_at_the_usual_interval():
    timing, notes = video_timing(index_with([80, 120, 160, 200, None, 0]))
    np.testing.assert_allclose(timing.seconds, [0, 0.04, 0.08, 0.12, 0.16, 0.2])
    assert "2 of its frames" in notes[0]


@pytest.mark.parametrize("times", [[None] * 20, [0] * 20, [0, 40, 20] + [0] * 17])
def test_without_times_the_frame_rate_of_the_header_is_used(times):
    timing, _ = video_timing(index_with(times))
    assert timing.source == "frame rate of the video file"
    np.testing.assert_allclose(timing.seconds, np.arange(20) / 25)
    assert video_timing(index_with(times, rate=0.0)) == (None, ())


@pytest.mark.parametrize(("step", "said"), [(1, "1,000 frames a second"), (30_000, "30 s between frames")])
def test_times_that_no_scanner_has_are_unknown(step, said):
    timing, notes = video_timing(index_with([step * index for index in range(20)]))
    assert timing is None
    assert len(notes) == 1
    assert said in notes[0]
    assert video_timing(index_with([0] * 20, rate=900.0))[0] is None


def test_one_frame_has_a_time():
    timing, _ = video_timing(index_with([33]))
    assert timing is None or list(timing.seconds) == [0]


def test_all_real_lung_videos_have_the_frames_and_rates_of_the_index(shared_data):
    folder = shared_data / "cine" / "lung_video"
    with (folder / "index.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 25
    for row in rows:
        index = index_video(opener_of(folder / row["file"]))
        timing, _ = video_timing(index)
        assert len(index.checksums) == int(row["frames"]), row["file"]
        assert (index.height, index.width) == (int(row["height"]), int(row["width"]))
        assert timing.frames_per_second == pytest.approx(float(row["fps"]), abs=0.05)


@pytest.mark.parametrize("name", ["Cov_recommendations_likebutterfly_mov5.mov", "Reg_pat1Image_133043.mpeg"])
def test_real_videos_backward(shared_data, name):
    path = shared_data / "cine" / "lung_video" / name
    reader = reader_of(path, 2**23)
    expected = decoded_in_order(path, is_color=False)
    for at in range(len(reader) - 1, -1, -5):
        np.testing.assert_array_equal(reader[at], expected[at])


def test_several_threads_read_one_video(save_video):
    path = save_video(moving_frames(60, 48, 64), "clip.mp4", "mp4v")
    expected = decoded_in_order(path, is_color=False)
    reader = reader_of(path, 10 * 48 * 64)
    order = np.random.default_rng(0).permutation(60)
    with ThreadPoolExecutor(4) as pool:
        for at, frame in zip(order, pool.map(reader.__getitem__, order), strict=True):
            np.testing.assert_array_equal(frame, expected[at])


@pytest.mark.parametrize("is_color", [False, True])
def test_pictures_that_were_handed_out_are_not_kept_by_the_decoder(save_video, is_color):
    path = save_video(moving_frames(60, 48, 64, color=is_color), "clip.mp4", "mp4v")
    reader = reader_of(path, 4 * 48 * 64)
    gc.collect()
    gc.disable()
    try:
        for index in [*range(60), 5, 50, 20, *range(30, 0, -1)]:
            reader[index]
        alive = sum(isinstance(one, av.VideoFrame) for one in gc.get_objects())
    finally:
        gc.enable()
    assert alive < 10


def test_a_jump_converts_few_pictures_on_its_way(save_video, monkeypatch):
    path = save_video(moving_frames(200, 32, 48), "clip.mp4", "mp4v")
    reader = reader_of(path, 2**20)
    converted = []
    whole = VideoStream.as_array
    monkeypatch.setattr(VideoStream, "as_array", lambda *given: converted.append(1) or whole(*given))
    reader[150]
    assert len(converted) <= 8


def test_a_transport_stream_that_ends_within_a_packet_says_so(tmp_path):
    path = encode_video(tmp_path / "a.ts", moving_frames(20, 48, 64), "mpeg2video")
    assert read_cine(path).notes == ()
    path.write_bytes(path.read_bytes()[:-1000])
    cine = read_cine(path)
    assert cine.notes == (
        f"The video file is cut off or damaged within a packet: besides the {len(cine)} frames decoded, others may be "
        "lost.",
    )


def test_a_matroska_file_that_lacks_some_frames_says_so(tmp_path):
    path = encode_video(tmp_path / "a.mkv", moving_frames(30, 48, 64), "mpeg4")
    assert read_cine(path).notes == ()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 8 // 10])
    cine = read_cine(path)
    assert 15 < len(cine) < 28
    assert "the file may be cut off" in cine.notes[0]
