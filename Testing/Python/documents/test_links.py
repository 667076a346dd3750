"""Every link and picture of the documents points at a file of the repository, and every anchor at a heading."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "Docs/**/*.md", "Testing/**/*.md", "Resources/Models/*/docs/*.md")
    for path in ROOT.glob(pattern)
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
_FENCE = re.compile(r"^ *(?P<fence>```+|~~~+).*?^ *(?P=fence)[^\n]*$", re.M | re.S)
_COMMENT = re.compile(r"<!--.*?-->", re.S)
_CODE = re.compile(r"(?<!`)(`+)(?!`)(?:(?!\n\n).)+?(?<!`)\1(?!`)", re.S)
# [text](target), ![picture](target "title"), [name]: target, <img src="target">, <a href="target">
_TARGET = re.compile(
    r"\]\(\s*(?:<(?P<angle>[^>\n]*)>|(?P<inline>[^()\s]*(?:\([^()\s]*\)[^()\s]*)*))(?:\s+[\"'(][^)]*)?\s*\)"
    r"|^ {0,3}\[[^\]]+\]:\s*(?P<reference>\S+)"
    r"|<(?:img|a|source)\b[^>]*?\b(?:src|srcset|href)=[\"'](?P<html>[^\"']*)[\"']",
    re.M,
)
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(?P<hashes>.+?)(?:\s+#+)?\s*$|^(?P<under>\S.*)\n(?:=+|-+)\s*$", re.M)
_NAMED = re.compile(r"<\w+\b[^>]*?\b(?:id|name)=[\"']([^\"']+)[\"']")
_ELSEWHERE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//")


def prose(text: str) -> str:
    """Return a document without its blocks of code and comments, where nothing is a link."""
    return _COMMENT.sub("", _FENCE.sub("", text))


def targets(text: str) -> list[str]:
    """Return what the links and pictures of a document point at inside the repository."""
    without_code = _CODE.sub("`code`", prose(text))
    found = [next(group for group in match.groups() if group is not None) for match in _TARGET.finditer(without_code)]
    return [target for target in found if not _ELSEWHERE.match(target)]


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading: lower case, no punctuation, a hyphen for each space."""
    shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)  # of a link, its text
    shown = re.sub(r"(\*\*?|~~)(?=\S)(.+?)(?<=\S)\1", r"\2", shown)
    shown = re.sub(r"<[^>]+>", "", shown)
    return re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    """Return all anchors of a document; a heading that comes again has a number behind it."""
    found: set[str] = set()
    for match in _HEADING.finditer(prose(text)):
        base = unique = slug(match["hashes"] or match["under"])
        again = 0
        while unique in found:
            again += 1
            unique = f"{base}-{again}"
        found.add(unique)
    return found | set(_NAMED.findall(prose(text)))


@cache
def committed() -> frozenset[str]:
    """Files of the repository and their folders; a file that git does not know is not there for others."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:  # the tree of a release, without git
        files = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file()]
    else:
        files = [name for name in listed.stdout.split("\0") if name]
    folders = {parent.as_posix() for name in files for parent in Path(name).parents}
    return frozenset(files) | folders


def fault(document: Path, target: str) -> str | None:
    """Return what is wrong with a link of a document; None when it is right."""
    name, _, anchor = target.partition("#")
    base = ROOT if name.startswith("/") else document.parent
    path = (base / unquote(name).lstrip("/")).resolve() if name else document
    if not path.is_relative_to(ROOT):
        return f"{target}: outside of the repository"
    if path != document and path.relative_to(ROOT).as_posix() not in committed():
        return f"{target}: no such file in the repository"
    if anchor and path.suffix == ".md" and unquote(anchor) not in anchors(path.read_text(encoding="utf-8")):
        return f"{target}: no such heading"
    return None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_point_at_what_is_there(document: Path) -> None:
    faults = (fault(document, target) for target in targets(document.read_text(encoding="utf-8")))
    assert [one for one in faults if one] == []


def test_all_kinds_of_documents_are_looked_at() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in DOCUMENTS}
    assert {"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "Docs/segment.md"} <= names
    assert any(name.startswith("Docs/results/") for name in names)
    assert any(name.startswith("Resources/Models/") for name in names)
    assert sum(len(targets(path.read_text(encoding="utf-8"))) for path in DOCUMENTS) > 50


def test_links_are_found_in_every_spelling() -> None:
    text = (
        "[a](one.md) and ![b c](two.png 'title'), [![d](three.png)](four.md#x)\n[e](<five six.md>) [f](#seven)\n"
        '<img width=3 src="eight.png"> [g](https://a.org/b) [h](mailto:x@y.org) `[i](no.md)`\n\n[k]: nine_(1).md\n'
        "[l over\ntwo lines](ten.md)\n<!-- [m](no.md) -->\n```text\n[n](no.md)\n```\n"
    )
    assert set(targets(text)) == {
        *("one.md", "two.png", "three.png", "four.md#x", "five six.md", "#seven", "eight.png", "nine_(1).md", "ten.md"),
    }


def test_anchors_are_those_of_github() -> None:
    text = (
        "# What is *written*, and `where_it` goes?\n## A & B\n## A & B\n### [Link](x.md) #\n"
        "Older\n-----\n```bash\n# no heading\n```\n"
        '<a name="by-hand"></a>\n## Größe (mm²) - 1.5x\n'
    )
    assert anchors(text) == {
        *("what-is-written-and-where_it-goes", "a--b", "a--b-1", "link", "older", "by-hand", "größe-mm²---15x"),
    }


def test_a_wrong_link_is_named() -> None:
    document = ROOT / "Docs" / "segment.md"
    assert fault(document, "no_such_page.md") == "no_such_page.md: no such file in the repository"
    assert fault(document, "../README.md#no-such-heading") == "../README.md#no-such-heading: no such heading"
    assert fault(document, "../../shared/x.md") == "../../shared/x.md: outside of the repository"
    assert fault(document, "batch.md") is None
    assert fault(document, "results") is None
