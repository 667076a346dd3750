"""A reader's whole work on a case, as it is to be stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.reader_work.label_images import LabelImage, LabelTable
from UltrasoundLesionSegLib.reader_work.record import (
    AnchorNote,
    LesionLabels,
    ReaderAnchor,
    ResultNote,
    ReviewState,
    SourceNote,
)
from UltrasoundLesionSegLib.reader_work.results import CaseMasks


@dataclass(frozen=True)
class Work:
    """A reader's whole work on a case, as it is to be stored.

    Parameters
    ----------
    source : SourceNote or None
    anchors : sequence of ReaderAnchor
    lesions : sequence of str
        Names in order; further ones of the anchors are added.
    machine_lesions : mapping of str to str or None
        See ``ReviewRecord``.
    state : ReviewState
    reason : str
        Of a case that is set aside.
    seconds : float
    comment : str
    result : CaseMasks or None
        The masks of all frames as the reader sees them, with the model and the settings that made those between
        anchors. A case that is done needs them: the reader vouches for them.
    kept : ResultNote or None
        Instead of ``result``: the masks that were stored last are still those that the reader sees, but for anchors.
    machine : str
        Digest of the machine's result (``CaseMasks.digest``) that is there while ``result`` is stored.
    numbers : mapping of str to int
        Those of the lesions that have one already (``give_numbers``).
    removed : sequence of int
        Numbers of lesions that were removed.
    """

    source: SourceNote | None
    anchors: Sequence[ReaderAnchor] = ()
    lesions: Sequence[str] = ()
    machine_lesions: Mapping[str, str | None] = field(default_factory=dict)
    state: ReviewState = ReviewState.IN_WORK
    reason: str = ""
    seconds: float = 0.0
    comment: str = ""
    result: CaseMasks | None = None
    kept: ResultNote | None = None
    machine: str = ""
    numbers: Mapping[str, int] = field(default_factory=dict)
    removed: Sequence[int] = ()

    def check(self) -> None:
        """Raise ``ReviewError`` when the work does not fit itself."""
        if self.anchors and self.source is None:
            raise ReviewError("the anchors are of no known cine; say which source they were drawn on")
        for one in self.anchors:
            assert self.source is not None
            if not 0 <= one.frame < self.source.frames or one.mask.shape != self.source.shape:
                raise ReviewError(
                    f"the anchor on frame {one.frame} does not fit the cine of {self.source.frames} frames of "
                    f"{self.source.height} x {self.source.width} pixels; store anchors of this cine"
                )
        if len({(one.frame, one.lesion) for one in self.anchors}) < len(self.anchors):
            raise ReviewError("a lesion has two anchors on one frame; store one of them")
        if self.state is ReviewState.DONE and self.result is None:
            raise ReviewError("a case that is done needs the masks of all frames")
        if self.result is not None and (self.source is None or not self.result.source.is_same(self.source)):
            raise ReviewError("the masks are of another cine than the anchors; store those of this cine")
        if (self.state is ReviewState.SET_ASIDE) != bool(self.reason):
            raise ReviewError("a case that is set aside needs a reason, and only such a case has one")


@dataclass
class DrawnImages:
    """The label images written last, so that a store looks at the pixels of changed frames alone.

    Parameters
    ----------
    table : tuple of LesionLabels
        The lesions that they have labels of.
    files : dict of int to (tuple of ReaderAnchor, str)
        By frame: the anchors on it, and the name of the image that shows them.
    """

    table: tuple[LesionLabels, ...] = ()
    files: dict[int, tuple[tuple[ReaderAnchor, ...], str]] = field(default_factory=dict)

    def notes(self, work: Work, table: LabelTable, write: Callable[[int, LabelImage], str]) -> list[AnchorNote]:
        """Write the images of frames that changed since the last call; return how the record names all anchors.

        Parameters
        ----------
        work : Work
        table : LabelTable
            Of all its lesions.
        write : callable
            Takes a frame and its label image, returns the file's name.
        """
        by_frame: dict[int, list[ReaderAnchor]] = {}
        for one in work.anchors:
            by_frame.setdefault(one.frame, []).append(one)
        before, is_same_table = self.files, table.lesions() == self.table
        self.files, notes = {}, []
        for frame, anchors in sorted(by_frame.items()):
            assert work.source is not None
            known, file = before.get(frame, ((), ""))
            is_same = is_same_table and len(known) == len(anchors)
            if not (is_same and all(one is other for one, other in zip(known, anchors, strict=True))):
                masks: Mapping[str, Mask] = {one.lesion: one.mask for one in anchors}
                file = write(frame, table.image(masks, work.source.shape))
            self.files[frame] = tuple(anchors), file
            notes += [AnchorNote(frame, one.lesion, one.how, one.provenance, file) for one in anchors]
        self.table = table.lesions()
        return notes
