import hashlib
import json

import numpy as np
import pytest

from UltrasoundLesionSegLib.cine import Origin
from UltrasoundLesionSegLib.writers.coco import bounding_box, compress, run_lengths, write_coco


def expand(counts, size):
    """Read compressed run lengths, written from COCO's description and independent of the writer."""
    lengths: list[int] = []
    position = 0
    while position < len(counts):
        number, shift = 0, 0
        while True:
            group = ord(counts[position]) - 48
            position += 1
            number |= (group & 31) << shift
            shift += 5
            if not group & 32:
                break
        if group & 16:
            number -= 1 << shift
        if len(lengths) > 2:
            number += lengths[-2]
        lengths.append(number)
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(size[::-1]).T


NOISE = np.random.default_rng(3).random((7, 9)) > 0.5


# strings that pycocotools 2.0 gives for these masks
@pytest.mark.parametrize(
    ("mask", "string"),
    [
        (np.zeros((5, 4), bool), "d0"),
        (np.ones((5, 4), bool), "0d0"),
        (NOISE, "221030M000000O100000O00001221MM40L10"),
    ],
)
def test_run_lengths_are_those_of_pycocotools(mask, string):
    assert compress(run_lengths(mask)) == string
    np.testing.assert_array_equal(expand(string, mask.shape), mask)


def test_a_large_mask_has_pycocotools_string():
    rows, columns = np.mgrid[:600, :800]
    mask = ((rows - 250) / 60) ** 2 + ((columns - 400) / 90) ** 2 <= 1
    string = compress(run_lengths(mask))
    assert string.startswith("Zle51_b0`0D8I6K4L4L4L4M2M4M2N2N2M4M2N2N2N2N2O0O2N2N2N2O0O")
    assert hashlib.sha256(string.encode()).hexdigest() == (
        "4e8f1f1fee712594dd2ebfccdde9600b81d9c6231b352a62ff0ba2d549eaeb29"
    )


def test_random_masks_read_back():
    random = np.random.default_rng(0)
    for _ in range(30):
        mask = random.random(random.integers(1, 40, 2)) > random.random()
        np.testing.assert_array_equal(expand(compress(run_lengths(mask)), mask.shape), mask)


def masks(frame):
    """Two overlapping lesions, none on frame 1."""
    stack = np.zeros((2, 20, 30), bool)
    if frame != 1:
        stack[0, 2:8, 3:13] = True
        stack[1, 5:15, 10:14] = True
    return stack


def test_file(tmp_path):
    confidence = np.array([[0.5, np.nan, 0.25], [np.nan, np.nan, 0.75]], np.float32)
    origins = [[Origin.MANUAL, None, Origin.MODEL], [None, None, Origin.EDITED]]
    target = write_coco(tmp_path / "masks.json", masks, 3, ["Lesion", "Cyst"], "cine-12345678", confidence, origins)
    content = json.loads(target.read_text())
    assert [image["frame_id"] for image in content["images"]] == [0, 1, 2]
    assert content["images"][2]["file_name"] == "00002.png"
    assert (content["images"][0]["width"], content["images"][0]["height"]) == (30, 20)
    assert content["videos"] == [{"id": 1, "name": "cine-12345678", "length": 3}]
    assert [track["name"] for track in content["tracks"]] == ["Lesion", "Cyst"]

    found = content["annotations"]
    assert [(one["image_id"], one["track_id"]) for one in found] == [(1, 1), (1, 2), (3, 1), (3, 2)]
    assert [one["id"] for one in found] == [1, 2, 3, 4]
    assert content["categories"] == [{"id": 1, "name": "lesion", "supercategory": "lesion"}]  # of any organ
    assert {one["category_id"] for one in found} == {1}
    assert [one.get("score") for one in found] == [0.5, None, 0.25, 0.75]
    assert [one.get("origin") for one in found] == ["manual", None, "model", "edited"]
    for one in found:
        mask = masks(one["image_id"] - 1)[one["track_id"] - 1]
        np.testing.assert_array_equal(expand(one["segmentation"]["counts"], one["segmentation"]["size"]), mask)
        assert one["area"] == mask.sum()
        assert one["bbox"] == bounding_box(mask)
    assert found[1]["bbox"] == [10, 5, 4, 10]


def test_a_clip_without_a_lesion_has_images_and_no_annotations(tmp_path):
    content = json.loads(write_coco(tmp_path / "m.json", lambda frame: masks(1), 2, ["Lesion"], "cine-0").read_text())
    assert len(content["images"]) == 2
    assert content["annotations"] == []
