"""What readers did to the cases of a batch, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.reader_work.record import ReaderAnchor, ReviewState
from UltrasoundLesionSegLib.reader_work.results import read_machine_result
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder
from UltrasoundLesionSegLib.reader_work.work import Work


def square(size: int = 20) -> NDArray[np.bool_]:
    """Return a mask of the size of ``clip_of_moving_discs``, with a square in it."""
    mask = np.zeros((96, 128), bool)
    mask[30 : 30 + size, 40 : 40 + size] = True
    return mask


def store_as_done(output: Path, reader: str, case: str, anchors: Sequence[ReaderAnchor]) -> None:
    """Store a reader's case as done: the anchors, and in between what the machine found."""
    machine = read_machine_result(output / "cases" / case)
    assert machine is not None
    work = ReviewFolder(output).work(reader, case)
    with work.hold() as hold:
        result = machine.with_anchors(anchors)
        work.store(hold, Work(machine.source, anchors, state=ReviewState.DONE, result=result))
