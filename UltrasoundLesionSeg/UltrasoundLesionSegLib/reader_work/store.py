"""The folder ``OUT/review``: the work of every reader on every case, read and stored.

``review.json`` is the commit: it is written last, by one rename, and names the files that count. Those are called by
their content or at random, so none that counts is ever written over. A kill at any moment leaves the state before or
after a store. Files that no ``review.json`` names are removed by the next store.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.errors import HeldError, OutputError, ReviewError
from UltrasoundLesionSegLib.reader_work.hold import Hold, is_held, take
from UltrasoundLesionSegLib.reader_work.label_images import (
    LabelImage,
    LabelTable,
    decode,
    digest_of,
    encode,
    give_numbers,
    mask_of,
)
from UltrasoundLesionSegLib.reader_work.record import (
    ReaderAnchor,
    ResultNote,
    ReviewRecord,
    check_reader,
    damaged,
    is_reader,
)
from UltrasoundLesionSegLib.reader_work.results import CaseMasks, read_result, write_result
from UltrasoundLesionSegLib.reader_work.work import DrawnImages, Work
from UltrasoundLesionSegLib.writers.atomic import atomic_path, folder_to_disk

REVIEW, RECORD, ANCHORS, ASIDE = "review", "review.json", "anchors", ".aside"
READING_THREADS = 8  # reading small files waits for disks and networks more than for the processor
_NANOSECONDS_UNTIL_LEFT = 60 * 10**9  # nobody takes that long to take a case up
_ATTEMPTS = 5  # to read a case that is being stored at the same time
_TAKEN_OVER = (
    "the case was taken over by somebody else with this reader's code; this work was stored beside it, in the folder "
    "'.aside' of the reader"
)
_MOVED = (
    "the case's folder is not where it was, as after the batch's folder was moved or renamed; this work was stored "
    "under the earlier name, in the folder '.aside' of the reader: move it to the batch, and open the case there"
)
_Read = TypeVar("_Read")


class ReviewFolder:
    """The work of all readers on a batch.

    Parameters
    ----------
    output : Path
        The batch's output folder.
    """

    def __init__(self, output: Path) -> None:
        self.root = output.absolute() / REVIEW

    def readers(self) -> list[str]:
        """Return the codes of all readers, in order; a folder with another name, as of a copy, is nobody's work."""
        return [name for name in _folders(self.root) if is_reader(name)]

    def check_known(self, reader: str) -> None:
        """Raise ``ReviewError`` when the code is not usable, or there is no work of this reader."""
        known = self.readers()
        if check_reader(reader) not in known:
            there = f"the readers are: {', '.join(known)}" if known else "nobody has worked on it"
            raise ReviewError(f"the folder has no work of reader '{reader}'; {there}")

    def cases(self, reader: str) -> list[str]:
        """Return the cases that a reader has work on, in order of their names."""
        return [name for name in _folders(self.root / check_reader(reader)) if not name.startswith(".")]

    def work(self, reader: str, case: str) -> CaseWork:
        """Return a reader's work on a case, whether there is any or not.

        Raises
        ------
        ReviewError
            When the code is not usable, another reader's differs from it in capitals alone, or no case is called so.
        """
        check_reader(reader)
        if not case or case.startswith(".") or case != Path(case).name:
            raise ReviewError("the batch has no case of this name; take one from its list")
        alike = [one for one in self.readers() if one.lower() == reader.lower()]
        if alike and reader not in alike:
            raise ReviewError(
                f"there is a reader '{alike[0]}' already; write the code as it is, or choose one that differs in more"
            )
        return CaseWork(self.root / reader / case, reader, case)

    def records(self, reader: str) -> dict[str, ReviewRecord | ReviewError]:
        """Return what a reader did to each case; for one whose files are damaged, the error that says so."""
        cases = self.cases(reader)
        folder = self.root / reader

        def read(case: str) -> ReviewRecord | ReviewError | None:
            try:
                return CaseWork(folder / case, reader, case).record()
            except ReviewError as error:
                return error

        with ThreadPoolExecutor(READING_THREADS) as pool:
            found = zip(cases, pool.map(read, cases), strict=True)
            return {case: record for case, record in found if record is not None}

    def aside(self, reader: str) -> dict[str, int]:
        """Return, by case, how much work lies aside because it came after the case had been taken over."""
        found: dict[str, int] = {}
        for name in _folders(self.root / check_reader(reader) / ASIDE):
            case = name.rpartition("-")[0]
            found[case] = found.get(case, 0) + 1
        return found


