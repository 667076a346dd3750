"""Section 4: frames to look at, corrections, undo, names."""

from __future__ import annotations

from typing import Any

import numpy as np
import qt

from UltrasoundLesionSegLib.errors import LesionSegError
from UltrasoundLesionSegLib.gui.frame_annotation import FrameAnnotation, describe_frame
from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.messages import Tone, tell, telling
from UltrasoundLesionSegLib.gui.section import Section
from UltrasoundLesionSegLib.gui.timeline import Timeline, TimelineRow, legend
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.report.wording import counted

DELETE_AGAIN_WITHIN_MS = 5000
# why there is nothing to review
NO_CONFIDENCE = "Nothing to review: these masks have no confidence."
HOW_TO_GET_ONE = "Press Propagate to compute them with one."
HOW_WITHOUT_ANCHOR = "Draw or confirm one frame, then press Propagate to compute the others with one."
ALL_ANCHORS = "Nothing to review: every frame is drawn or declared right."
NOT_DRAWN = "Nothing to review yet: draw the lesion on one frame, then press Propagate."
SUGGESTED = (
    "A model suggested the seed on this frame, and nobody has looked at it: correct it, or press This frame is right."
)
NOT_PROPAGATED = "Nothing to review yet: press Propagate to have the other frames computed."


