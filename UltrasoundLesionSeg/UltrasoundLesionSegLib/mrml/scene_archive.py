"""What is inside a .mrb file, checked before Slicer unpacks it.

Slicer writes the members of the archive wherever their names point, outside the folder it unpacks into too, and reads
whatever files the scene names. So nothing of an archive reaches it that has not been looked at here.
"""

from __future__ import annotations

import io
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import unquote
from xml.etree import ElementTree

from UltrasoundLesionSegLib.readers.sniff import Format
from UltrasoundLesionSegLib.readers.volume_headers import read_volume_header

_DEEPEST = 2  # a scene that holds a segmentation sequence, which is an archive again
_LARGEST_SCENE = 2**28  # bytes of XML
_LARGEST_INNER = 2**31  # bytes of an archive or a segmentation within the archive, which are held in memory
_KEPT_FREE = 2**28


def is_sound(archive: Path | IO[bytes], depth: int = 0, with_images: bool = True) -> bool:
    """Check that a .mrb is complete and stays within itself.

    Every byte is checked against its checksum, and each file that the scene names is in the archive. No member's name
    leaves the archive's folder, none is a link, nothing is fetched from elsewhere, and all of it fits on the disk.
    Archives within it (segmentation sequences) are checked alike: Slicer writes an empty one silently when the
    node's name has brackets.

    Parameters
    ----------
    archive : Path or binary file
    depth : int
        How many archives this one is within.
    with_images : bool
        Whether the segmentations in it are read too; not needed for an archive that Slicer has just written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            return _stays_inside(opened) and _is_complete(opened, depth, with_images)
    except Exception:  # zipfile, zlib, ITK and the XML parser raise whatever the damage leads to
        return False


def _stays_inside(archive: zipfile.ZipFile) -> bool:
    members = archive.infolist()
    for one in members:
        path = PurePosixPath(one.filename)
        leaves = path.is_absolute() or ".." in path.parts or "\\" in one.filename or one.filename[1:2] == ":"
        if leaves or "\0" in one.filename or stat.S_ISLNK(one.external_attr >> 16):
            return False
    # overlapping members can make a small archive expand to a large one; their sizes then exceed the file's
    stream = archive.fp
    assert stream is not None
    if sum(one.compress_size for one in members) > stream.seek(0, io.SEEK_END):
        return False
    return sum(one.file_size for one in members) < shutil.disk_usage(tempfile.gettempdir()).free - _KEPT_FREE


def _is_complete(archive: zipfile.ZipFile, depth: int, with_images: bool) -> bool:
    sizes = {one.filename: one.file_size for one in archive.infolist()}
    scenes = [name for name in sizes if name.endswith(".mrml") and name.count("/") == 1]
    if len(scenes) != 1 or sizes[scenes[0]] > _LARGEST_SCENE or archive.testzip() is not None:
        return False
    folder = scenes[0].rsplit("/", 1)[0]
    root = ElementTree.fromstring(archive.read(scenes[0]))
    for node in root.iter():
        if any("://" in text for name, text in node.items() if name.startswith("uri")):
            return False
        stored = [text for name, text in node.items() if name.startswith(("fileName", "fileListMember")) and text]
        if not all(f"{folder}/{unquote(text)}" in sizes for text in stored):
            return False
    for name, size in sizes.items():
        if name.lower().endswith(".mrb"):
            is_fine = depth < _DEEPEST and size < _LARGEST_INNER
            if not (is_fine and is_sound(io.BytesIO(archive.read(name)), depth + 1, with_images)):
                return False
        if (
            with_images
            and name.lower().endswith(".seg.nrrd")
            and not (size < _LARGEST_INNER and _is_image(archive.read(name)))
        ):
            return False
    return True


def _is_image(content: bytes) -> bool:
    """Whether ITK reads a segmentation's file: Slicer lets ITK's exception end the whole program when it does not."""
    # here, not above: the module's file, and Slicer's start with it, would load cv2 and SimpleITK
    import SimpleITK

    from UltrasoundLesionSegLib.readers.volume import VolumePixels

    with tempfile.TemporaryDirectory(prefix="ultrasound-") as folder:
        path = Path(folder) / "labels.seg.nrrd"
        path.write_bytes(content)
        header = read_volume_header(path, Format.NRRD)
        if header.data_bytes > _LARGEST_INNER or VolumePixels(path, header).available != header.data_bytes:
            return False
        SimpleITK.ReadImage(str(path), imageIO="NrrdImageIO")
    return True
