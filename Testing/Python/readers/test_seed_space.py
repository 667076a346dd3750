"""Seed volumes in space: where ITK puts them, or a refusal."""

import numpy as np
import pytest
import SimpleITK
from source_makers import moving_frames

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.seed_masks import read_seed_file
from UltrasoundLesionSegLib.workflow.seeding import seeds_from_file

LABELS = np.zeros((6, 40, 56), np.uint8)
LABELS[2, 8:20, 30:50] = 1
LABELS[3, 9:20, 30:50] = 1
FORMATS = ["nrrd", "mha", "nii.gz"]


def image_of(values, spacing=(0.2, 0.3, 1.0), origin=(5.0, -7.0, 3.0)):
    image = SimpleITK.GetImageFromArray(values)
    image.SetSpacing(spacing[: image.GetDimension()])
    image.SetOrigin(origin[: image.GetDimension()])
    return image


@pytest.fixture
def cine(tmp_path):
    SimpleITK.WriteImage(image_of(moving_frames(6, 40, 56)), str(tmp_path / "cine.nrrd"))
    return read_cine(tmp_path / "cine.nrrd")


def seeds(tmp_path, image, cine, suffix="nrrd", frame=0):
    path = tmp_path / f"seed.{suffix}"
    SimpleITK.WriteImage(image, str(path))
    return seeds_from_file(path, cine, frame, "Lesion")


def masks(read):
    return {frame: mask for _, frame, mask in read.found}


def check(read, labels=LABELS):
    found = masks(read)
    assert sorted(found) == [2, 3]
    for frame, mask in found.items():
        np.testing.assert_array_equal(mask, labels[frame] > 0)


def test_the_flipped_seed_from_the_field(shared_data):
    folder = shared_data / "field" / "18_seed_in_another_storage_order"
    cine = read_cine(folder / "c.nrrd")
    cine_image = SimpleITK.ReadImage(str(folder / "c.nrrd"))
    seed_image = SimpleITK.ReadImage(str(folder / "seed_flip.nrrd"))
    right = SimpleITK.GetArrayFromImage(
        SimpleITK.Resample(seed_image, cine_image, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor)
    )
    read = seeds_from_file(folder / "seed_flip.nrrd", cine, 0, "Lesion")
    assert read.read_as == "put on the cine's pixels by its place in space"
    assert sorted(masks(read)) == np.flatnonzero(right.any(axis=(1, 2))).tolist()
    for frame, mask in masks(read).items():
        np.testing.assert_array_equal(mask, right[frame] > 0)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("axes", [(True, False, False), (False, True, False), (True, True, True), (False, False, True)])
def test_flipped_axes(tmp_path, cine, suffix, axes):
    flipped = SimpleITK.Flip(image_of(LABELS), axes)
    assert not np.array_equal(SimpleITK.GetArrayFromImage(flipped), LABELS)
    check(seeds(tmp_path, flipped, cine, suffix))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_permuted_axes(tmp_path, cine, suffix, order):
    check(seeds(tmp_path, SimpleITK.PermuteAxes(image_of(LABELS), order), cine, suffix))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_cropped_and_a_finer_volume_land_where_they_belong(tmp_path, cine, suffix):
    check(seeds(tmp_path, image_of(LABELS)[20:56, 5:30, 1:5], cine, suffix))
    fine = SimpleITK.Expand(image_of(LABELS), [2, 2, 1], SimpleITK.sitkNearestNeighbor)
    read = seeds(tmp_path, fine, cine, suffix)
    assert sorted(masks(read)) == [2, 3]
    assert masks(read)[2].sum() == pytest.approx(LABELS[2].sum(), rel=0.1)


def test_one_slice_goes_to_the_frame_that_it_was_taken_from(tmp_path, cine):
    read = seeds(tmp_path, image_of(LABELS)[:, :, 3:4], cine, frame=0)
    assert sorted(masks(read)) == [3]
    np.testing.assert_array_equal(masks(read)[3], LABELS[3] > 0)