class CaseWork:
    """One reader's work on one case.

    Parameters
    ----------
    folder : Path
        ``OUT/review/READER/CASE``; need not exist.
    reader, case : str
    """

    def __init__(self, folder: Path, reader: str, case: str) -> None:
        self.folder = folder
        self.reader = reader
        self.case = case
        self._drawn = DrawnImages()

    @classmethod
    def at(cls, folder: Path) -> CaseWork:
        """Return the work that lies in a folder ``READER/CASE``."""
        return cls(folder, folder.parent.name, folder.name)

    def record(self) -> ReviewRecord | None:
        """Return what the reader did; None when there is nothing.

        Raises
        ------
        ReviewError
            When the file is damaged, or of another case or reader.
        """
        try:
            content = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            raise damaged() from None
        record = ReviewRecord.from_json(content)
        if (record.reader, record.case) != (self.reader, self.case):
            raise damaged()
        return record

    def anchors(self) -> list[ReaderAnchor]:
        """Return what the reader drew, confirmed or declared not visible, by frame.

        Raises
        ------
        ReviewError
            When a file is missing, or its pixels are not those that were stored.
        """
        return self._consistent(self._anchors) or []

    def _anchors(self, record: ReviewRecord) -> list[ReaderAnchor]:
        if record.source is None:
            return []
        lesions = {one.name: one for one in record.lesions}
        images = {file: self._image(file, record.source.shape) for file in {one.file for one in record.anchors}}
        return [
            ReaderAnchor(one.frame, one.lesion, mask_of(images[one.file], lesions[one.lesion]), one.how, one.provenance)
            for one in record.anchors
        ]

    def _image(self, file: str, shape: tuple[int, int]) -> LabelImage:
        image = decode((self.folder / file).read_bytes(), shape)
        if digest_of(image) != file.split(".")[-2]:
            raise damaged()
        return image

    def result(self) -> CaseMasks | None:
        """Return the masks of all frames as the reader saw them last, with the anchors as they are now.

        Of a case that is done they are those that the reader vouches for. None before anything was computed or done.

        Raises
        ------
        ReviewError
            When the files are damaged.
        """
        return self._consistent(self._result)

    def _result(self, record: ReviewRecord) -> CaseMasks | None:
        note = record.result
        if note is None or record.source is None:
            return None
        masks = read_result(self.folder / note.file, record.source, note.model, note.settings)
        return masks.with_anchors(self._anchors(record), record.numbers)

    def _consistent(self, read: Callable[[ReviewRecord], _Read]) -> _Read | None:
        """Read files that a record names; once more where a store replaced them meanwhile."""
        for _ in range(_ATTEMPTS):
            record = self.record()
            if record is None:
                return None
            with contextlib.suppress(FileNotFoundError):
                return read(record)
        raise damaged()

    def anchors_digest(self) -> str | None:
        """Return the SHA-256 (hex) of all that the reader's anchors say, None when there are none.

        Raises
        ------
        ReviewError
        """
        record = self.record()
        if record is None or not record.anchors:
            return None
        content = record.as_json()
        content["source"].pop("pixels", None)  # results of the time before it was known stay as they are
        said = [content[name] for name in ("source", "lesions", "machine_lesions", "anchors")]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def is_held(self) -> bool:
        """Whether somebody is at work on the case."""
        return is_held(self.folder)

    def hold(self) -> Hold:
        """Take the case up, so that nobody else stores anything in it.

        Raises
        ------
        HeldError
            When another has it.
        ReviewError
            When the folder cannot be written.
        """
        self._drawn = DrawnImages()  # whoever had it before may have removed files
        return take(self.folder)

    def store(self, hold: Hold, work: Work) -> ReviewRecord:
        """Store a reader's whole work on the case; only pictures that are new are written.

        Parameters
        ----------
        hold : Hold
            Given by ``hold``.
        work : Work

        Returns
        -------
        ReviewRecord

        Raises
        ------
        HeldError
            When another has taken the case over, or its folder is not where it was; the work is then stored aside, in
            ``OUT/review/READER/.aside``.
        ReviewError
            When the work does not fit itself: an anchor outside the cine, a done case without masks.
        OutputError
            When a file cannot be written; what was stored before is as it was.
        """
        work.check()
        is_there = self.folder.is_dir()
        try:
            record = self._store(work, hold) if is_there else None
        except (HeldError, OutputError):  # who took the case over may have removed files that were being written
            if hold.is_ours():
                raise
        else:
            if record is not None and hold.is_ours():
                self._remove_others(record)
                return record
        aside = self.folder.parent / ASIDE / f"{self.case}-{secrets.token_hex(4)}"
        CaseWork(aside, self.reader, self.case)._store(replace(work, kept=self._copied(work.kept, aside)))
        raise HeldError(_TAKEN_OVER if is_there else _MOVED)

    def _store(self, work: Work, hold: Hold | None = None) -> ReviewRecord:
        lesions = list(dict.fromkeys([*work.lesions, *(one.lesion for one in work.anchors)]))
        table = LabelTable(give_numbers(lesions, work.numbers, removed=work.removed))
        notes = self._drawn.notes(work, table, self._write_image)
        record = ReviewRecord(
            case=self.case,
            reader=self.reader,
            state=work.state,
            reason=work.reason,
            source=work.source,
            lesions=table.lesions(),
            machine_lesions=dict(work.machine_lesions),
            anchors=tuple(notes),
            seconds=round(work.seconds, 1),
            comment=work.comment,
            result=self._write_result(work) if work.result is not None else work.kept,
            removed=tuple(work.removed),
        )
        for folder in (self.folder / ANCHORS, self.folder):
            if folder.is_dir():
                with contextlib.suppress(OSError):  # drives that sync no folders
                    folder_to_disk(folder)
        with atomic_path(self.folder / RECORD) as temporary:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(json.dumps(record.as_json(), indent=1) + "\n")
                file.flush()
                os.fsync(file.fileno())  # here, so that nothing slow is left between the check and the rename
            # the last moment before the commit: what somebody stored who took the case over must not be replaced
            if hold is not None and not hold.is_ours():
                raise HeldError("the case was taken over by somebody else")
        return record

    def _copied(self, kept: ResultNote | None, aside: Path) -> ResultNote | None:
        """Put the masks that were stored last aside, too; None where they are gone: the anchors are what counts."""
        if kept is None:
            return None
        try:
            with atomic_path(aside / kept.file) as temporary:
                shutil.copyfile(self.folder / kept.file, temporary)
        except (OSError, OutputError):
            return None
        return kept

    def _write_image(self, frame: int, image: LabelImage) -> str:
        file = f"{ANCHORS}/{frame:05d}.{digest_of(image)}.png"
        if not (self.folder / file).exists():
            with atomic_path(self.folder / file) as temporary:
                temporary.write_bytes(encode(image))
        return file

    def _write_result(self, work: Work) -> ResultNote:
        result = work.result
        assert result is not None
        file = f"result.{secrets.token_hex(8)}.zip"
        with atomic_path(self.folder / file) as temporary, temporary.open("wb") as stream:
            write_result(stream, result, work.anchors)
        return ResultNote(file, __version__, dict(result.model), dict(result.settings), work.machine)

    def _remove_others(self, record: ReviewRecord) -> None:
        """Remove files of earlier states and of stores that were killed.

        Only what is older than the record: later files are those of somebody who took the case over this very moment.
        """
        places = [*self.folder.glob(f"{ANCHORS}/*.png"), *self.folder.glob("result.*.zip")]
        places += [*self.folder.glob(".*.part*"), *self.folder.glob(f"{ANCHORS}/.*.part*")]
        with contextlib.suppress(OSError):  # another program has one open: the next store removes it
            stored = (self.folder / RECORD).stat().st_mtime_ns
            for path in places:
                if path.relative_to(self.folder).as_posix() not in record.files and path.stat().st_mtime_ns <= stored:
                    path.unlink()
            for path in self.folder.glob(".*.hold"):  # of somebody who was killed while taking the case up
                if stored - path.stat().st_mtime_ns > _NANOSECONDS_UNTIL_LEFT:
                    path.unlink()


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []
