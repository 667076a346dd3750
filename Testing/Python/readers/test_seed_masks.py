"""Seeds from pictures, label volumes and Slicer's segmentations."""

import numpy as np
import pytest
import SimpleITK
from PIL import Image
from source_makers import PLANTED

from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.readers.seed_masks import read_seed_file

LABELS = np.zeros((30, 40), np.uint8)
LABELS[5:12, 6:20] = 1
LABELS[15:22, 25:38] = 2
BINARY = (LABELS > 0).astype(np.uint8)


def save(path, image):
    image.save(path)
    return path


def only(path):
    found = read_seed_file(path)
    assert list(found.masks) == [None]
    assert found.masks[None].dtype == np.uint8
    return found.masks[None]


def palette(labels):
    image = Image.fromarray(labels).convert("P")
    image.putdata(labels.ravel().tolist())
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759)
    return image


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_grey_pictures(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    np.testing.assert_array_equal(only(save(path, Image.fromarray(LABELS))), LABELS)
    np.testing.assert_array_equal(only(save(path, Image.fromarray(BINARY * 255))), BINARY)
    np.testing.assert_array_equal(only(save(path, Image.fromarray(LABELS * 127))), LABELS)  # 127 and 254 are two


def test_other_kinds_of_pictures(tmp_path):
    path = tmp_path / "a.png"
    np.testing.assert_array_equal(only(save(path, palette(LABELS))), LABELS)
    np.testing.assert_array_equal(only(save(path, Image.fromarray(LABELS > 0))), BINARY)
    np.testing.assert_array_equal(only(save(path, Image.fromarray(BINARY.astype(np.uint16) * 65535))), BINARY)
    red = np.dstack([BINARY * 200, BINARY * 0, BINARY * 0])
    np.testing.assert_array_equal(only(save(path, Image.fromarray(red))), BINARY)
    painted = np.dstack([np.full_like(BINARY, 255), BINARY * 0, BINARY * 0, BINARY * 120])
    np.testing.assert_array_equal(only(save(path, Image.fromarray(painted))), BINARY)
    opaque = np.dstack([BINARY * 255] * 3 + [np.full_like(BINARY, 255)])
    np.testing.assert_array_equal(only(save(path, Image.fromarray(opaque))), BINARY)


def test_a_jpeg_mask_is_cut_in_the_middle(tmp_path):
    mask = only(save(tmp_path / "a.jpg", Image.fromarray(BINARY * 255)))
    assert (mask != BINARY).mean() < 0.01


@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii.gz"])
def test_label_volumes(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"

    def write(labels):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(labels), str(path))
        return path

    np.testing.assert_array_equal(only(write(LABELS)), LABELS)
    np.testing.assert_array_equal(only(write(LABELS[np.newaxis].astype(np.int16))), LABELS)
    np.testing.assert_array_equal(only(write(BINARY.astype(np.float32) * 255)), BINARY)
    stack = np.stack([LABELS * 0, LABELS, LABELS * 0, LABELS // 2])
    found = read_seed_file(write(stack))
    assert sorted(found.masks) == [1, 3]
    np.testing.assert_array_equal(found.masks[1], LABELS)
    np.testing.assert_array_equal(found.masks[3], LABELS // 2)  # lesion 2 has become lesion 1 by its value


def segmentation(path, arrays, segments, offset=(0, 0, 0), reference=(40, 30, 1), compress=True):
    """A .seg.nrrd as 3D Slicer 5.x writes it; arrays are one (Z, Y, X) label map a layer."""
    layers = np.stack(arrays, axis=-1)
    depth, rows, columns = layers.shape[:3]
    is_layered = len(arrays) > 1
    geometry = "-0.08;0;0;0;0;-0.1;0;0;0;0;1;0;0;0;0;1;0;{};0;{};0;{};".format(*(size - 1 for size in reference))
    lines = [
        "NRRD0004",
        "# Complete NRRD file format specification at:",
        "type: unsigned char",
        f"dimension: {3 + is_layered}",
        "space: left-posterior-superior",
        f"sizes: {f'{len(arrays)} ' if is_layered else ''}{columns} {rows} {depth}",
        f"space directions: {'none ' if is_layered else ''}(0.08,0,0) (0,0.1,0) (0,0,1)",
        f"kinds: {'list ' if is_layered else ''}domain domain domain",
        f"encoding: {'gzip' if compress else 'raw'}",
        "space origin: (0,0,0)",
    ]
    for number, (name, layer, value) in enumerate(segments):
        lines += [
            f"Segment{number}_ID:=Segment_{number + 1}",
            f"Segment{number}_LabelValue:={value}",
            f"Segment{number}_Layer:={layer}",
            f"Segment{number}_Name:={name}",
        ]
    conversion = f"Decimation factor|0.0|x&Reference image geometry|{geometry if reference[0] else ''}|y&Joint|0|z&"
    lines += [
        f"Segmentation_ConversionParameters:={conversion}",
        "Segmentation_MasterRepresentation:=Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset:={} {} {}".format(*offset),
    ]
    data = layers.astype(np.uint8).tobytes()
    if compress:
        import gzip

        data = gzip.compress(data)
    path.write_bytes(("\n".join(lines) + "\n\n").encode() + data)
    return path


def test_segments_keep_their_names_and_order(tmp_path):
    stored = np.where(LABELS == 1, 7, np.where(LABELS == 2, 3, 0))[np.newaxis]
    segments = [("Cyst: left", 0, 3), ("Mass", 0, 7), ("Not drawn", 0, 9)]
    found = read_seed_file(segmentation(tmp_path / "a.seg.nrrd", [stored], segments))
    assert found.names == {1: "Cyst: left", 2: "Mass", 3: "Not drawn"}
    np.testing.assert_array_equal(found.masks[None] == 1, LABELS == 2)
    np.testing.assert_array_equal(found.masks[None] == 2, LABELS == 1)


def test_layers_may_overlap_and_the_first_segment_wins(tmp_path):
    first, second = np.zeros((2, 1, 30, 40), np.uint8)
    first[0, 5:15, 5:15] = 1
    second[0, 10:20, 10:20] = 1
    found = read_seed_file(segmentation(tmp_path / "a.seg.nrrd", [first, second], [("A", 0, 1), ("B", 1, 1)]))
    np.testing.assert_array_equal(found.masks[None] == 1, first[0] == 1)
    np.testing.assert_array_equal(found.masks[None] == 2, (second[0] == 1) & (first[0] == 0))


@pytest.mark.parametrize("compress", [False, True])
def test_a_cropped_label_map_lands_where_it_belongs(tmp_path, compress):
    cropped = LABELS[np.newaxis, 4:24, 5:39]
    path = segmentation(tmp_path / "a", [cropped], [("A", 0, 1), ("B", 0, 2)], offset=(5, 4, 0), compress=compress)
    np.testing.assert_array_equal(only(path), LABELS)


def test_a_crop_without_reference_needs_the_size_of_the_cine(tmp_path):
    cropped = LABELS[np.newaxis, 4:24, 5:39]
    path = segmentation(tmp_path / "a", [cropped], [("A", 0, 1), ("B", 0, 2)], (5, 4, 0), (0, 0, 0))
    np.testing.assert_array_equal(read_seed_file(path, (30, 40)).masks[None], LABELS)
    assert read_seed_file(path).masks[None].shape == (24, 39)


def test_slices_of_a_segmentation_are_frames(tmp_path):
    cropped = np.stack([LABELS, LABELS * 0, LABELS])[:, :25]
    path = segmentation(tmp_path / "a", [cropped], [("A", 0, 1), ("B", 0, 2)], (0, 0, 4), (40, 30, 9))
    found = read_seed_file(path)
    assert sorted(found.masks) == [4, 6]
    np.testing.assert_array_equal(found.masks[6][:25], LABELS[:25])


def test_what_is_painted_beside_the_image_is_left_out(tmp_path):
    path = segmentation(tmp_path / "a", [LABELS[np.newaxis]], [("A", 0, 1), ("B", 0, 2)], (-10, 0, 0))
    np.testing.assert_array_equal(only(path)[:, :30], LABELS[:, 10:])


@pytest.mark.parametrize(
    "make",
    [
        lambda path: save(path, Image.fromarray(LABELS * 0)),
        lambda path: segmentation(path, [LABELS[np.newaxis]], [("A", 0, 9)]),
    ],
)
def test_empty_seeds_are_refused(tmp_path, make):
    with pytest.raises(SeedError, match="seed is empty"):
        read_seed_file(make(tmp_path / "a.png"))


def test_empty_label_volumes_are_refused(tmp_path):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.zeros((3, 30, 40), np.uint8)), str(tmp_path / "a.nrrd"))
    with pytest.raises(SeedError, match="seed is empty"):
        read_seed_file(tmp_path / "a.nrrd")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"text" * 50, "no mask file"),
        (b'{"version": "5.0", "shapes": []}', "as which annotation programs export outlines"),
        (b"", "no mask file"),
        (bytes(128) + b"DICM" + bytes(50), "no mask file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), "picture is damaged"),
        (b"NRRD0004\ntype: uint8\nsizes: 4 x\n\n", "header is damaged"),
        (b"NRRD0004\ntype: uint8\nsizes: 40 30 1\nencoding: raw\n\n" + bytes(60), "cut off"),
        (
            b"NRRD0004\ntype: uint8\nsizes: 40 30 1\nencoding: gzip\nSegment0_ID:=a\n\n" + bytes(60),
            "damaged or cut off",
        ),
        (
            b"NRRD0004\ntype: uint8\nsizes: 4 3 1\nencoding: raw\nSegment0_ID:=a\nSegment0_Layer:=7\n\n" + bytes(12),
            "layer",
        ),
        (
            b"NRRD0004\ntype: uint8\nsizes: 4 3 1\nencoding: raw\nSegment0_ID:=a\nSegment0_Layer:=q\n\n" + bytes(12),
            "damaged",
        ),
    ],
)
def test_what_is_no_mask_is_refused_in_one_sentence(tmp_path, content, words):
    path = tmp_path / f"{PLANTED}.png"
    path.write_bytes(content)
    with pytest.raises(SeedError, match=words) as caught:
        read_seed_file(path)
    assert PLANTED not in str(caught.value)


