"""What Slicer's Extensions Index asks of a repository, checked on a folder without a network.

The index's own checks are `scripts/check_description_files.py` and the pull request template of
https://github.com/Slicer/ExtensionsIndex. Those that need the published repository (topic, addresses that answer) are
left to a person; ``make_release`` lists them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import jsonschema
from PIL import Image

EXTENSION = "UltrasoundLesionSeg"
MODULE = "Ultrasound Lesion Segmentation"
PLACEHOLDER_OWNER = "UltrasoundLesionSeg"
PLACEHOLDER_CONTRIBUTORS = "UltrasoundLesionSeg contributors"
INDEX_FILE = Path("Docs/extension_index/UltrasoundLesionSeg.json")
SIZE_LIMIT = 100 * 2**20  # bytes, everything in a clone with its .git folder
ICON_SIZE = (128, 128)
PAPERS = ("arxiv.org/abs/2403.11699", "doi.org/10.1109/JBHI.2025.3543435")
SCHEMA_ADDRESS = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json#"
)
# the fields of that schema, version 1.0.2
SCHEMA = {
    "type": "object",
    "required": ["$schema", "category", "scm_url"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"const": SCHEMA_ADDRESS},
        "category": {"type": "string"},
        "scm_url": {"type": "string"},
        "scm_revision": {"type": "string"},
        "scm_type": {"enum": ["git", "local"]},
        "build_dependencies": {"type": "array", "items": {"type": "string"}},
        "dicom_support_rule": {"type": "string"},
        "build_subdirectory": {"type": "string"},
        "enabled": {"type": "boolean"},
        "tier": {"type": "integer", "minimum": 1, "maximum": 5},
    },
}
_CONTRIBUTORS = re.compile(r"[^(),]+ \([^()]+\)(, [^(),]+ \([^()]+\))*")


class State(Enum):
    """What a check came to."""

    OK = "ok"
    TO_FILL_IN = "fill in"
    FAULT = "FAULT"


@dataclass(frozen=True)
class Finding:
    """One check's outcome in a sentence."""

    state: State
    sentence: str

    @property
    def is_fault(self) -> bool:
        """Whether the index would refuse the repository for it."""
        return self.state is State.FAULT


def check_repository(folder: Path) -> list[Finding]:
    """Return the outcome of every check on a clone of the repository.

    Parameters
    ----------
    folder : Path
        The clone, with its .git folder where it has one.
    """
    checks = (_size, _description, _cmake, _owner, _contributors, _icon, _screenshots, _readme, _licence)
    return [finding for check in checks for finding in check(folder)]


