"""The manifest of a batch: a CSV or JSON file that lists sources and their seeds, read and written.

One row is one source with one seed; rows with the same ``case`` (or, without one, the same ``source``) are one case
with several seeds. Columns: ``source`` (required), ``case``, ``seed``, ``frame``, ``suggest``, ``model``,
``direction``, ``frames``, ``patient``. Paths are relative to the manifest's folder. ``state`` and ``reason``, which a
batch writes, are skipped.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from UltrasoundLesionSegLib.errors import BatchError
from UltrasoundLesionSegLib.workflow.case_request import SeedFileRequest
from UltrasoundLesionSegLib.writers.atomic import atomic_path
from UltrasoundLesionSegLib.writers.names import is_reserved

SuggestFrame = int | Literal["middle"]

COLUMNS = ("case", "source", "seed", "frame", "suggest", "model", "direction", "frames", "patient")
SKIPPED = ("state", "reason")
PATHS = ("source", "seed")
DIRECTIONS = ("forward", "backward", "both")
LARGEST_BYTES = 64 * 2**20  # a manifest of half a million rows; anything larger is another kind of file
_SEPARATOR_LINE = re.compile(r'"?sep=[,;\t]"?\r?\n')  # the first line of tables made for one spreadsheet program
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}[A-Za-z0-9_-]|[A-Za-z0-9]")
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class BatchCase:
    """One case of a batch as the manifest or the folder gives it.

    Parameters
    ----------
    source : Path
    seeds : tuple of SeedFileRequest
    name : str
        The case's name as the manifest gives it, or ''.
    suggest : int or 'middle' or None
        Without seeds: the frame on which a model proposes one.
    model, direction, frames
        As for ``CaseRequest``; None where the batch's own setting holds.
    patient : str
        Whose the source is, or '': whatever tells patients apart. It stays in ``key``.
    """

    source: Path
    seeds: tuple[SeedFileRequest, ...] = ()
    name: str = ""
    suggest: SuggestFrame | None = None
    model: str | None = None
    direction: str | None = None
    frames: tuple[int, int] | None = None
    patient: str = ""


@dataclass(frozen=True)
class ListedCase:
    """A case with what became of it: a row, or several, of the file that a batch writes."""

    case: BatchCase
    state: str = ""
    reason: str = ""


def read_manifest(path: Path) -> list[BatchCase]:
    """Read the cases of a manifest; whether their files exist is found out case by case, later.

    Parameters
    ----------
    path : Path
        CSV (comma, semicolon or tab; UTF-8, UTF-16 or Windows-1252) with a header, or JSON: a list of objects with the
        columns as keys.

    Raises
    ------
    BatchError
        When the file is no manifest; names the row (counted from 1, without the header) and the column.
    """
    return [listed.case for listed in read_listed(path)]


def read_listed(path: Path) -> list[ListedCase]:
    """Read a manifest with the ``state`` and ``reason`` that a batch wrote in it.

    Raises
    ------
    BatchError
        As ``read_manifest``.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise BatchError("the manifest is larger than 64 MB; to segment one cine use the command segment")
        text = _decoded(path.read_bytes())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BatchError(f"the manifest cannot be opened ({reason}); name a file that can be read") from None
    rows = _json_rows(text) if text.lstrip()[:1] in ("[", "{") else _csv_rows(text)
    if not rows:
        raise BatchError("the manifest lists no case; give a row for every source")
    return _grouped(rows, path.absolute().parent)


