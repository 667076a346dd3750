import gzip

import numpy as np
import pytest
import SimpleITK
from PIL import Image

from UltrasoundLesionSegLib.cine import Calibration, Origin
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.writers.masks import davis_palette, label_map, write_davis, write_nifti


def two_lesions(frame):
    """Two squares that overlap in a corner; the second is gone on frame 2, both on frame 3."""
    masks = np.zeros((2, 30, 41), bool)
    masks[0, 5:15, 5 + frame : 15 + frame] = frame != 3
    masks[1, 10:20, 10:20] = frame < 2
    return masks


def test_the_first_lesion_is_kept_where_two_overlap():
    masks = two_lesions(0)
    labels = label_map(masks)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels == 1, masks[0])
    np.testing.assert_array_equal(labels == 2, masks[1] & ~masks[0])
    assert (masks[0] & masks[1]).any()


@pytest.mark.parametrize(
    ("origins", "kept"),
    [
        ((Origin.MODEL, Origin.MANUAL), 2),
        ((Origin.MODEL, Origin.SUGGESTED), 2),
        ((Origin.SUGGESTED, Origin.CONFIRMED), 2),
        ((None, Origin.EDITED), 2),
        ((Origin.EDITED, Origin.MANUAL), 1),
        ((Origin.MODEL, None), 1),
    ],
)
def test_where_two_overlap_a_persons_mask_is_kept_whole(tmp_path, origins, kept):
    masks = two_lesions(0)
    labels = label_map(masks, origins)
    np.testing.assert_array_equal(labels == kept, masks[kept - 1])
    np.testing.assert_array_equal(labels > 0, masks.any(axis=0))
    of_all = [[one] * 2 for one in origins]
    (png, _) = write_davis(tmp_path, two_lesions, 2, origins=of_all)
    np.testing.assert_array_equal(np.array(Image.open(png)), labels)
    volume = SimpleITK.ReadImage(str(write_nifti(tmp_path / "masks.nii", two_lesions, 2, None, of_all)))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(volume)[0], labels)


def test_no_lesion_and_the_most_lesions():
    assert not label_map(np.zeros((0, 4, 5), bool)).any()
    most = np.zeros((255, 1, 255), bool)
    most[np.arange(255), 0, np.arange(255)] = True
    np.testing.assert_array_equal(label_map(most)[0], np.arange(1, 256))
    with pytest.raises(OutputError, match="256 lesions"):
        label_map(np.zeros((256, 1, 1), bool))


def test_the_palette_is_that_of_davis():
    palette = np.frombuffer(davis_palette(), np.uint8).reshape(256, 3)
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 8: (64, 0, 0)}
    known |= {20: (0, 64, 128), 21: (128, 64, 128), 255: (224, 224, 192)}  # colours of PASCAL VOC's devkit
    for label, colour in known.items():
        assert tuple(palette[label]) == colour
    assert len(np.unique(palette, axis=0)) == 256


def test_davis_pngs_read_back_exactly(tmp_path):
    written = write_davis(tmp_path / "masks", two_lesions, 4)
    assert [path.name for path in written] == ["00000.png", "00001.png", "00002.png", "00003.png"]
    assert sorted((tmp_path / "masks").iterdir()) == written
    for frame, path in enumerate(written):
        image = Image.open(path)
        assert image.mode == "P"
        assert image.info == {}  # neither times nor names
        np.testing.assert_array_equal(np.array(image), label_map(two_lesions(frame)))
        assert bytes(image.getpalette()[3:9]) == bytes((128, 0, 0, 0, 128, 0))


def test_a_shorter_clip_leaves_nothing_of_a_longer_one(tmp_path):
    write_davis(tmp_path, two_lesions, 4)
    (tmp_path / "notes.png").write_bytes(b"somebody's")
    written = write_davis(tmp_path, two_lesions, 3, skipped=[1])
    assert sorted(tmp_path.glob("0*.png")) == written
    assert write_davis(tmp_path, two_lesions, 1, skipped=[0]) == []
    assert [path.name for path in tmp_path.iterdir()] == ["notes.png"]