class ReviewSection(Section):
    """The timeline, the way to the next frame to look at, and the lesions' names."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._timeline = Timeline(self.ui.timelineLabel, host.show_frame)
        self._annotation = FrameAnnotation()
        self._entered = False
        self._seconds: Any = None  # of every frame, None where they are unknown
        self._confidences: dict[str, Any] = {}
        self._anchors: dict[str, dict[int, bool]] = {}
        self._visited: set[int] = set()  # frames already visited in this round
        self._order: list[int] = []  # frames to look at
        self._suggested: list[int] = []  # those of them with a seed that nobody has looked at: all others hang on it
        self._is_new = False  # whether there are results that the line does not describe yet
        self._tool_tip = self.ui.reviewNextButton.toolTip
        self._why_nothing = ""  # why there is nothing to review
        self._delete_asked = ""
        self._delete_timer = qt.QTimer(host.root)
        self._delete_timer.setSingleShot(True)
        self._delete_timer.setInterval(DELETE_AGAIN_WITHIN_MS)
        self._delete_timer.connect("timeout()", self._forget_delete)
        self.ui.timelineLegendLabel.text = legend()
        self.ui.reviewNextButton.connect("clicked(bool)", self.review_next)
        self.ui.propagateAgainButton.connect("clicked(bool)", host.propagate)
        self.ui.undoPropagationButton.connect("clicked(bool)", self.undo)
        self.ui.renameSegmentButton.connect("clicked(bool)", self.rename)
        self.ui.segmentNameEdit.connect("returnPressed()", self.rename)
        self.ui.deleteSegmentButton.connect("clicked(bool)", self.delete)
        self.ui.segmentEditor.connect("currentSegmentIDChanged(QString)", self._segment_selected)

    # ---- showing

    def enter(self) -> None:
        """Write into the view while the module is open."""
        self._entered = True
        self._show_frame_info()

    def leave(self) -> None:
        """Write nothing into the view of others."""
        self._entered = False
        self._annotation.show("")

    def cine_changed(self) -> None:
        """Forget what was said of another cine."""
        tell(self.ui.reviewMessageLabel, "")
        self._forget_delete()
        self._visited.clear()
        self.ui.segmentNameEdit.modified = False
        self._seconds = None
        if self.host.browser is not None:
            try:
                timing = self.logic.cine(self.host.browser).timing
                self._seconds = timing.seconds if timing is not None else None
            except LesionSegError:
                self._seconds = None

    def propagation_ended(self) -> None:
        """Begin another round of review: there are new results."""
        self._visited.clear()
        self._is_new = True

    def drawing_changed(self) -> None:
        """Show the anchor that is being drawn, and segments that were renamed, added or removed elsewhere."""
        self._show_timeline()
        self._show_frame_info()
        self._show_name()
        self.busy_changed()

    def progress_made(self) -> None:
        """Show the confidences that are there by now."""
        self.results_changed()

    def results_changed(self) -> None:
        """Show confidences and anchors."""
        browser = self.host.browser
        self._confidences, self._order, self._suggested = {}, [], []
        if browser is not None and self.host.segmentation() is not None:
            if not self.host.busy:  # while results are computed the list still changes
                self._order = self._frames_to_look_at()
            self._confidences = self.logic.confidences(browser)
        self._show_timeline()
        self._why_nothing = "" if self.host.busy or self._has_results() or self._suggested else self._reason()
        if self._is_new and self._has_results() and not self.host.busy:
            self._is_new = False
            tell(self.ui.reviewMessageLabel, self._outlook(len(self._order)))
        self._show_frame_info()
        self._show_name()

    def _show_timeline(self) -> None:
        browser, segmentation = self.host.browser, self.host.segmentation()
        rows = []
        self._anchors = self.host.anchors() if segmentation is not None else {}
        if segmentation is not None:
            for segment, values in self._confidences.items():
                found = segmentation.GetSegmentation().GetSegment(segment)
                name = found.GetName() if found is not None else segment
                rows.append(TimelineRow(name, values, self._anchors.get(segment, {})))
        frames = browser.GetNumberOfItems() if browser is not None else 0
        self._timeline.show(rows, frames, self._current(), self._order)

    def frame_changed(self) -> None:
        """Show where the cine stands."""
        self._timeline.show_current(self._current())
        self._show_frame_info()

    def busy_changed(self) -> None:
        """Leave the results alone while they are being made."""
        free = self.host.browser is not None and not self.host.busy
        has_results = free and self._has_results()
        has_segment = free and bool(self.host.selected_segment())
        self.ui.reviewNextButton.enabled = has_results or (free and bool(self._suggested))
        self.ui.reviewNextButton.toolTip = self._why_nothing or self._tool_tip
        self.ui.propagateAgainButton.enabled = has_results
        self.ui.undoPropagationButton.enabled = free and self.logic.canUndoPropagation(self.host.browser)
        self.ui.segmentNameEdit.enabled = has_segment
        self.ui.renameSegmentButton.enabled = has_segment
        self.ui.deleteSegmentButton.enabled = has_segment

    def _has_results(self) -> bool:
        """Tell whether a model made a mask that is not declared right."""
        return any(np.isfinite(values).any() for values in self._confidences.values())

    def _reason(self) -> str:
        """Say why there is nothing to review where no mask has a confidence."""
        sequence = SegmentationSequence.find(self.host.browser) if self.host.segmentation() is not None else None
        origins = [state.origin for one in self._confidences for state in sequence.states(one)] if sequence else []
        if any(origin is not None and not origin.is_anchor for origin in origins):
            return f"{NO_CONFIDENCE} {HOW_TO_GET_ONE if any(self._anchors.values()) else HOW_WITHOUT_ANCHOR}"
        if any(self._anchors.values()):
            return NOT_PROPAGATED if None in origins else ALL_ANCHORS
        return NOT_DRAWN

    def _current(self) -> int:
        browser = self.host.browser
        return browser.GetSelectedItemNumber() if browser is not None else -1

    def _show_frame_info(self) -> None:
        frame = self._current()
        known = [
            values[frame]
            for segment, values in self._confidences.items()
            if 0 <= frame < len(values) and frame not in self._anchors.get(segment, {})
        ]
        finite = [value for value in known if np.isfinite(value)]
        self._annotate(frame, min(finite) if finite else None)
        if frame < 0:
            tell(self.ui.reviewInfoLabel, "")
        elif finite:
            tell(self.ui.reviewInfoLabel, f"Frame {frame}: confidence {min(finite):.2f}.")
        else:
            goes_without_saying = self._why_nothing in (NOT_DRAWN, NOT_PROPAGATED)
            why = "" if goes_without_saying else f" {self._why_nothing}"
            tell(self.ui.reviewInfoLabel, f"Frame {frame}.{why}".rstrip())

    def _annotate(self, frame: int, confidence: float | None) -> None:
        if not self._entered or frame < 0:
            self._annotation.show("")
            return
        seconds = float(self._seconds[frame]) if self._seconds is not None else None
        self._annotation.show(describe_frame(frame, self.host.browser.GetNumberOfItems(), seconds, confidence))

    # ---- reviewing

    def review_next(self) -> None:
        """Go to the frame whose correction is expected to win most, of those not gone to in this round."""
        with telling(self.ui.reviewMessageLabel):
            self.host.store_edit()
            left = [frame for frame in self._frames_to_look_at() if frame not in self._visited]
            if not left:
                tell(self.ui.reviewMessageLabel, self._outlook(0), Tone.GOOD)
                return
            self._visited.add(left[0])
            self.host.show_frame(left[0])
            lines = [SUGGESTED] if left[0] in self._suggested else []
            if len(left) > 1 or not lines:
                lines.append(self._outlook(len(left) - 1))
            tell(self.ui.reviewMessageLabel, " ".join(lines))

    def _frames_to_look_at(self) -> list[int]:
        """Return the frames with a suggested seed, then those whose correction is expected to win something."""
        self._suggested = self.logic.suggestedSeeds(self.host.browser)
        others = self.logic.reviewOrder(self.host.browser)
        return [*self._suggested, *(frame for frame in others if frame not in self._suggested)]

    def _outlook(self, left: int) -> str:
        """Say in words how many more frames are worth a look."""
        if left:
            return f"{left} more {'frame' if left == 1 else 'frames'} to look at."
        if self._suggested:
            seeds = "seeds" if len(self._suggested) > 1 else "the seed"
            return f"Nothing else to look at than {seeds} that a model suggested."
        if not any(np.isfinite(values).any() for values in self.logic.confidences(self.host.browser).values()):
            return "Every frame is drawn or declared right."
        return "Nothing further expected: no other correction should improve much."

    def undo(self) -> None:
        """Take the last propagation back."""
        with telling(self.ui.reviewMessageLabel, wait=True):
            self.host.store_edit()
            self.logic.undoPropagation(self.host.browser)
            self.host.results_changed()
            tell(self.ui.reviewMessageLabel, "The last propagation was taken back; what you drew is as it was.")

    # ---- names

    def _segment_selected(self, _segment: str) -> None:
        self.ui.segmentNameEdit.text = self.host.selected_name()
        self.busy_changed()
        self._forget_delete()

    def _show_name(self) -> None:
        if not self.ui.segmentNameEdit.modified:  # what is being typed stays
            self.ui.segmentNameEdit.text = self.host.selected_name()

    def rename(self) -> None:
        """Give the selected lesion the name typed, on all frames."""
        with telling(self.ui.reviewMessageLabel):
            self.host.store_edit()
            self.logic.renameSegment(self.host.browser, self.host.selected_segment(), self.ui.segmentNameEdit.text)
            self.ui.segmentNameEdit.modified = False
            self.host.results_changed()

    def delete(self) -> None:
        """Delete the selected lesion on all frames, when pressed twice."""
        segment = self.host.selected_segment()
        if self._delete_asked != segment:
            self._delete_asked = segment
            self.ui.deleteSegmentButton.text = "Delete on all frames?"
            self._delete_timer.start()
            return
        self._forget_delete()
        with telling(self.ui.reviewMessageLabel):
            self.host.store_edit()
            beside = self.logic.removeSegment(self.host.browser, segment)
            self.host.results_changed()
            if beside:
                where = counted(len(beside), "frame")
                tell(self.ui.reviewMessageLabel, f"It touched others on {where}: propagate again to compute those.")

    def _forget_delete(self) -> None:
        self._delete_asked = ""
        self._delete_timer.stop()
        self.ui.deleteSegmentButton.text = "Delete"

    def cleanup(self) -> None:
        """Stop asking and listening."""
        self._annotation.show("")
        self._delete_timer.stop()
        self._timeline.stop()
