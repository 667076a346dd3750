"""Parts of a data set as bytes, as a file in explicit VR little endian holds them (PS3.5 7.1.2 and 7.5).

A long sequence is written from its items' bytes: pydicom looks through everything below a sequence once for each level
above it, which takes ten times as long for a report and holds the whole object in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

CHARACTER_SET = "ISO_IR 192"  # of every object of ours
_ITEM = b"\xfe\xff\x00\xe0"


def elements(dataset: Dataset) -> bytes:
    """Return the elements of a data set, in the order of their tags."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset, CHARACTER_SET)
    return bytes(buffer.getvalue())


def item(content: bytes) -> bytes:
    """Return a sequence item with these elements."""
    return _ITEM + struct.pack("<I", len(content)) + content


def sequence(keyword: str, items: Iterable[bytes]) -> bytes:
    """Return a sequence element with these items, made by ``item``."""
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    value = b"".join(items)
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"SQ", 0, len(value)) + value