def total_size(folder: Path) -> int:
    """Return the bytes of all files below a folder, .git included: what the index measures."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _outcome(good: bool, sentence: str, otherwise: str) -> Finding:
    return Finding(State.OK, sentence) if good else Finding(State.FAULT, otherwise)


def _size(folder: Path) -> Iterator[Finding]:
    size = total_size(folder)
    said = f"a clone has {size / 2**20:.1f} MB; the limit is {SIZE_LIMIT / 2**20:.0f} MB"
    yield _outcome(size <= SIZE_LIMIT, said, f"{said}: take the largest pictures or models out")


def _description(folder: Path) -> Iterator[Finding]:
    content = (folder / INDEX_FILE).read_bytes()
    if b"\r" in content:
        yield Finding(State.FAULT, f"{INDEX_FILE} has Windows line ends; save it with LF alone")
    try:
        described = json.loads(content)
        jsonschema.validate(described, SCHEMA)
    except (ValueError, jsonschema.ValidationError) as error:
        yield Finding(State.FAULT, f"{INDEX_FILE} does not fit schema 1.0.2: {str(error).splitlines()[0]}")
        return
    yield Finding(State.OK, f"{INDEX_FILE} fits schema 1.0.2")
    for name in ("dicom_support_rule", "scm_revision"):
        if name not in described:
            yield Finding(State.FAULT, f"{INDEX_FILE} has no {name}")
    repository = described["scm_url"].rpartition("/")[2]
    named = repository.removesuffix(".git") == f"Slicer{EXTENSION}" and INDEX_FILE.stem == EXTENSION
    yield _outcome(named, "names of repository and extension fit", f"the repository must be named Slicer{EXTENSION}")
    for variable, expected in (
        ("CATEGORY", described["category"]),
        ("DEPENDS", " ".join(described.get("build_dependencies", ["NA"]))),
        ("HOMEPAGE", described["scm_url"].removesuffix(".git")),
    ):
        said = f"EXTENSION_{variable} is the same in CMakeLists.txt and {INDEX_FILE.name}"
        yield _outcome(_cmake_value(folder, variable) == expected, said, f"{said}: it is not")


def _cmake(folder: Path) -> Iterator[Finding]:
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    yield _outcome(f"project({EXTENSION})" in text, "CMake project named", f"project({EXTENSION}) is missing")
    description = _cmake_value(folder, "DESCRIPTION")
    short = 0 < len(description) <= 300 and description.count(". ") <= 1
    yield _outcome(short, "description of one or two sentences", "EXTENSION_DESCRIPTION must be one or two sentences")


def _owner(folder: Path) -> Iterator[Finding]:
    if f"github.com/{PLACEHOLDER_OWNER}/" in _cmake_value(folder, "HOMEPAGE"):
        yield Finding(State.TO_FILL_IN, "the owner of the repository: make release OWNER=account")


def _contributors(folder: Path) -> Iterator[Finding]:
    value = _cmake_value(folder, "CONTRIBUTORS")
    good = bool(_CONTRIBUTORS.fullmatch(value))
    yield _outcome(good, f"contributors: {value}", "EXTENSION_CONTRIBUTORS must read: Name (Organisation), ...")
    if value.startswith(PLACEHOLDER_CONTRIBUTORS):
        yield Finding(State.TO_FILL_IN, 'the contributors: make release CONTRIBUTORS="Name (Organisation), ..."')


def _icon(folder: Path) -> Iterator[Finding]:
    file = _published_file(folder, _cmake_value(folder, "ICONURL"))
    if file is None:
        yield Finding(State.FAULT, "EXTENSION_ICONURL names no file of this repository's branch main")
        return
    with Image.open(file) as icon:
        good = icon.format == "PNG" and icon.size == ICON_SIZE
    yield _outcome(good, "icon of 128 x 128 pixels", "the icon must be a PNG of 128 x 128 pixels")


def _screenshots(folder: Path) -> Iterator[Finding]:
    addresses = _cmake_value(folder, "SCREENSHOTURLS").split()
    files = [_published_file(folder, address) for address in addresses]
    good = bool(files) and None not in files
    yield _outcome(good, f"screenshots: {len(files)}", "EXTENSION_SCREENSHOTURLS must name files of branch main")


def _readme(folder: Path) -> Iterator[Finding]:
    text = (folder / "README.md").read_text(encoding="utf-8")
    wanted = {
        "the extension's name as title": text.startswith(f"# {EXTENSION}\n"),
        "a sentence on the module": MODULE in text,
        "the licence's name": "Apache-2.0" in text,
        "a tutorial": "(Docs/tutorial.md)" in text,
        **{f"a link to the paper {paper}": paper in text for paper in PAPERS},
    }
    for part, there in wanted.items():
        yield _outcome(there, f"README has {part}", f"README lacks {part}")
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    shown = bool(pictures) and all((folder / picture).is_file() for picture in pictures)
    yield _outcome(shown, f"README shows {len(pictures)} pictures", "README shows no picture, or one that is not there")


def _licence(folder: Path) -> Iterator[Finding]:
    yield _outcome((folder / "LICENSE").is_file(), "LICENSE is there", "LICENSE is missing")


def _cmake_value(folder: Path, variable: str) -> str:
    """Return what CMakeLists.txt sets an EXTENSION_ variable to; '' where it does not."""
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.search(rf'^set\(EXTENSION_{variable} "([^"]*)"\)', text, re.MULTILINE)
    return found[1] if found else ""


def _published_file(folder: Path, address: str) -> Path | None:
    """Return the file in the clone that a raw.githubusercontent.com address of branch main shows."""
    homepage = _cmake_value(folder, "HOMEPAGE").replace("https://github.com/", "https://raw.githubusercontent.com/")
    if not homepage or not address.startswith(f"{homepage}/main/"):
        return None
    file = folder / address.removeprefix(f"{homepage}/main/")
    return file if file.is_file() else None
