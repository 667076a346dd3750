"""Mutations: blind ones on bytes, and ones that know the format well enough to get past its first check."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from dicom_edits import edit_stored_element

Operation = Callable[[bytes, np.random.Generator], bytes]

NUMBERS = (0, 1, 2, 3, 5, 7, 15, 64, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
HOSTILE_TEXTS = (
    "",
    "-1",
    "0",
    "nan",
    "inf",
    "1e999",
    "-1e308",
    "99999999999999999999",
    "9" * 5000,
    "1\\2\\3",
    "\u00b2",
    "../../../../etc/passwd",
    "/etc/passwd",
    "a\0b",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "%s%n%d",
    "$(id)",
    "$import os",
    "@device",
    "\ud7ff\U0001f600",
    "a" * 70000,
    "none",
    "(",
    "((((" * 200,
    "LIST",
    "1 2 3",
    "True",
)
DICOM_KEYWORDS = (
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "PhotometricInterpretation", "PlanarConfiguration", "FrameTime", "FrameTimeVector"),
    *("CineRate", "EffectiveDuration", "WindowCenter", "WindowWidth", "RescaleSlope", "PixelSpacing"),
    *("SequenceOfUltrasoundRegions", "SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID"),
    *("InstanceNumber", "ContentTime", "AcquisitionDateTime", "SpecificCharacterSet", "PixelData", "Modality"),
    *("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "SegmentSequence", "SegmentationType"),
    *("MaximumFractionalValue", "ExtendedOffsetTable", "LossyImageCompression", "PatientID", "PatientSex", "StudyTime"),
)
DICOM_VALUES: tuple[Any, ...] = (
    None,
    0,
    1,
    2,
    3,
    4,
    5,
    8,
    16,
    32,
    65535,
    12,
    -1,
    1.5,
    [1, 2],
    ["a", "b"],
    b"\0\1",
    [],
    *HOSTILE_TEXTS,
)


@dataclass(frozen=True)
class Mutated:
    """A mutated input: its files, and the names of what was done to them."""

    files: dict[str, bytes]
    operations: tuple[str, ...]


def mutate(files: dict[str, bytes], others: list[bytes], rng: np.random.Generator) -> Mutated:
    """Return files with one to four mutations of one of them, or of the folder.

    Parameters
    ----------
    files : dict of str to bytes
    others : list of bytes
        Contents to splice parts of into it.
    rng : numpy Generator
    """
    files = dict(files)
    if len(files) > 1 and rng.random() < 0.15:
        return Mutated(_mutated_folder(files, rng), ("folder",))
    name = list(files)[int(rng.integers(len(files)))]
    content = files[name]
    done = []
    for _ in range(int(rng.choice([1, 1, 1, 2, 2, 3, 4]))):
        choices = operations_for(content)
        if rng.random() < 0.03:
            other = others[int(rng.integers(len(others)))]
            at, taken = _span(content, rng), _span(other, rng)
            content = content[: at[0]] + other[taken[0] : taken[1]] + content[at[1] :]
            done.append("splice")
            continue
        label = list(choices)[int(rng.integers(len(choices)))]
        content = choices[label](content, rng)
        done.append(label)
    files[name] = content
    return Mutated(files, tuple(done))


def operations_for(content: bytes) -> dict[str, Operation]:
    """Return the mutations that suit a content."""
    found: dict[str, Operation] = {
        "flip bits": flip_bits,
        "overwrite": overwrite,
        "truncate": truncate,
        "delete chunk": delete_chunk,
        "duplicate chunk": duplicate_chunk,
        "insert noise": insert_noise,
        "length field": edit_length_field,
    }
    if content[128:132] == b"DICM":
        found |= {"stored element": edit_stored_element, "element": edit_element, "stored element again": _element_late}
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        found |= {"PNG chunk": edit_png_chunk, "PNG chunk again": edit_png_chunk}
    if content[:5] == b"NRRD0" or content[:12].startswith((b"ObjectType", b"NDims")):
        found |= {"header line": edit_header_line, "header number": edit_text_number, "header field": edit_header_line}
    if b"source," in content[:200]:
        found |= {"cell": edit_cell, "cell again": edit_cell}
    if content[:1] in (b"{", b"["):
        found |= {"JSON value": edit_json, "JSON value again": edit_json, "JSON number": edit_text_number}
    if content[:2] == b"\x1f\x8b":
        found |= {"inside gzip": edit_inside_gzip}
    if content[:2] == b"PK":
        found |= {"zip member": edit_zip, "zip member again": edit_zip}
    if content[:4] == b"RIFF" or content[4:8] == b"ftyp":
        found |= {"chunk size": edit_chunk_size, "chunk size again": edit_chunk_size}
    return found


def _span(content: bytes, rng: np.random.Generator) -> tuple[int, int]:
    """Return a range of a content, short ones more often."""
    start = int(rng.integers(len(content) + 1))
    length = int(len(content) ** rng.random()) if content else 0
    return start, min(len(content), start + length)


def _position(content: bytes, rng: np.random.Generator) -> int:
    """Return a place in a content, in its head half of the time."""
    limit = min(len(content), 800) if rng.random() < 0.5 else len(content)
    return int(rng.integers(limit)) if limit else 0


def flip_bits(content: bytes, rng: np.random.Generator) -> bytes:
    result = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        if result:
            result[_position(content, rng)] ^= 1 << int(rng.integers(8))
    return bytes(result)


def overwrite(content: bytes, rng: np.random.Generator) -> bytes:
    values = rng.choice([b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", rng.bytes(4), rng.bytes(16)])
    at = _position(content, rng)
    return content[:at] + bytes(values) + content[at + len(values) :]


def truncate(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content) + 1))]


def delete_chunk(content: bytes, rng: np.random.Generator) -> bytes:
    start, stop = _span(content, rng)
    return content[:start] + content[stop:]


def duplicate_chunk(content: bytes, rng: np.random.Generator) -> bytes:
    start, stop = _span(content, rng)
    at = int(rng.integers(len(content) + 1)) if rng.random() < 0.5 else stop
    return content[:at] + content[start:stop] * int(rng.choice([1, 1, 2, 16])) + content[at:]


def insert_noise(content: bytes, rng: np.random.Generator) -> bytes:
    at = _position(content, rng)
    return content[:at] + rng.bytes(int(2 ** rng.uniform(0, 12))) + content[at:]


def edit_length_field(content: bytes, rng: np.random.Generator) -> bytes:
    """Replace two or four bytes by a number at a boundary, or by the number there made a little larger or smaller."""
    code = str(rng.choice(["<H", ">H", "<I", ">I"]))
    width = struct.calcsize(code)
    at = _position(content, rng)
    if len(content) < at + width:
        return content
    if rng.random() < 0.4:
        value = struct.unpack_from(code, content, at)[0] + int(rng.choice([-2, -1, 1, 2, 16]))
    else:
        value = NUMBERS[int(rng.integers(len(NUMBERS)))]
    return content[:at] + struct.pack(code, value % 2 ** (8 * width)) + content[at + width :]


def edit_chunk_size(content: bytes, rng: np.random.Generator) -> bytes:
    """Change the size of a RIFF chunk or of an ISO base media atom."""
    names = rb"movi|idx1|strh|strf|avih|hdrl|00dc|01wb|moov|trak|mdia|stbl|stsd|stts|stsz|stsc|stco|mdat|ftyp|mvhd|elst"
    found = [match.start() for match in re.finditer(names, content)]
    if not found:
        return content
    at = found[int(rng.integers(len(found)))]
    at, code = (at + 4, "<I") if content[:4] == b"RIFF" else (max(0, at - 4), ">I")
    if rng.random() < 0.3:
        at += int(rng.integers(4, 40))  # a field inside it
    if len(content) < at + 4:
        return content
    value = NUMBERS[int(rng.integers(len(NUMBERS)))]
    return content[:at] + struct.pack(code, value) + content[at + 4 :]


def edit_png_chunk(content: bytes, rng: np.random.Generator) -> bytes:
    """Change, drop or repeat a PNG chunk and give it the checksum it then needs."""
    chunks, at = [], 8
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return content
    which = int(rng.integers(len(chunks)))
    name, data = chunks[which]
    choice = rng.random()
    if choice < 0.1:
        del chunks[which]
    elif choice < 0.2:
        chunks.insert(which, (name, data))
    elif choice < 0.3 and name == b"IDAT":
        with contextlib.suppress(zlib.error):
            chunks[which] = (name, zlib.compress(overwrite(zlib.decompress(data), rng)))
    else:
        blind = (flip_bits, overwrite, edit_length_field, truncate)
        chunks[which] = (name, blind[int(rng.integers(len(blind)))](data, rng))
    parts = (
        len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big") for name, data in chunks
    )
    return content[:8] + b"".join(parts)


def edit_text_number(content: bytes, rng: np.random.Generator) -> bytes:
    """Replace a number written in the first bytes as text."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", content[:2000]))
    if not found:
        return content
    match = found[int(rng.integers(len(found)))]
    values = [str(one) for one in NUMBERS] + ["-1", "1.5", "1e400", "nan", "9" * 30, "", "-0", "0x10", "²"]
    return content[: match.start()] + values[int(rng.integers(len(values)))].encode() + content[match.end() :]


def edit_header_line(content: bytes, rng: np.random.Generator) -> bytes:
    """Change the value of a header line, drop it, repeat it, or stretch it."""
    head, gap, data = content.partition(b"\n\n")
    lines = head.split(b"\n")
    which = int(rng.integers(len(lines)))
    choice = rng.random()
    if choice < 0.15:
        del lines[which]
    elif choice < 0.3:
        lines.insert(int(rng.integers(len(lines) + 1)), lines[which])
    elif choice < 0.4:
        lines[which] += b" " * int(2 ** rng.uniform(0, 16)) + b"x"
    else:
        name, mark, _ = re.split(rb"(:=|: | = |$)", lines[which], maxsplit=1)
        value = HOSTILE_TEXTS[int(rng.integers(len(HOSTILE_TEXTS)))]
        lines[which] = name + mark + value.encode("utf-8", "surrogatepass")
    return b"\n".join(lines) + gap + data


def edit_json(content: bytes, rng: np.random.Generator) -> bytes:
    """Replace, drop or add one value anywhere in a JSON document."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return flip_bits(content, rng)
    places: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        node = waiting.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        places += [(node, key) for key in keys]
        waiting += [node[key] for key in keys]
    if not places:
        return content
    node, key = places[int(rng.integers(len(places)))]
    values: list[Any] = [
        None,
        True,
        0,
        -1,
        16,
        10**6,
        2**40,
        1e308,
        -0.5,
        [],
        {},
        [[]],
        {"_target_": "os.system"},
        *HOSTILE_TEXTS,
    ]
    if rng.random() < 0.15:
        del node[key]
    elif rng.random() < 0.05:
        depth = int(rng.choice([50, 400, 900, 5000]))
        return content.replace(b": ", b": " + b"[" * depth + b"1" + b"]" * depth + b', "x": ', 1)
    else:
        node[key] = values[int(rng.integers(len(values)))]
    return json.dumps(document).encode()


def edit_cell(content: bytes, rng: np.random.Generator) -> bytes:
    """Replace one cell of a table."""
    lines = [line.split(b",") for line in content.split(b"\n")]
    line = lines[int(rng.integers(len(lines)))]
    line[int(rng.integers(len(line)))] = HOSTILE_TEXTS[int(rng.integers(len(HOSTILE_TEXTS)))].encode()
    return b"\n".join(b",".join(one) for one in lines)


def edit_inside_gzip(content: bytes, rng: np.random.Generator) -> bytes:
    """Change what a gzip stream holds, with checksums that fit it."""
    try:
        inner = gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return flip_bits(content, rng)
    blind = (flip_bits, overwrite, truncate, duplicate_chunk, edit_length_field)
    return gzip.compress(blind[int(rng.integers(len(blind)))](inner, rng), 1)


def edit_zip(content: bytes, rng: np.random.Generator) -> bytes:
    """Change, drop, rename or add a member of a zip archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:  # earlier mutations may have left any damage
        return flip_bits(content, rng)
    if not members:
        return content
    which = int(rng.integers(len(members)))
    name, data = members[which]
    choice = rng.random()
    if choice < 0.1:
        del members[which]
    elif choice < 0.25:
        names = ("../escaped", "/tmp/escaped", "a/../../escaped", "a.mrml", name.upper(), "x" * 300, "a/b.mrb")
        members[which] = (names[int(rng.integers(len(names)))], data)
    elif choice < 0.35:
        members.append((f"a/{which}.mrb", content))
    else:
        text = name.endswith((".mrml", ".xml", ".txt"))
        blind = (edit_text_number, flip_bits, delete_chunk, duplicate_chunk) if text else (flip_bits, truncate)
        members[which] = (name, blind[int(rng.integers(len(blind)))](data, rng))
    target = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for one, inner in members:
            archive.writestr(one, inner)
    return target.getvalue()


