"""Keeps one case of a worklist in the scene: brings it in frame by frame, stores the reader's work, takes it out."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt

from UltrasoundLesionSegLib.errors import HeldError, LesionSegError
from UltrasoundLesionSegLib.gui.cine_loading import CineLoading
from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.library_loading import import_steps
from UltrasoundLesionSegLib.gui.messages import Tone, sentence, tell, telling
from UltrasoundLesionSegLib.reader_work.hold import SECONDS_BETWEEN_BEATS

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.reader_work.record import ReaderAnchor, SourceNote
    from UltrasoundLesionSegLib.review.open_case import OpenCase
    from UltrasoundLesionSegLib.review.scene import SceneCase

STORE_AFTER_MS = 500  # after the last stroke


class CaseKeeper:
    """The open case, or none.

    Parameters
    ----------
    host : Host
    label : qt.QLabel
        Told what goes wrong.
    changed : callable
        Called with the case's name when it was opened, stored or closed.
    """

    def __init__(self, host: Host, label: Any, changed: Callable[[str], None]) -> None:
        self._host = host
        self._label = label
        self._changed = changed
        self._case: SceneCase | None = None
        self._coming: OpenCase | None = None  # held, and on its way into the scene
        self._is_leaving = False
        self._loading = CineLoading(host.root, self._advance)
        self._timer = qt.QTimer(host.root)
        self._timer.setSingleShot(True)
        self._timer.setInterval(STORE_AFTER_MS)
        self._timer.connect("timeout()", self.store)
        # the hold's own thread starves: Slicer lets other Python threads work only while its own waits in Python
        self._beat_timer = qt.QTimer(host.root)
        self._beat_timer.setInterval(round(1000 * SECONDS_BETWEEN_BEATS))
        self._beat_timer.connect("timeout()", self._beat)
        self._beat_timer.start()

    @property
    def name(self) -> str:
        """Name of the open case, '' when none is open."""
        return self._case.case.name if self._case is not None else ""

    @property
    def comment(self) -> str:
        """What the reader wrote to the open case."""
        record = self._case.case.record if self._case is not None else None
        return (record.reason or record.comment) if record is not None else ""

    @property
    def is_shown(self) -> bool:
        """Whether the chosen cine is that of the open case."""
        return self._case is not None and self._host.browser is self._case.browser

    def show(self) -> None:
        """Choose the cine of the open case."""
        if self._case is not None:
            self._host.choose_cine(self._case.browser)

    # ---- deciding between readers

    @property
    def reader(self) -> str:
        """Whose case is open, '' when none is."""
        return self._case.case.reader if self._case is not None else ""

    @property
    def source(self) -> SourceNote:
        """The cine of the open case."""
        assert self._case is not None
        return self._case.source

    @property
    def decided(self) -> set[tuple[int, str]]:
        """Frames and lesions that the reader drew, declared or took from another, as they are stored."""
        record = self._case.case.record if self._case is not None else None
        return {(one.frame, one.lesion) for one in record.anchors} if record is not None else set()

    def take(self, anchor: ReaderAnchor) -> None:
        """Make another reader's mask an anchor of this one."""
        assert self._case is not None
        self._case.take(anchor)

    def segment_of(self, lesion: str) -> str:
        """Return the segment ID of a lesion of the open case, which is added where there is none."""
        assert self._case is not None
        return self._case.segment_of(lesion)

    # ---- opening

    @property
    def running(self) -> bool:
        """Whether a case is being brought into the scene."""
        return self._loading.running

    def open(self, case: OpenCase, source: Path) -> None:
        """Bring a case that is held into the scene; if that fails, let go of it."""
        self._coming = case
        self._loading.start(self._steps(case, source), self._arrived)
        tell(self._label, f"Opening {case.name}...")
        self._host.busy_changed()

    def _steps(self, case: OpenCase, source: Path) -> Generator[int, None, Any]:
        for _ in import_steps("UltrasoundLesionSegLib.review.scene"):
            yield 0
        from UltrasoundLesionSegLib.review.scene import opening_steps

        return (yield from opening_steps(self._host.logic, case, source))

    def _advance(self, work: Callable[[], None]) -> None:
        with telling(self._label):
            work()
            if self._loading.running and self._coming is not None:
                done = f": {self._loading.frames_done} frames" if self._loading.frames_done else "..."
                tell(self._label, f"Opening {self._coming.name}{done}")
        if not self._loading.running:
            self._let_go_of_coming()
            self._host.busy_changed()

    def _arrived(self, case: SceneCase) -> None:
        self._case, self._coming = case, None
        self._host.choose_cine(case.browser)
        self._changed(case.case.name)
        if case.notice:
            tell(self._label, sentence(case.notice), Tone.CAUTION)

    def stop(self) -> None:
        """Bring nothing in any further: the scene is changing, or the reader does not want it."""
        if self._loading.running:
            self._loading.stop()
            tell(self._label, "")
            self._let_go_of_coming()
            self._host.busy_changed()

    def _let_go_of_coming(self) -> None:
        case, self._coming = self._coming, None
        if case is not None:
            case.close()

    def _beat(self) -> None:
        """Say to others that the case is still in somebody's hands."""
        held = self._case.case if self._case is not None else self._coming
        if held is not None:
            held.hold.beat()

    # ---- the reader's work

    def touch(self) -> None:
        """The reader is at work."""
        if self._case is not None and self.is_shown:
            self._case.touch()

    def stroke_drawn(self) -> None:
        """Something was painted: store it soon, once for strokes that follow each other quickly."""
        if self.is_shown and not self._is_leaving:
            self.touch()
            self._timer.start()

    def confirm_shown_frame(self) -> None:
        """Declare the frame shown right, the masks that came with the case included."""
        if self._case is not None and self.is_shown:
            with suppress(LesionSegError):  # section 2, whose button it is, says what is wrong
                self._case.confirm()

    def store(self) -> None:
        """Store the reader's work if it changed."""
        case = self._case
        if case is None or self._is_leaving or not self.is_shown:
            return
        with telling(self._label, clear=False):  # nothing new to store leaves what was said before
            try:
                is_new = case.store(with_masks=not self._host.busy)
            except HeldError:
                self._case = None  # the cine stays in the scene, with everything drawn on it
                case.case.close()  # a folder that was away and comes back would have us as its holder still
                self._changed(case.case.name)
                raise
            if is_new:
                tell(self._label, "")
                self._changed(case.case.name)

    def finish(self, comment: str) -> bool:
        """Declare the case done; returns whether that is stored."""
        case = self._case
        assert case is not None
        with telling(self._label, wait=True):
            self._host.store_edit()
            case.finish(comment)
            return True
        return False

    def set_aside(self, reason: str) -> bool:
        """Set the case aside and close it; returns whether that is stored."""
        case = self._case
        assert case is not None
        with telling(self._label, wait=True):
            self._host.store_edit()
            case.set_aside(reason)
            self._take_out(case)
            return True
        return False

    def close(self) -> bool:
        """Store the case and take it out of the scene; returns whether none is open now."""
        self.stop()
        case = self._case
        if case is None:
            return True
        with telling(self._label, wait=True):
            self._host.store_edit()
            case.store()
            self._take_out(case)
        return self._case is None

    def _take_out(self, case: SceneCase) -> None:
        """Take a case, whose work is stored, out of the scene."""
        self._timer.stop()
        self._is_leaving = True
        try:
            if self.is_shown:
                self._host.choose_cine(None)
            case.close()
        finally:
            self._is_leaving = False
        self._case = None
        self._changed(case.case.name)

    @property
    def lost_its_cine(self) -> bool:
        """Whether the cine of the open case was taken out of the scene by somebody else."""
        return self._case is not None and not self._is_leaving and self._case.browser.GetScene() is None

    def release(self) -> None:
        """Let go of the case, whose work is stored, without touching the scene."""
        self.stop()
        self._timer.stop()
        case, self._case = self._case, None
        if case is not None:
            case.case.close()
            self._changed(case.case.name)

    def cleanup(self) -> None:
        """Let go of the case for good: the panel is about to be destroyed."""
        self.release()
        self._beat_timer.stop()
