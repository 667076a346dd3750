"""The index of a batch: every computed case in one line of a small file, so that a list of thousands opens at once.

``.batch/index.jsonl`` gets a line when a case is put in place and is written again at the end of a run. It can be lost:
it is made again from the cases' own files.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from UltrasoundLesionSegLib.batch.case_row import CaseRow, read_case, stamp_of
from UltrasoundLesionSegLib.batch.folder import HIDDEN, BatchFolder
from UltrasoundLesionSegLib.batch.manifest import ListedCase
from UltrasoundLesionSegLib.writers.atomic import atomic_path

INDEX = "index.jsonl"


def read_index(folder: BatchFolder) -> dict[str, CaseRow]:
    """Return the cases of the index by name; of a case with several lines the last one. Empty where there is none.

    Parameters
    ----------
    folder : BatchFolder
    """
    rows: dict[str, CaseRow] = {}
    try:
        with _path(folder).open(encoding="utf-8") as file:
            for line in file:
                # the line of a batch that was killed while it wrote is cut
                with contextlib.suppress(ValueError, TypeError, KeyError, IndexError, AttributeError):
                    row = CaseRow.from_json(json.loads(line))
                    rows[row.name] = row
    except (OSError, UnicodeError):
        return rows
    return rows


def add_to_index(folder: BatchFolder, row: CaseRow) -> None:
    """Add a line for a case that was just put in place; a full disk is no reason to fail, the index can be remade."""
    with contextlib.suppress(OSError), _path(folder).open("a", encoding="utf-8") as file:
        file.write(f"\n{_line(row)}")


def write_index(folder: BatchFolder, rows: Iterable[CaseRow]) -> None:
    """Write the index again with the cases that have a result.

    Raises
    ------
    OutputError
    """
    with atomic_path(_path(folder)) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(_line(row) for row in rows if row.has_result)


def read_rows(folder: BatchFolder, listed: Sequence[ListedCase]) -> Iterator[CaseRow]:
    """Return every case in a few numbers; the files of a case are read only when the index does not have its result.

    Parameters
    ----------
    folder : BatchFolder
    listed : sequence of ListedCase
        In the order of the rows; the result of a failed case is of other inputs and not read.
    """
    known = read_index(folder)
    for one in listed:
        name, row = one.case.name, None
        if one.state == "done":
            row = known.get(name)
            if row is None or row.stamp != stamp_of(folder, name):
                row = read_case(folder, name)
        yield CaseRow(name, one.state, one.reason) if row is None else replace(row, state=one.state, reason=one.reason)


def _line(row: CaseRow) -> str:
    return json.dumps(row.as_json(), separators=(",", ":")) + "\n"


def _path(folder: BatchFolder) -> Path:
    return folder.root / HIDDEN / INDEX