def test_the_same_grid_and_volumes_without_a_place_are_taken_pixel_by_pixel(tmp_path, cine):
    for image in (
        image_of(LABELS),
        image_of(LABELS, origin=(0, 0, 0)),
        image_of(LABELS, spacing=(1, 1, 1), origin=(0, 0, 0)),
    ):
        read = seeds(tmp_path, image, cine)
        check(read)
        assert read.read_as == ""
    flat = seeds(tmp_path, image_of(LABELS[2], origin=(0, 0)), cine, frame=4)
    assert sorted(masks(flat)) == [4]


def test_a_nifti_with_the_unit_matrix_has_no_place(tmp_path, cine):
    """As NiBabel users write arrays: np.eye(4) is meant for 'nothing', not for turning the picture by 180 degrees."""
    image = image_of(LABELS, spacing=(1, 1, 1), origin=(0, 0, 0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))  # the unit matrix in RAS
    check(seeds(tmp_path, image, cine, "nii"))
    check(seeds(tmp_path, image, Cine.from_array(moving_frames(6, 40, 56)), "nii"))


def test_a_seed_beside_the_cine_is_refused(tmp_path, cine):
    with pytest.raises(SeedError, match="beside the cine in space"):
        seeds(tmp_path, image_of(LABELS, origin=(500, 0, 3)), cine)


def test_a_cine_without_a_place_takes_upright_seeds_and_those_flipped_about_its_frame(tmp_path):
    cine = Cine.from_array(moving_frames(6, 40, 56))
    check(seeds(tmp_path, image_of(LABELS), cine))
    at_zero = SimpleITK.Flip(image_of(LABELS, origin=(0, 0, 0)), (True, False, False))
    check(seeds(tmp_path, at_zero, cine))
    elsewhere = SimpleITK.Flip(image_of(LABELS), (True, False, False), True)
    elsewhere.SetDirection((-1, 0, 0, 0, 1, 0, 0, 0, 1))
    with pytest.raises(SeedError, match="axes run another way"):
        seeds(tmp_path, elsewhere, cine)


def test_a_piece_cut_out_of_a_cine_without_a_place_lands_where_it_was(tmp_path):
    """Slicer and ITK-SNAP keep the origin of what they crop, so that its first slice is not frame 0."""
    path = tmp_path / "cine.nrrd"
    SimpleITK.WriteImage(image_of(moving_frames(6, 40, 56), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), str(path))
    cine, image = read_cine(path), image_of(LABELS, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    check(seeds(tmp_path, image[:, :, 1:], cine))
    rows, columns = np.nonzero(LABELS.any(axis=0))
    check(seeds(tmp_path, image[int(columns.min()) :, int(rows.min()) :, 1:], cine))
    image.SetOrigin((0.0, 0.0, 1.0))  # reaches past the cine, so it is no piece of it
    check(seeds(tmp_path, image, cine))
    image.SetOrigin((0.0, 0.0, 0.0))  # a slice that says no place belongs to the frame that is named
    assert sorted(masks(seeds(tmp_path, image[:, :, 2:3], cine, frame=4))) == [2]
    slice_alone = image[:, :, 2:3]
    slice_alone.SetOrigin((0.0, 0.0, 0.0))
    assert sorted(masks(seeds(tmp_path, slice_alone, cine, frame=4))) == [4]


def test_an_inverted_volume_keeps_its_background_where_it_is_resampled(tmp_path, cine):
    read = seeds(tmp_path, SimpleITK.Flip(image_of(255 - 255 * LABELS), (True, False, False)), cine)
    assert sorted(masks(read)) == [2, 3]
    assert "inverted" in read.read_as


@pytest.mark.parametrize("suffix", FORMATS)
def test_probabilities_and_levels_in_volumes(tmp_path, suffix):
    def found(values):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(tmp_path / f"a.{suffix}"))
        return read_seed_file(tmp_path / f"a.{suffix}")

    blurred = SimpleITK.GetArrayFromImage(
        SimpleITK.DiscreteGaussian(SimpleITK.GetImageFromArray(LABELS.astype(np.float32)), [1.0, 1.0, 0.0])
    )
    read = found(blurred.astype(np.float32))
    assert read.remarks == ("0.5 and up of a map of probabilities",)
    assert (read.masks[2] > 0).sum() == pytest.approx(LABELS[2].sum(), rel=0.05)
    two = np.where(LABELS > 0, 127, 0).astype(np.uint8)
    two[2, 30:36, 5:15] = 255
    assert sorted(np.unique(found(two).masks[2])) == [0, 1, 2]
    with pytest.raises(SeedError, match="100% of the frame"):
        found(np.full((2, 40, 56), 1, np.uint8))