def test_values_that_are_no_labels_are_refused(tmp_path):
    path = str(tmp_path / "a.nrrd")
    for values, words in (
        (LABELS.astype(np.float32) / 3, "no labels"),
        (-LABELS.astype(np.int16), "no labels"),
        (np.arange(1200, dtype=np.int16).reshape(30, 40), "256 grey levels and no even area"),
    ):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), path)
        with pytest.raises(SeedError, match=words):
            read_seed_file(path)


def test_a_missing_seed_says_so_without_its_path(tmp_path):
    with pytest.raises(SeedError, match="the seed cannot be read") as caught:
        read_seed_file(tmp_path / PLANTED)
    assert PLANTED not in str(caught.value)


@pytest.mark.parametrize("is_cropped", [False, True])
def test_a_file_that_slicer_itself_writes(tmp_path, is_cropped):
    slicer = pytest.importorskip("slicer")
    vtk = pytest.importorskip("vtk")
    from vtk.util.numpy_support import numpy_to_vtk

    scene = slicer.vtkMRMLScene()
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 0, -0.08)
    matrix.SetElement(1, 1, -0.1)
    whole = vtk.vtkImageData()
    whole.SetDimensions(40, 30, 1)
    whole.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    node = slicer.vtkMRMLSegmentationNode()
    scene.AddNode(node)
    conversion = slicer.vtkSegmentationConverter
    node.GetSegmentation().SetConversionParameter(
        conversion.GetReferenceImageGeometryParameterName(), conversion.SerializeImageGeometry(matrix, whole)
    )
    cropped = slicer.vtkOrientedImageData()
    cropped.SetGeometryFromImageToWorldMatrix(matrix)
    cropped.SetExtent(6, 37, 5, 21, 0, 0)
    values = np.ascontiguousarray(LABELS[5:22, 6:38]).ravel()
    cropped.GetPointData().SetScalars(numpy_to_vtk(values, deep=True, array_type=vtk.VTK_UNSIGNED_CHAR))
    for label, name in ((1, "Mass"), (2, "Cyst")):
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetLabelValue(label)
        segment.AddRepresentation("Binary labelmap", cropped)
        node.GetSegmentation().AddSegment(segment, name)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    scene.AddNode(storage)
    storage.SetCropToMinimumExtent(is_cropped)
    storage.SetFileName(str(tmp_path / "a.seg.nrrd"))
    assert storage.WriteData(node)
    found = read_seed_file(tmp_path / "a.seg.nrrd")
    assert found.names == {1: "Mass", 2: "Cyst"}
    np.testing.assert_array_equal(found.masks[None], LABELS)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_masks_that_the_writer_of_an_animation_merged_are_on_their_frames(tmp_path, kind):
    masks = np.zeros((7, 40, 60), np.uint8)
    masks[1:4, 10:20, 10:20] = 255
    masks[5, 20:30, 30:40] = 255
    pictures = [Image.fromarray(one) for one in masks]
    options = {"lossless": True} if kind == "WEBP" else {}
    pictures[0].save(tmp_path / "a", kind, save_all=True, append_images=pictures[1:], duration=40, **options)
    found = read_seed_file(tmp_path / "a", count=7)
    assert sorted(found.masks) == [1, 2, 3, 5]
    for frame, labels in found.masks.items():
        np.testing.assert_array_equal(labels > 0, masks[frame] > 0)
    other = read_seed_file(tmp_path / "a", count=20)
    assert sorted(other.masks) == [1, 3]
    assert "where equal ones were merged" in other.remarks[-1]


def test_masks_of_an_animation_as_long_as_the_cine_are_on_the_frames_of_their_numbers(tmp_path):
    masks = np.zeros((3, 40, 60), np.uint8)
    masks[1, 10:20, 10:20] = 255
    pictures = [Image.fromarray(one) for one in masks]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=[40, 40, 2000])
    found = read_seed_file(tmp_path / "a.gif", count=3)
    assert (sorted(found.masks), found.remarks) == ([1], ())
