"""Scenes from elsewhere: Slicer unpacks an archive wherever its members' names point, so none such may reach it."""

from __future__ import annotations

import gzip
import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.mrml.scene_archive import is_sound

MRML = '<MRML version="Slicer5"><Volume id="a" {attributes}></Volume></MRML>'
Members = dict[str, bytes]


def archive(members: Members, kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", kind) as opened:
        for name, data in members.items():
            opened.writestr(name, data)
    return target.getvalue()


def members(attributes: str = 'fileName="Data/a.nrrd"') -> Members:
    return {"a/a.mrml": MRML.format(attributes=attributes).encode(), "a/Data/a.nrrd": b"pixels"}


def sound(content: bytes) -> bool:
    return is_sound(io.BytesIO(content))


def test_a_whole_archive_is_sound() -> None:
    assert sound(archive(members()))
    assert sound(archive(members() | {"a/Data/b.seq.mrb": archive(members())}))


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out", "a\\..\\..\\out", "C:/out", "a/b/../c"])
def test_members_that_leave_the_archive_are_refused(name: str) -> None:
    assert not sound(archive(members() | {name: b"x"}))
    assert not sound(archive(members() | {"a/Data/b.seq.mrb": archive(members() | {name: b"x"})}))


def test_links_are_refused() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as opened:
        for name, data in members().items():
            opened.writestr(name, data)
        link = zipfile.ZipInfo("a/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc")
    assert not sound(target.getvalue())


@pytest.mark.parametrize(
    "attributes",
    [
        'fileName="/etc/passwd"',
        'fileName="../../../etc/passwd"',
        'fileName="Data/absent.nrrd"',
        'fileName="Data/a.nrrd" fileListMember0="/etc/passwd"',
        'uri="http://archive.example/a.nrrd"',
        'uriListMember0="ftp://archive.example/a.nrrd"',
    ],
)
def test_scenes_that_name_what_is_elsewhere_are_refused(attributes: str) -> None:
    assert not sound(archive(members(attributes)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"encoding: gzip", b"encodink: gzip"),  # ITK's exception would end the program
        (b"sizes: 32 24 1", b"sizes: 99999 99999 9"),
        (b"kinds: domain domain", b"kinds: list list"),
        (b"\x1f\x8b", b"\x1f\x8c"),
    ],
)
def test_segmentations_that_would_end_slicer_are_refused(before: bytes, after: bytes) -> None:
    header = "NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: 32 24 1\nencoding: gzip\n"
    header += "kinds: domain domain domain\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\n\n"
    content = header.encode() + gzip.compress(bytes(768))
    assert sound(archive(members() | {"a/Data/a.seg.nrrd": content}))
    assert before in content
    assert not sound(archive(members() | {"a/Data/a.seg.nrrd": content.replace(before, after)}))


def test_xml_that_expands_without_end_is_refused() -> None:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    text = f'<!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">{entities}]><MRML>&a11;</MRML>'
    assert not sound(archive(members() | {"a/a.mrml": text.encode()}))


def test_archives_within_archives_end() -> None:
    content = archive(members())
    for _ in range(4):
        content = archive(members() | {"a/Data/b.seq.mrb": content})
    assert not sound(content)


def overlapping(content: bytes) -> bytes:
    """The same archive with its directory's entries four times: each byte counts four times."""
    end = content.rindex(b"PK\5\6")
    directory = content.index(b"PK\1\2")
    many = b"".join(content[directory:end].replace(b"a.nrrd", f"{n}.nrrd".encode()) for n in range(4))
    count = int.from_bytes(content[end + 8 : end + 10], "little") * 4
    tail = count.to_bytes(2, "little") * 2 + len(many).to_bytes(4, "little") + content[end + 16 :]
    return content[:directory] + many + content[end : end + 8] + tail


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-30],
        lambda content: content.replace(b"pixels", b"pixelz"),
        overlapping,
        lambda content: b"",
        lambda content: content[:60] + bytes([content[60] ^ 255]) + content[61:],
    ],
)
def test_damage_is_refused_and_nothing_else_is_raised(damage: Callable[[bytes], bytes]) -> None:
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        content = archive(members() | {"a/Data/a.nrrd": b"pixels" * (1 + 99 * (damage is overlapping))}, kind)
        assert not sound(damage(content)) or damage(content) == content


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    from UltrasoundLesionSegLib.mrml import headless

    scene: Any = headless.start()
    scene.Clear(0)
    import numpy as np

    from UltrasoundLesionSegLib.mrml.cine_nodes import add_cine
    from UltrasoundLesionSegLib.mrml.scene_file import load_scene, save_scene

    add_cine(Cine.from_array(np.zeros((2, 24, 32), np.uint8)))
    path = save_scene(tmp_path / "scene.mrb")
    assert len(load_scene(path)) == 1
    outside = tmp_path / "outside.txt"
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr(str(outside), "written outside")
    with pytest.raises(SceneError, match="reaches outside itself"):
        load_scene(path)
    import slicer

    assert not slicer.app.coreIOManager().loadNodes("SceneFile", {"fileName": str(path)}, None)
    assert not outside.exists()
    scene.Clear(0)