def segmentation(path, layers, directions, origin, reference):
    """A .seg.nrrd with one layer a segment; arrays are (Z, Y, X), the reference image's size is (X, Y, Z)."""
    depth, rows, columns = layers[0].shape
    vectors = " ".join(f"({','.join(map(str, one))})" for one in directions)
    lines = [
        "NRRD0004",
        "type: unsigned char",
        "dimension: 4",
        "space: left-posterior-superior",
        f"sizes: {len(layers)} {columns} {rows} {depth}",
        f"space directions: none {vectors}",
        "kinds: list domain domain domain",
        "encoding: raw",
        f"space origin: ({','.join(map(str, origin))})",
    ]
    for number in range(len(layers)):
        lines += [
            f"Segment{number}_ID:=S{number}",
            f"Segment{number}_Layer:={number}",
            f"Segment{number}_Name:=S{number}",
        ]
    extent = ";".join(f"0;{size - 1}" for size in reference)
    lines += [
        f"Segmentation_ConversionParameters:=Reference image geometry|1;0;0;0;0;1;0;0;0;0;1;0;0;0;0;1;{extent};|x",
        "Segmentation_MasterRepresentation:=Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
    ]
    path.write_bytes(("\n".join(lines) + "\n\n").encode() + np.stack(layers, axis=-1).tobytes())
    return path


def test_segments_in_layers_of_several_slices_land_in_the_cine(tmp_path, cine):
    second = np.roll(LABELS, 12, axis=1)
    spacing = ((0.2, 0, 0), (0, 0.3, 0), (0, 0, 1))
    same = segmentation(tmp_path / "a.seg.nrrd", [LABELS, second], spacing, (5, -7, 3), (56, 40, 6))
    own = segmentation(tmp_path / "b.seg.nrrd", [LABELS, second], spacing, (0, 0, 0), (56, 40, 6))
    flipped = segmentation(
        tmp_path / "c.seg.nrrd",
        [np.ascontiguousarray(one[:, :, ::-1]) for one in (LABELS, second)],
        ((-0.2, 0, 0), *spacing[1:]),
        (5 + 55 * 0.2, -7, 3),
        (56, 40, 6),
    )
    for path in (same, own, flipped):
        read = seeds_from_file(path, cine, 0, "Lesion")
        assert read.read_as == ("" if path is not flipped else "put on the cine's pixels by its place in space")
        found = {(name, frame): mask for name, frame, mask in read.found}
        assert sorted(found) == [("S0", 2), ("S0", 3), ("S1", 2), ("S1", 3)]
        np.testing.assert_array_equal(found["S0", 2], LABELS[2] > 0)
        np.testing.assert_array_equal(found["S1", 3], (second[3] > 0) & (LABELS[3] == 0))
    assert sorted(read_seed_file(flipped).masks) == [2, 3]  # without a cine: as stored


def test_a_file_that_says_its_frames_itself_is_not_put_on_the_named_one_without_a_word(tmp_path, cine):
    stack = image_of(LABELS)
    read = seeds(tmp_path, stack, cine, frame=4)
    check(read)
    assert read.read_as == "on the frames that the file itself says, not on frame 4"
    for frame in (0, 2):  # none named, and one of the file's own
        assert seeds(tmp_path, stack, cine, frame=frame).read_as == ""
