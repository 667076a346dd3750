"""Masks, overlays and previews among the frames of a folder are no frames."""

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from source_makers import PLANTED, moving_frames

from UltrasoundLesionSegLib.errors import FrameError
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.picture_choice import looks_like_mask

FRAMES = moving_frames(6)
MASKS = (FRAMES > 110).astype(np.uint8) * 255


def save(folder, name, picture, **options):
    folder.mkdir(exist_ok=True)
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(folder / name, **options)


def folder_of(tmp_path, frame_names):
    folder = tmp_path / PLANTED
    for frame, name in zip(FRAMES, frame_names, strict=True):
        save(folder, name, frame)
    return folder


def check(folder, *notes, count=6):
    cine = read_cine(folder)
    np.testing.assert_array_equal(np.stack(list(cine)), FRAMES[:count])
    assert cine.notes == notes


MASKS_NOTE = "{} masks among the pictures of the folder left out: no frames of the cine."
ONE_MASK = "1 mask among the pictures of the folder left out: no frames of the cine."


@pytest.mark.parametrize(
    ("frame", "mask"),
    [
        ("frame_{}.png", "frame_{}_mask.png"),
        ("malignant ({}).png", "malignant ({})_mask.png"),
        ("{:03}.png", "{:03}_seg.png"),
        ("{:03}.jpg.png", "{:03}.jpg_Segmentation.png"),
        ("img{}.png", "mask_img{}.png"),
        ("img_{}.png", "label_{}.png"),
        ("image-{}.png", "image-{}-gt.png"),
        ("{}.png", "{}.mask.png"),
        ("a{}.png", "a{}_lesion_mask.bmp"),
    ],
)
def test_masks_beside_their_frames(tmp_path, frame, mask):
    folder = folder_of(tmp_path, [frame.format(index) for index in range(6)])
    for index in range(6):
        save(folder, mask.format(index), MASKS[index])
    check(folder, MASKS_NOTE.format(6))


@pytest.mark.parametrize(
    ("frame", "mask"),
    [
        ("{}.jpg", "{}.png"),
        ("frame_{}.png", "frame_{}.bmp"),
        ("frame_{}.png", "m{}.png"),
        ("frame_{}.png", "frame_{}_L.png"),
        ("frame_{}.png", "frame_{}_1.png"),
        ("frame_{}.png", "frame_{}_lesion.png"),
        ("frame_{}.png", "frame_{}_masque.png"),
    ],
)
def test_a_set_of_masks_under_other_names(tmp_path, frame, mask):
    """As many masks as frames, whatever tells them apart; some without a lesion."""
    folder = tmp_path / PLANTED
    for index in range(6):
        save(folder, frame.format(index), FRAMES[index])
        save(folder, mask.format(index), MASKS[index] * (index % 3 != 1))
    cine = read_cine(folder)
    assert np.abs(np.stack(list(cine)).astype(int) - FRAMES).mean() < 3
    assert cine.notes == (MASKS_NOTE.format(6),)


def test_names_that_are_all_different_set_nothing_apart(tmp_path):
    folder = folder_of(tmp_path, ["1a.png", "1b.png", "1c.png", "1d.png", "1e.png", "1f.png"])
    save(folder, "1g.png", MASKS[2])  # as a dark frame with writing on it
    assert len(read_cine(folder)) == 7


def test_empty_masks_and_several_a_frame(tmp_path):
    folder = folder_of(tmp_path, [f"benign ({index}).png" for index in range(6)])
    for index in range(6):
        save(folder, f"benign ({index})_mask.png", np.zeros_like(MASKS[index]))
    save(folder, "benign (3)_mask_1.png", MASKS[3])
    save(folder, "benign (3)_mask_2.png", MASKS[3])
    check(folder, MASKS_NOTE.format(8))


def test_one_picture_and_its_mask_is_one_frame(tmp_path):
    save(tmp_path, "malignant (1).png", FRAMES[0])
    save(tmp_path, "malignant (1)_mask.png", MASKS[0])
    check(tmp_path, ONE_MASK, count=1)


@pytest.mark.parametrize(
    ("name", "mask"),
    [
        ("seed.png", MASKS[2]),
        ("lesion.bmp", MASKS[2] > 0),
        ("Untitled.png", (MASKS[2] > 0).astype(np.uint8)),
        ("painted.png", np.dstack([np.full_like(MASKS[2], 255)] * 3 + [MASKS[2]])),
        ("mask of frame 2.jpg", MASKS[2]),
    ],
)
def test_a_seed_saved_among_the_frames_is_recognised(tmp_path, name, mask):
    folder = folder_of(tmp_path, [f"{index:05}.png" for index in range(6)])
    save(folder, name, mask)
    check(folder, ONE_MASK)


def test_a_seed_with_a_palette_among_numbered_frames(tmp_path):
    folder = folder_of(tmp_path, [f"{index}.png" for index in range(6)])
    image = Image.fromarray((MASKS[2] > 0).astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0])
    save(folder, "6.png", image)
    check(folder, ONE_MASK)


def test_a_seed_that_is_named_is_no_frame_whatever_it_looks_like(tmp_path):
    folder = folder_of(tmp_path, [f"{index}.png" for index in range(6)])
    save(folder, "6.png", FRAMES[0])
    assert len(read_cine(folder)) == 7
    cine = read_cine(folder, leave_out=[folder / ".." / folder.name / "6.png"])
    assert (len(cine), cine.notes) == (6, (ONE_MASK,))


def test_overlays_and_previews_are_counted_by_kind(tmp_path):
    folder = folder_of(tmp_path, [f"frame_{index}.png" for index in range(6)])
    for index in range(6):
        save(folder, f"frame_{index}_overlay.png", FRAMES[index])
        save(folder, f"thumb_frame_{index}.png", FRAMES[index, ::4, ::4])
    save(folder, "frame_0_mask.png", MASKS[0])
    note = "1 mask and 6 overlays and 6 previews among the pictures of the folder left out: no frames of the cine."
    check(folder, note)


def test_a_picture_of_another_name_and_size_is_left_out(tmp_path):
    folder = folder_of(tmp_path, [f"frame_{index}.png" for index in range(6)])
    save(folder, "cover.png", moving_frames(1, 80, 90)[0])
    assert len(read_cine(folder)) == 6
    assert "left out" in read_cine(folder).notes[0]


def test_a_frame_of_another_size_keeps_its_place(tmp_path):
    folder = tmp_path / "frames"
    for index, frame in enumerate(moving_frames(12)):
        save(folder, f"{index}.png", frame if index != 4 else frame[:20])
    cine = read_cine(folder)
    assert len(cine) == 12
    with pytest.raises(FrameError, match="frame 4"):
        cine.frames[4]


def test_frames_that_only_look_odd_are_frames(tmp_path):
    """Black frames, another suffix or name, words of masks in every name, two levels in every picture."""
    folder = folder_of(tmp_path, [f"{index}.png" for index in range(5)] + ["last one.bmp"])
    check(folder, "1 of the 6 pictures has no number in the name: it is a frame in the order of names.")
    black = tmp_path / "black"
    for index in range(6):
        save(black, f"{index}.png", FRAMES[index] * (index != 3))
    assert len(read_cine(black)) == 6
    words = tmp_path / "words"
    for index in range(6):
        save(words, f"mask_{index}.png", FRAMES[index])
    assert len(read_cine(words)) == 6
    annotations = tmp_path / "annotations"
    for index in range(6):
        save(annotations, f"{index}.png", MASKS[index])
    assert len(read_cine(annotations)) == 6


def test_what_file_managers_leave_is_no_frame(tmp_path):
    folder = folder_of(tmp_path, [f"{index}.png" for index in range(6)])
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    (folder / "._0.png").write_bytes(b"\0\5\x16\7" + bytes(100))
    (folder / ".DS_Store").write_bytes(bytes(100))
    (folder / "desktop.ini").write_text("[.ShellClassInfo]\n")
    save(folder, ".hidden.png", FRAMES[0])
    check(folder)


def test_the_input_from_the_field(shared_data):
    cine = read_cine(shared_data / "field" / "34_masks_between_the_frames" / "frames")
    base = read_cine(shared_data / "field" / "00_base" / "base.dcm")
    np.testing.assert_array_equal(np.stack(list(cine)), np.stack(list(base)))
    assert cine.notes == (MASKS_NOTE.format(6),)


@pytest.mark.parametrize("name", ["chosen.png", "a look at the lesion.png", "frame_2_by_hand.jpg"])
@pytest.mark.parametrize("is_stored_as_rgb", [False, True])
def test_a_frame_with_something_drawn_upon_it_under_any_name(tmp_path, name, is_stored_as_rgb):
    folder = tmp_path / PLANTED
    for index, frame in enumerate(FRAMES):
        save(folder, f"frame_{index}.png", np.dstack([frame] * 3) if is_stored_as_rgb else frame)
    drawn = np.dstack([FRAMES[2]] * 3)
    drawn[MASKS[2] > 0] = (255, 0, 0)
    save(folder, name, drawn)
    check(folder, "1 overlay among the pictures of the folder left out: no frames of the cine.")


def test_colour_flow_in_some_frames_is_no_overlay(tmp_path):
    folder = tmp_path / PLANTED
    for index, frame in enumerate(FRAMES):
        picture = np.dstack([frame] * 3)
        if index > 3:
            picture[10:20, 10:20] = (200, 20, 20)
        save(folder, f"frame_{index}.png", picture)
    cine = read_cine(folder)
    assert (len(cine), cine.is_color, cine.notes) == (6, True, ())


def test_one_picture_of_another_size_and_name_in_good_english(tmp_path):
    folder = folder_of(tmp_path, [f"frame_{index}.png" for index in range(6)])
    save(folder, "logo.png", FRAMES[0][:20])
    check(
        folder, "1 picture of another size and name among the pictures of the folder left out: no frames of the cine."
    )


@pytest.mark.parametrize("name", ["f3 (1).png", "f3 - Copy.png", "f3 copy 2.png", "f3_copy.png", "f3 - Kopie.png"])
def test_a_copy_of_a_frame_is_no_frame(tmp_path, name):
    folder = folder_of(tmp_path, [f"f{index}.png" for index in range(6)])
    (folder / name).write_bytes((folder / "f3.png").read_bytes())
    check(folder, "1 copy among the pictures of the folder left out: no frames of the cine.")


def test_another_picture_under_the_name_of_a_copy_is_a_frame(tmp_path):
    folder = folder_of(tmp_path, [f"f{index}.png" for index in range(6)])
    save(folder, "f3 (1).png", FRAMES[4])
    assert len(read_cine(folder)) == 7


@pytest.mark.parametrize("other", ["f{}.jpg", "g{}.png"])
def test_every_frame_in_two_versions(tmp_path, other):
    folder = folder_of(tmp_path, [f"f{index}.png" for index in range(6)])
    for index, frame in enumerate(FRAMES):
        drawn = np.dstack([frame] * 3)
        if other.endswith("png"):
            drawn[MASKS[index] > 0] = (255, 0, 0)
        save(folder, other.format(index), drawn if other.endswith("png") else frame)
    kind = "overlays" if other.endswith("png") else "copies"
    check(folder, f"6 {kind} among the pictures of the folder left out: no frames of the cine.")


def test_two_sets_of_different_pictures_are_all_frames(tmp_path):
    folder = folder_of(tmp_path, [f"a{index}.png" for index in range(6)])
    for index, frame in enumerate(FRAMES):
        save(folder, f"b{index}.jpg", 255 - frame)
    assert len(read_cine(folder)) == 12


@pytest.mark.parametrize("is_mask_first", [False, True])
def test_masks_that_follow_their_frames_number_by_number(tmp_path, is_mask_first):
    for index in range(6):
        save(tmp_path / "a", f"{2 * index + is_mask_first}.png", FRAMES[index])
        save(tmp_path / "a", f"{2 * index + 1 - is_mask_first}.png", MASKS[index] * (index > 0))
    cine = read_cine(tmp_path / "a")
    np.testing.assert_array_equal(np.stack(list(cine)), FRAMES)
    assert cine.notes[-1] == MASKS_NOTE.format(6)


def test_neighbours_of_a_simple_picture_are_frames_though_every_second_one_looks_like_a_mask(tmp_path):
    rows, columns = np.mgrid[:64, :200]
    folder = tmp_path / PLANTED
    folder.mkdir()
    for frame in range(12):  # its edges meet the blocks of JPEG on every second frame
        lesion = (rows - 32) ** 2 + (columns - 30 - 4 * frame) ** 2 < 15**2
        picture = np.where(lesion, 60, 140).astype(np.uint8)
        cv2.imwrite(str(folder / f"{frame:05}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
    looks = [looks_like_mask(path) for path in sorted(folder.iterdir())]
    assert looks == [True, False] * 6
    cine = read_cine(folder)
    assert (len(cine), cine.notes) == (12, ())


@pytest.mark.parametrize("mask", ["m{}.png", "f{}_.png"])
@pytest.mark.parametrize("largest", [4095, 65535])
def test_masks_among_frames_of_more_than_eight_bits(tmp_path, mask, largest):
    """Cut at 255, frames of 12 bits are white nearly everywhere, as masks are."""
    folder, smooth = tmp_path / PLANTED, [cv2.GaussianBlur(frame, (0, 0), 3) for frame in moving_frames(6, 120, 150)]
    for index, frame in enumerate(smooth):
        deep = (frame // 2 + 60).astype(np.uint32) * largest // 255
        deep[:, :8] = 0
        save(folder, f"f{index}.png", deep.astype(np.uint16))
        save(folder, mask.format(index), (frame > 110).astype(np.uint16) * largest)
    cine = read_cine(folder)
    assert len(cine) == 6
    assert MASKS_NOTE.format(6) in cine.notes


@pytest.mark.parametrize("is_imagej", [True, False])
def test_a_stack_of_masks_may_begin_with_frames_without_lesion(tmp_path, is_imagej):
    masks = np.concatenate([np.zeros_like(MASKS[:3]), MASKS])
    tifffile.imwrite(tmp_path / "masks.tif", masks, imagej=is_imagej)
    assert looks_like_mask(tmp_path / "masks.tif")
    tifffile.imwrite(tmp_path / "frames.tif", np.concatenate([masks[:3], FRAMES]), imagej=is_imagej)
    assert not looks_like_mask(tmp_path / "frames.tif")
