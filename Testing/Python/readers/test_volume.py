"""NRRD, MHA and NIfTI stacks, checked against what SimpleITK and 3D Slicer write."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK
from source_makers import PLANTED, moving_frames

from UltrasoundLesionSegLib.cine import SourceKind
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers import volume
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.volume import VolumePixels

FRAMES = moving_frames(7, 40, 56)
COLOR = moving_frames(7, 40, 56, color=True)
FORMATS = ["nrrd", "nhdr", "mha", "mhd", "nii", "nii.gz"]


def write(path, frames, spacing=(0.08, 0.1, 1.0), compress=False):
    image = SimpleITK.GetImageFromArray(frames, isVector=frames.ndim == 4 and frames.shape[3] in (3, 4))
    image.SetSpacing(spacing)
    SimpleITK.WriteImage(image, str(path), useCompression=compress)
    return path


def stacked(cine):
    return np.stack(list(cine))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("frames", [FRAMES, COLOR], ids=["grey", "color"])
def test_slices_are_frames(tmp_path, suffix, compress, frames):
    cine = read_cine(write(tmp_path / f"{PLANTED}.{suffix}", frames, compress=compress))
    np.testing.assert_array_equal(stacked(cine), frames)
    assert cine.is_color == (frames.ndim == 4)
    assert cine.identity.kind is SourceKind.VOLUME
    # SimpleITK counts (x, y, z): columns are 0.08 mm apart, rows 0.1 mm
    assert cine.calibration.spacing == pytest.approx((0.1, 0.08))
    assert (cine.timing, cine.notes) == (None, ())


@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii"])
def test_a_default_spacing_is_not_believed(tmp_path, suffix):
    cine = read_cine(write(tmp_path / f"a.{suffix}", FRAMES, (1.0, 1.0, 1.0)))
    assert cine.calibration is None
    assert "1 mm a pixel" in cine.notes[0]


@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii"])
@pytest.mark.parametrize("told", [25.4 / 72, 0.3528, 25.4 / 300])
def test_the_resolution_of_a_screen_is_not_believed(tmp_path, suffix, told):
    cine = read_cine(write(tmp_path / f"a.{suffix}", FRAMES, (told, told, 1.0)))
    assert cine.calibration is None
    assert "dots an inch" in cine.notes[0]


@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii"])
def test_two_and_four_dimensions(tmp_path, suffix):
    flat = read_cine(write(tmp_path / f"flat.{suffix}", FRAMES[0], (0.1, 0.1)))
    np.testing.assert_array_equal(stacked(flat), FRAMES[:1])
    image = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(frame[np.newaxis]) for frame in FRAMES])
    SimpleITK.WriteImage(image, str(tmp_path / f"four.{suffix}"))
    np.testing.assert_array_equal(stacked(read_cine(tmp_path / f"four.{suffix}")), FRAMES)
    both = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(FRAMES[at : at + 3]) for at in (0, 3)])
    SimpleITK.WriteImage(both, str(tmp_path / f"both.{suffix}"))
    with pytest.raises(SourceError, match="slices as well as time points"):
        read_cine(tmp_path / f"both.{suffix}")


@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.int32])
def test_other_types_are_shown_from_lowest_to_highest(tmp_path, suffix, dtype):
    values = (FRAMES.astype(float) * 7 - (100 if np.dtype(dtype).kind != "u" else 0)).astype(dtype)
    cine = read_cine(write(tmp_path / f"a.{suffix}", values))
    low, high = float(values.min()), float(values.max())
    expected = ((values.astype(float) - low) * 255 / (high - low)).round()
    assert np.abs(stacked(cine).astype(int) - expected).max() <= 1
    assert cine.notes == (f"The values {low:g} to {high:g} of the source are shown as 0 to 255.",)


def test_whole_numbers_within_eight_bits_stay_as_they_are(tmp_path):
    cine = read_cine(write(tmp_path / "a.nrrd", FRAMES.astype(np.int16)))
    np.testing.assert_array_equal(stacked(cine), FRAMES)


def test_grey_in_rgb_becomes_grey(tmp_path):
    cine = read_cine(write(tmp_path / "a.nrrd", np.repeat(FRAMES[..., np.newaxis], 3, axis=3)))
    assert not cine.is_color
    np.testing.assert_array_equal(stacked(cine), FRAMES)


def nrrd(path, data, lines, compress=False):
    content = gzip.compress(data) if compress else data
    encoding = "gzip" if compress else "raw"
    path.write_bytes("\n".join(["NRRD0004", *lines, f"encoding: {encoding}", "", ""]).encode() + content)
    return path


def slicer_sequence(frames, is_first_list=False):
    """The header 3D Slicer 5.x writes for a sequence of volumes; older ones put the list axis first."""
    count, rows, columns = frames.shape[:3]
    axes = [(columns, "(0.08,0,0)", "domain", ""), (rows, "(0,0.1,0)", "domain", ""), (1, "(0,0,1)", "domain", "")]
    if frames.ndim == 4:
        axes.insert(0, (3, "none", "vector", ""))
    axes.insert(0 if is_first_list else len(axes), (count, "none", "list", "s"))
    return [
        "type: unsigned char",
        f"dimension: {len(axes)}",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(axis[0]) for axis in axes),
        "space directions: " + " ".join(axis[1] for axis in axes),
        "kinds: " + " ".join(axis[2] for axis in axes),
        "units: " + " ".join(f'"{axis[3]}"' for axis in axes),
        "space origin: (0,0,0)",
        "DataNodeClassName:=vtkMRMLScalarVolumeNode",
        "axis 3 index type:=numeric",  # Slicer writes axis 3 for colour too
        "axis 3 index values:=" + " ".join(f"{at / 20:.4f}" for at in range(count)),
    ]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("count", [1, 3, 7])
@pytest.mark.parametrize("frames", [FRAMES, COLOR], ids=["grey", "color"])
def test_slicers_sequences(tmp_path, compress, count, frames):
    frames = frames[:count]  # three grey frames must not be taken for RGB
    cine = read_cine(nrrd(tmp_path / "a.seq.nrrd", frames.tobytes(), slicer_sequence(frames), compress))
    np.testing.assert_array_equal(stacked(cine), frames)
    assert cine.calibration.spacing == pytest.approx((0.1, 0.08))
    if count > 1:
        np.testing.assert_allclose(cine.timing.seconds, np.arange(count) / 20)


def test_sequences_with_the_list_axis_first(tmp_path):
    data = np.ascontiguousarray(FRAMES.transpose(1, 2, 0)).tobytes()
    cine = read_cine(nrrd(tmp_path / "a.seq.nrrd", data, slicer_sequence(FRAMES, True)))
    np.testing.assert_array_equal(stacked(cine), FRAMES)


def test_units_of_the_header(tmp_path):
    lines = ["type: uint8", "dimension: 3", "sizes: 56 40 7", "spacings: 0.01 0.02 1"]
    centimetres = ["space dimension: 3", 'space units: "cm" "cm" "cm"']
    assert read_cine(nrrd(tmp_path / "a.nrrd", FRAMES.tobytes(), lines)).calibration.spacing == (0.02, 0.01)
    directions = ["type: uint8", "dimension: 3", "sizes: 56 40 7", "space directions: (0.01,0,0) (0,0.02,0) (0,0,1)"]
    cine = read_cine(nrrd(tmp_path / "b.nrrd", FRAMES.tobytes(), [*directions, *centimetres]))
    assert cine.calibration.spacing == pytest.approx((0.2, 0.1))


@pytest.mark.parametrize(("unit", "right"), [("cm", (0.2, 0.1)), ("mm", (0.02, 0.01)), ("um", None), ("m", None)])
def test_units_of_spacings(tmp_path, unit, right):
    lines = [
        "type: uint8",
        "dimension: 3",
        "sizes: 56 40 7",
        "spacings: 0.01 0.02 40",
        f'units: "{unit}" "{unit}" "ms"',
    ]
    cine = read_cine(nrrd(tmp_path / "a.nrrd", FRAMES.tobytes(), lines))
    if right is None:
        assert cine.calibration is None
        assert any("which no scanner has: not used" in note for note in cine.notes)
    else:
        assert cine.calibration.spacing == pytest.approx(right)
    np.testing.assert_allclose(cine.timing.seconds, 0.04 * np.arange(7))


@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii.gz"])
@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_numbers_of_64_bits(tmp_path, suffix, kind):
    path = tmp_path / f"a.{suffix}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(FRAMES.astype(kind)), str(path))
    np.testing.assert_array_equal(stacked(read_cine(path)), FRAMES)


@pytest.mark.parametrize(("slope", "intercept"), [(-1.0, 255.0), (1.0, 3.0), (0.0, 7.0), (0.25, 0.0)])
def test_the_scale_of_nifti_values(tmp_path, slope, intercept):
    path = tmp_path / "a.nii"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(FRAMES), str(path))
    data = bytearray(path.read_bytes())
    struct.pack_into("<2f", data, 112, slope, intercept)
    path.write_bytes(data)
    # a slope of 0 says that there is no scale
    meant = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))) if slope else FRAMES
    cine = read_cine(path)
    if (meant == meant.round()).all() and meant.max() <= 255:
        np.testing.assert_array_equal(stacked(cine), meant)
    else:
        low, high = meant.min(), meant.max()
        assert np.abs(stacked(cine) - (meant - low) * 255 / (high - low)).max() <= 0.51
        assert any("are shown as 0 to 255" in note for note in cine.notes)


def test_big_endian_values(tmp_path):
    lines = ["type: uint16", "dimension: 3", "sizes: 56 40 7", "endian: big"]
    cine = read_cine(nrrd(tmp_path / "a.nrrd", FRAMES.astype(">u2").tobytes(), lines))
    np.testing.assert_array_equal(stacked(cine), FRAMES)


def test_the_time_step_of_nifti(tmp_path):
    image = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(frame[np.newaxis]) for frame in FRAMES])
    image.SetSpacing((0.1, 0.1, 1.0, 0.04))
    path = tmp_path / "a.nii"
    SimpleITK.WriteImage(image, str(path))
    content = bytearray(path.read_bytes())
    content[123] = 2 | 8  # NIFTI_UNITS_MM, NIFTI_UNITS_SEC
    path.write_bytes(content)
    np.testing.assert_allclose(read_cine(path).timing.seconds, np.arange(7) * 0.04, atol=1e-6)


def test_a_time_step_means_nothing_where_there_is_no_time_axis(tmp_path, shared_data):
    cine = read_cine(shared_data / "field" / "19_invented_time_step" / "three_dimensions.nii.gz")
    assert (len(cine), cine.timing) == (6, None)
    path = write(tmp_path / "a.nii", FRAMES)
    content = bytearray(path.read_bytes())
    content[123] = 2 | 8  # NIFTI_UNITS_MM, NIFTI_UNITS_SEC
    struct.pack_into("<f", content, 76 + 16, 0.04)  # pixdim[4]
    path.write_bytes(content)
    assert read_cine(path).timing is None


@pytest.mark.parametrize(
    ("step", "unit", "said"),
    [
        (1.0, 8, "written for unknown"),
        (0.04, 16, "25,000 frames a second"),
        (40.0, 8, "40 s between frames"),  # milliseconds that the header calls seconds
    ],
)
def test_a_time_step_that_no_scanner_has_is_not_believed(tmp_path, step, unit, said):
    image = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(frame[np.newaxis]) for frame in FRAMES])
    image.SetSpacing((0.1, 0.1, 1.0, step))
    path = tmp_path / "a.nii"
    SimpleITK.WriteImage(image, str(path))
    content = bytearray(path.read_bytes())
    content[123] = 2 | unit
    path.write_bytes(content)
    cine = read_cine(path)
    assert cine.timing is None
    assert any(said in note for note in cine.notes)


def tracked(path, stamps, statuses=None, is_nrrd=False):
    """A tracked sequence as PLUS writes it (MetaImage or NRRD)."""
    mark = ":=" if is_nrrd else " = "
    lines = ["NRRD0004", "type: uint8", "dimension: 3", "sizes: 56 40 7", "encoding: raw"]
    if not is_nrrd:
        lines = ["ObjectType = Image", "NDims = 3", "DimSize = 56 40 7", "ElementSpacing = 1 1 1"]
        lines += ["UltrasoundImageOrientation = MF", "ElementType = MET_UCHAR"]
    for frame, stamp in enumerate(stamps):
        name = f"Seq_Frame{frame:04d}"
        lines += [f"{name}_FrameNumber{mark}{200 + frame}"] + ([f"{name}_Timestamp{mark}{stamp}"] if stamp else [])
        lines += [f"{name}_ProbeToTrackerTransform{mark}1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1"]
        lines += [f"{name}_ProbeToTrackerTransformStatus{mark}INVALID"]  # says nothing of the image
        lines += [f"{name}_ImageStatus{mark}{statuses[frame] if statuses else 'OK'}"]
    lines += [""] if is_nrrd else ["ElementDataFile = LOCAL"]
    path.write_bytes(("\n".join(lines) + "\n").encode() + FRAMES.tobytes())
    return path


STAMPS = [12.5, 12.54, 12.58, 12.7, 12.74, 12.78, 12.82]


@pytest.mark.parametrize("is_nrrd", [False, True])
def test_time_stamps_of_tracked_sequences(tmp_path, is_nrrd):
    cine = read_cine(tracked(tmp_path / "a", STAMPS, is_nrrd=is_nrrd))
    np.testing.assert_allclose(cine.timing.seconds, np.array(STAMPS) - 12.5, atol=1e-9)
    assert not cine.timing.approximate
    np.testing.assert_array_equal(stacked(cine), FRAMES)


def test_the_tracked_sequence_from_the_field(shared_data):
    cine = read_cine(shared_data / "field" / "20_no_way_to_give_a_frame_rate" / "plus_MF.mha")
    np.testing.assert_allclose(cine.timing.seconds, np.arange(6) * 0.04, atol=1e-9)


@pytest.mark.parametrize(
    ("stamps", "said"),
    [
        ([12.5, "", *STAMPS[2:]], "some of the time stamps of the tracked sequence are missing"),
        ([12.5, "later", *STAMPS[2:]], "are missing"),
        ([*STAMPS[:6], 12.0], "do not go forward"),
        ([12.5] * 7, "do not go forward"),
        ([*STAMPS[:6], "inf"], "do not go forward"),
        ([0.001 * at for at in range(1, 8)], "1,000 frames a second"),
    ],
)
def test_time_stamps_that_cannot_be_right_are_not_used_and_that_is_said(tmp_path, stamps, said):
    cine = read_cine(tracked(tmp_path / "a.mha", stamps))
    assert cine.timing is None
    assert any(said in note for note in cine.notes)


def test_a_frame_without_an_image_is_no_black_frame(tmp_path):
    statuses = ["OK"] * 3 + ["INVALID"] + ["OK"] * 3
    cine = read_cine(tracked(tmp_path / "a.mha", STAMPS, statuses))
    assert "The sequence says of 1 of its 7 frames that they hold no image." in cine.notes
    with pytest.raises(FrameError, match="frame 3 cannot be read: the sequence says"):
        cine.frames[3]
    np.testing.assert_array_equal(cine.frames[4], FRAMES[4])


def test_uncompressed_volumes_are_not_read_whole(tmp_path, monkeypatch):
    frames = np.zeros((400, 100, 100), np.uint8)
    frames[399] = 7
    cine = read_cine(write(tmp_path / "a.nrrd", frames))
    asked = []
    piece = VolumePixels.piece
    monkeypatch.setattr(VolumePixels, "piece", lambda self, at, length: asked.append(length) or piece(self, at, length))
    assert cine.frames[399].min() == 7
    assert asked == [100 * 100]


def test_compressed_volumes_are_inflated_no_further_than_needed(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (200, 200, 200), np.uint8)
    cine = read_cine(write(tmp_path / "a.nrrd", frames, compress=True))
    np.testing.assert_array_equal(cine.frames[3], frames[3])
    pixels = vars(cine.frames)["_slices"]._pixels
    assert pixels._inflated._inflated < frames.nbytes * 0.7
    np.testing.assert_array_equal(cine.frames[199], frames[199])
    np.testing.assert_array_equal(cine.frames[0], frames[0])


@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii"])
def test_a_cut_volume_gives_its_whole_frames(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", FRAMES)
    path.write_bytes(path.read_bytes()[: -FRAMES[0].size * 3 // 2])
    cine = read_cine(path)
    np.testing.assert_array_equal(stacked(cine), FRAMES[:5])
    assert cine.notes[0] == "The file is cut off: 5 of its 7 frames are whole and are used."
    path.write_bytes(path.read_bytes()[: -FRAMES[0].size * 5])
    with pytest.raises(SourceError, match="cut off before its first frame"):
        read_cine(path)


@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii.gz"])
def test_a_cut_compressed_volume_gives_its_whole_frames(tmp_path, suffix):
    frames = np.random.default_rng(0).integers(0, 256, (20, 100, 100), np.uint8)
    path = write(tmp_path / f"a.{suffix}", frames, compress=True)
    path.write_bytes(path.read_bytes()[:100_000])
    cine = read_cine(path)
    assert 5 < len(cine) < 15
    assert cine.notes[0] == f"The file is cut off: {len(cine)} of its 20 frames are whole and are used."
    np.testing.assert_array_equal(stacked(cine), frames[: len(cine)])


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["type: uint8", "dimension: 3", "sizes: 56 40 7 9 9", "kinds: domain domain domain domain"], "slices as well"),
        (["type: uint8", "dimension: 3", "sizes: 56 -40 7"], "header is damaged"),
        (["type: block", "dimension: 3", "sizes: 56 40 7"], "header is damaged"),
        (["type: uint8", "dimension: 1", "sizes: 56"], "header is damaged"),
        (["type: uint8", "sizes: 5 56 40 7", "kinds: vector domain domain domain"], "5 values a pixel"),
        (["type: uint8", "dimension: 3", "sizes: 900000 900000 7"], "too large"),
        (["type: uint8", "sizes: 56 40 7", "data file: ../elsewhere/pixels.raw"], "another folder"),
        (["type: uint8", "sizes: 56 40 7", "data file: part%03d.raw 1 7 1"], "several files|cannot be opened"),
        (["type: uint8", "sizes: 56 40 7", "data file: gone.raw"], "is not beside it"),
    ],
)
def test_headers_of_no_cine_are_refused(tmp_path, lines, words):
    with pytest.raises(SourceError, match=words) as caught:
        read_cine(nrrd(tmp_path / "a.nrrd", FRAMES.tobytes(), lines))
    assert "raw" not in str(caught.value) or "as raw" in str(caught.value)


def test_a_text_encoding_is_refused(tmp_path):
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0001\ntype: uint8\nsizes: 2 2 2\nencoding: ascii\n\n1 2 3 4 5 6 7 8\n")
    with pytest.raises(SourceError, match="as text"):
        read_cine(tmp_path / "a.nrrd")


def test_nifti_2_and_pairs_are_refused(tmp_path):
    (tmp_path / "a.nii").write_bytes(struct.pack("<i", 540) + b"n+2\x00\r\n\x1a\n" + bytes(800))
    with pytest.raises(SourceError, match="NIfTI-1 in one file"):
        read_cine(tmp_path / "a.nii")


def test_files_that_slicer_itself_writes(tmp_path):
    """The storage nodes of the real thing, so that the layouts above are not our imagination."""
    slicer = pytest.importorskip("slicer")
    vtk = pytest.importorskip("vtk")
    from vtk.util.numpy_support import numpy_to_vtk

    scene = slicer.vtkMRMLScene()
    for frames, kind in ((FRAMES, slicer.vtkMRMLScalarVolumeNode), (COLOR, slicer.vtkMRMLVectorVolumeNode)):
        sequence = slicer.vtkMRMLSequenceNode()
        scene.AddNode(sequence)
        sequence.SetIndexName("time")
        sequence.SetIndexUnit("s")
        node = kind()
        node.SetSpacing(0.08, 0.1, 1)
        for index, frame in enumerate(frames):
            image = vtk.vtkImageData()
            image.SetDimensions(56, 40, 1)
            values = numpy_to_vtk(frame.reshape(40 * 56, -1), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
            image.GetPointData().SetScalars(values)
            node.SetAndObserveImageData(image)
            sequence.SetDataNodeAtValue(node, f"{index / 20:.4f}")
        storage = slicer.vtkMRMLVolumeSequenceStorageNode()
        scene.AddNode(storage)
        storage.SetFileName(str(tmp_path / "a.seq.nrrd"))
        assert storage.WriteData(sequence)
        cine = read_cine(tmp_path / "a.seq.nrrd")
        np.testing.assert_array_equal(stacked(cine), frames)
        np.testing.assert_allclose(cine.timing.seconds, np.arange(7) / 20)
        assert cine.calibration.spacing == pytest.approx((0.1, 0.08))
    assert volume  # the module under test


@pytest.mark.parametrize(
    ("told", "is_noted"), [("MF", False), ("MFA", False), ("UF", True), ("UN", True), ("MN", True)]
)
def test_a_tracked_sequence_in_another_orientation_than_the_screen(tmp_path, told, is_noted):
    frames = moving_frames(3, 24, 32)
    header = f"ObjectType = Image\nNDims = 3\nUltrasoundImageOrientation = {told}\nDimSize = 32 24 3\n"
    path = tmp_path / "a.mha"
    path.write_bytes((header + "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n").encode() + frames.tobytes())
    cine = read_cine(path)
    np.testing.assert_array_equal(np.stack(list(cine)), frames)
    assert any(f"orientation {told}" in note for note in cine.notes) is is_noted


@pytest.mark.parametrize("told", [300, -1])
def test_a_meta_image_that_says_where_its_pixels_begin(tmp_path, told):
    frames = moving_frames(3, 24, 32)
    header = f"ObjectType = Image\nNDims = 3\nDimSize = 32 24 3\nHeaderSize = {told}\n"
    header += "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    path = tmp_path / "a.mha"
    path.write_bytes(header.encode().ljust(300, b"x") + frames.tobytes())
    np.testing.assert_array_equal(np.stack(list(read_cine(path))), frames)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))), frames)


@pytest.mark.parametrize("value", [1e20, -1e20, 300.5])
def test_one_value_everywhere_however_large_is_black(value):
    from UltrasoundLesionSegLib.readers.frames import choose_levels, to_uint8

    values = np.full((2, 3), value)
    assert not to_uint8(values, choose_levels([values])).any()


def test_whole_numbers_stored_as_floats_stay_as_they_are(tmp_path):
    frames = moving_frames(3)
    header = "NRRD0004\ntype: float\ndimension: 3\nsizes: 56 40 3\nencoding: raw\nendian: little\n\n"
    (tmp_path / "c.nrrd").write_bytes(header.encode() + frames.astype("<f4").tobytes())
    cine = read_cine(tmp_path / "c.nrrd")
    np.testing.assert_array_equal(np.stack(list(cine)), frames)
    assert cine.notes == ()


@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii"])
def test_frames_in_another_axis_are_noted(tmp_path, suffix):
    first = np.ascontiguousarray(FRAMES.transpose(2, 1, 0))
    assert any("the axes of the volume may be in another order" in note for note in notes_of(tmp_path, suffix, first))
    assert notes_of(tmp_path, suffix, FRAMES) == ()


def notes_of(folder, suffix, frames):
    return read_cine(write(folder / f"a.{suffix}", frames)).notes


@pytest.mark.parametrize("suffix", ["nhdr", "mhd"])
def test_a_header_without_its_pixels_says_which_file_is_missing(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", FRAMES)
    for one in tmp_path.glob("a.*raw*"):
        one.rename(tmp_path / "other")
    with pytest.raises(SourceError, match="names a file of pixels that is not beside it; copy that file there"):
        read_cine(path)