def edit_element(content: bytes, rng: np.random.Generator) -> bytes:
    """Set or delete an element by keyword with pydicom, also inside a sequence item."""
    keyword = DICOM_KEYWORDS[int(rng.integers(len(DICOM_KEYWORDS)))]
    value = DICOM_VALUES[int(rng.integers(len(DICOM_VALUES)))]
    target = io.BytesIO()
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        try:
            data = pydicom.dcmread(io.BytesIO(content), force=True)
            holders = [data, *(item for one in data if one.VR == "SQ" for item in one.value)]
            holder = holders[0 if rng.random() < 0.7 else int(rng.integers(len(holders)))]
            if value is None:
                delattr(holder, keyword)
            else:
                setattr(holder, keyword, value)
            data.save_as(target, enforce_file_format=False)
        except Exception:  # a value that pydicom cannot write, or an element that is not there
            return edit_stored_element(content, rng)
    return target.getvalue()


def _element_late(content: bytes, rng: np.random.Generator) -> bytes:
    return edit_stored_element(content, rng)


def _mutated_folder(files: dict[str, bytes], rng: np.random.Generator) -> dict[str, bytes]:
    """Drop, empty, exchange or add a file."""
    names = list(files)
    one, other = names[int(rng.integers(len(names)))], names[int(rng.integers(len(names)))]
    choice = int(rng.integers(5))
    if choice == 0:
        del files[one]
    elif choice == 1:
        files[one] = b""
    elif choice == 2:
        files[one], files[other] = files[other], files[one]
    elif choice == 3:
        files[f"{one}.copy"] = files[other]
    else:
        files[f"\u00b2{one.rpartition('/')[2]}"] = rng.bytes(64)
    return files