def _decoded(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # what spreadsheets call Unicode text
        return content.decode("utf-16", errors="replace")
    # file names that are not UTF-8 are kept as bytes
    return content.decode("utf-8-sig", errors="surrogateescape")


def _csv_rows(text: str) -> list[dict[str, str]]:
    if line := _SEPARATOR_LINE.match(text):
        text = text[line.end() :]
    header = text.splitlines()[0] if text else ""
    delimiter = max(",;\t", key=header.count)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        headings = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        _check_columns([name for name in headings if name])
        unnamed = {
            f"unnamed {column}" for column, name in enumerate(headings) if not name
        }  # spreadsheets add empty ones
        reader.fieldnames = [name or f"unnamed {column}" for column, name in enumerate(headings)]
        rows = []
        for number, row in enumerate(reader, start=1):
            if None in row:
                raise BatchError(f"row {number} of the manifest has more cells than the header; correct it")
            cells = {name: _cell(name, value or "") for name, value in row.items()}
            if any([cells.pop(name) for name in unnamed]):
                raise BatchError(f"row {number} of the manifest has a cell under no heading; name its column")
            rows.append(cells)
    except csv.Error:
        raise BatchError("the manifest is not a CSV table; save it as CSV with a header, or as JSON") from None
    return [row for row in rows if any(row.values())]


def _json_rows(text: str) -> list[dict[str, str]]:
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        raise BatchError("the manifest is not valid JSON; correct it, or save it as CSV") from None
    if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
        raise BatchError('the manifest is not a list of objects; write it as [{"source": ...}, ...]')
    rows = []
    for number, row in enumerate(listed, start=1):
        if any(isinstance(value, bool) or not isinstance(value, str | int | None) for value in row.values()):
            raise BatchError(f"row {number} of the manifest has a value that is neither text nor a whole number")
        if any(isinstance(value, int) and not 0 <= value < 10**9 for value in row.values()):
            raise BatchError(f"row {number} of the manifest has a number that is no frame; count frames from 0")
        named = {name.strip().lower(): "" if value is None else str(value) for name, value in row.items()}
        rows.append({name: _cell(name, value) for name, value in named.items()})
    for row in rows:
        _check_columns(row, complete=False)
    return rows


def _cell(column: str, text: str) -> str:
    """Return what a cell says, without spaces around it, with which only a path may begin or end."""
    return text if column in PATHS and text.strip() else text.strip()


def _check_columns(names: Iterable[str], complete: bool = True) -> None:
    found = list(names)
    if complete and "source" not in found:
        raise BatchError("the manifest has no column 'source'; its first row must name the columns")
    if len(set(found)) < len(found):
        raise BatchError("the manifest has two columns of the same name; keep one")
    if not set(found) <= {*COLUMNS, *SKIPPED}:
        raise BatchError(f"the manifest has a column that is unknown; the columns are {', '.join(COLUMNS)}")


def _grouped(rows: Sequence[Mapping[str, str]], folder: Path) -> list[ListedCase]:
    """Make cases of rows, in the order in which each first appears."""
    found: dict[str, ListedCase] = {}
    for number, row in enumerate(rows, start=1):
        try:
            case = _case(row, folder)
        except BatchError as error:
            raise BatchError(f"row {number} of the manifest: {error}") from None
        key = f"case {case.name.lower()}" if case.name else f"source {case.source}"
        earlier = found.get(key)
        if earlier is None:
            found[key] = ListedCase(case, row.get("state", ""), row.get("reason", ""))
        elif replace(earlier.case, seeds=()) != replace(case, seeds=()):
            raise BatchError(
                f"row {number} of the manifest differs from an earlier row of the same case in more than the seed; "
                "give different cases different names in the column 'case'"
            )
        else:
            found[key] = replace(earlier, case=replace(case, seeds=earlier.case.seeds + case.seeds))
    return list(found.values())


def _case(row: Mapping[str, str], folder: Path) -> BatchCase:
    for name in row:
        _check_text(row[name], name)
    if not row.get("source"):
        raise BatchError("the source is not named; give a path")
    seed, frame = row.get("seed", ""), row.get("frame", "")
    if frame and not seed:
        raise BatchError("a frame is given but no seed; name the seed's file, or use the column 'suggest'")
    direction = row.get("direction") or None
    if direction is not None and direction not in DIRECTIONS:
        raise BatchError(f"the direction is unknown; choose {', '.join(DIRECTIONS)}")
    name = row.get("case", "")
    if name:
        check_name(name)
    return BatchCase(
        source=_path(folder, row["source"]),
        seeds=(SeedFileRequest(_path(folder, seed), _whole(frame or "0", "frame")),) if seed else (),
        name=name,
        suggest=parse_suggest(row["suggest"]) if row.get("suggest") else None,
        model=row.get("model") or None,
        direction=direction,
        frames=_frame_range(row["frames"]) if row.get("frames") else None,
        patient=row.get("patient", ""),
    )


def _path(folder: Path, text: str) -> Path:
    """Return the path that a cell names: as it stands there, or else what it means where it was written."""
    stripped = text.strip()
    if text == stripped and text.isascii() and text.isprintable() and "\\" not in text:
        return folder / text  # nothing to doubt, and nothing to look up on a slow drive
    # bytes that are not UTF-8 are kept as such: on Linux names of files, from a spreadsheet of western Europe letters
    western = stripped.encode("utf-8", "surrogateescape").decode("cp1252", errors="replace")
    forms = (text, stripped, western, stripped.replace("\\", "/"), western.replace("\\", "/"))
    # macOS writes an accent as a character of its own, others write the letter with it as one
    accents = [unicodedata.normalize(form, one) for form in ("NFC", "NFD") for one in forms]
    meant = [folder / one for one in (*forms, *accents)]
    return next((path for path in meant if os.path.exists(path)), meant[0])


def _check_text(text: str, column: str) -> None:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        text = "\0"
    # Linux allows line breaks and more in names of files
    if "\0" in text or (column not in PATHS and any(ord(one) < 32 for one in text)):
        raise BatchError(f"the column '{column}' has characters that are no text; type it again")


def check_name(name: str, of: str = "case") -> None:
    """Raise ``BatchError`` unless a name is fit for a folder on every system.

    Parameters
    ----------
    name : str
    of : str
        What has the name, for the sentence.
    """
    if not _NAME.fullmatch(name) or is_reserved(name):
        raise BatchError(
            f"the {of}'s name cannot be a folder's; use 1 to 64 letters, digits, '-', '_' and '.', "
            "beginning with a letter or digit"
        )


def parse_suggest(text: str) -> SuggestFrame:
    """Read a frame number, or 'middle'.

    Raises
    ------
    BatchError
        When it is neither.
    """
    return "middle" if text == "middle" else _whole(text, "suggest")


def _whole(text: str, column: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise BatchError(f"the column '{column}' is no frame; frames are whole numbers, counted from 0")
    return int(text)


def _frame_range(text: str) -> tuple[int, int]:
    start, colon, stop = text.partition(":")
    if not colon:
        raise BatchError("the column 'frames' is no range; write it as A:B, for example 0:60")
    return _whole(start, "frames"), _whole(stop, "frames")


def write_listed(path: Path, cases: Iterable[ListedCase]) -> None:
    """Write cases as a manifest with ``state`` and ``reason``; one row a seed, paths absolute.

    Parameters
    ----------
    path : Path
    cases : iterable of ListedCase

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.DictWriter(file, (*COLUMNS, *SKIPPED), restval="")
        writer.writeheader()
        for listed in cases:
            writer.writerows(_rows_of(listed))


def _rows_of(listed: ListedCase) -> list[dict[str, Any]]:
    case = listed.case
    row: dict[str, Any] = {
        "case": case.name,
        "source": case.source.absolute(),
        "suggest": "" if case.suggest is None else case.suggest,
        "model": case.model or "",
        "direction": case.direction or "",
        "frames": f"{case.frames[0]}:{case.frames[1]}" if case.frames else "",
        "patient": case.patient,
        "state": listed.state,
        "reason": listed.reason,
    }
    return [{**row, "seed": one.path.absolute(), "frame": one.frame} for one in case.seeds] or [row]