def test_an_error_leaves_the_masks_of_before(tmp_path):
    write_davis(tmp_path, two_lesions, 2)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def cancelled(frame):
        if frame == 3:
            raise KeyboardInterrupt
        return ~two_lesions(frame)

    with pytest.raises(KeyboardInterrupt):
        write_davis(tmp_path, cancelled, 4)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_writing_again_replaces(tmp_path):
    write_davis(tmp_path, two_lesions, 1)
    write_davis(tmp_path, lambda frame: ~two_lesions(frame), 1)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "00000.png")), label_map(~two_lesions(0)))


@pytest.mark.parametrize("name", ["masks.nii", "masks.nii.gz"])
def test_nifti_reads_back_in_simpleitk(tmp_path, name):
    target = write_nifti(tmp_path / name, two_lesions, 4, Calibration(0.2, 0.1, "made for the test"))
    image = SimpleITK.ReadImage(str(target))
    np.testing.assert_array_equal(
        SimpleITK.GetArrayFromImage(image), np.stack([label_map(two_lesions(frame)) for frame in range(4)])
    )
    assert image.GetSpacing() == pytest.approx((0.1, 0.2, 1.0))
    assert image.GetDirection() == pytest.approx((1, 0, 0, 0, 1, 0, 0, 0, 1))
    assert image.GetOrigin() == (0, 0, 0)
    assert image.GetMetaData("xyzt_units") == "2"
    assert "axis 3 counts frames" in image.GetMetaData("descrip")
    assert image.GetMetaData("qform_code_name") == image.GetMetaData("sform_code_name") == "NIFTI_XFORM_SCANNER_ANAT"


def test_nifti_without_calibration_claims_no_millimetres(tmp_path):
    image = SimpleITK.ReadImage(str(write_nifti(tmp_path / "masks.nii", two_lesions, 2, None)))
    assert image.GetSpacing() == (1, 1, 1)
    assert image.GetMetaData("xyzt_units") == "0"


def test_compressed_nifti_holds_no_name_and_no_time(tmp_path):
    target = write_nifti(tmp_path / "planted_name.nii.gz", two_lesions, 2, None)
    head = target.read_bytes()[:10]
    assert head[3] == 0  # no name, no comment
    assert head[4:8] == bytes(4)  # no time
    assert len(gzip.decompress(target.read_bytes())) == 352 + 2 * 30 * 41


def test_a_clip_beyond_the_formats_size_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(OutputError, match="40000 frames"):
        write_nifti(tmp_path / "masks.nii", two_lesions, 40000, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", [write_davis, write_nifti])
def test_an_error_half_way_leaves_the_old_file(tmp_path, writer):
    def broken(frame):
        if frame == 1:
            raise RuntimeError("this frame is gone")
        return two_lesions(frame)

    arguments = (tmp_path / "out.nii", broken, 3, None) if writer is write_nifti else (tmp_path / "out", broken, 3)
    (tmp_path / "out.nii").write_text("old")
    with pytest.raises(RuntimeError):
        writer(*arguments)
    assert (tmp_path / "out.nii").read_text() == "old"
    assert not list(tmp_path.rglob("*.part*"))


def test_a_folder_that_cannot_be_made_is_one_sentence_without_its_name(tmp_path):
    (tmp_path / "planted_name").write_text("a file, not a folder")
    with pytest.raises(OutputError, match="choose a folder") as caught:
        write_davis(tmp_path / "planted_name", two_lesions, 1)
    assert "planted_name" not in str(caught.value)


def test_masks_of_a_longer_cine_that_cannot_be_removed_are_said(tmp_path):
    (tmp_path / "00007.png").mkdir()  # stands for a file that may not be removed
    with pytest.raises(OutputError, match="files of an earlier, longer cine cannot be removed"):
        write_davis(tmp_path, two_lesions, 4)
