"""Section 2: drawing lesions, suggestions, anchors."""

from __future__ import annotations

from functools import partial
from typing import Any

import slicer

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.gui.editor_layout import close_the_gap, narrow, reserve_width
from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.loading_first import LoadingFirst
from UltrasoundLesionSegLib.gui.masking import describe_masking, draw_mask, other_segments, shown_mask
from UltrasoundLesionSegLib.gui.messages import PassingMessage, Tone, tell, telling

EFFECTS = ("Paint", "Draw", "Erase", "Threshold", "Smoothing", "Scissors")
EDITOR_TAG = "UltrasoundLesionSeg"  # an editor node of our own: Slicer's Segment Editor module keeps its settings
HINT = "Press Click and drag a box around the lesion on one frame, or press New lesion and paint it, or press Suggest."
LISTED_ANCHORS = 12


class LesionSection(LoadingFirst):
    """The embedded Segment Editor and what makes a frame an anchor."""

    def __init__(self, host: Host) -> None:
        super().__init__(host, host.ui.lesionMessageLabel)
        self._tool_before = ""  # switched off by a propagation
        self._passing = PassingMessage(self.ui.lesionMessageLabel, self._drawing)
        self._suggests_again = False  # another module was opened while a suggestion waited for the libraries
        self.ui.segmentEditor.setEffectNameOrder(list(EFFECTS))
        close_the_gap(self.ui.segmentEditor)
        narrow(self.ui.segmentEditor, EFFECTS)
        reserve_width(self.ui.segmentEditor, EFFECTS)
        self.ui.newLesionButton.connect("clicked(bool)", self.new_lesion)
        self.ui.suggestButton.connect("clicked(bool)", self.suggest_or_cancel)
        self.ui.confirmButton.connect("clicked(bool)", self.confirm)
        self.ui.notVisibleButton.connect("clicked(bool)", self.mark_not_visible)
        self.ui.releaseButton.connect("clicked(bool)", self.release)

    # ---- the editor

    def prepare(self) -> None:
        """Give the editor its parameter node, making one when the scene has none; a scene's tool stays off."""
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(EDITOR_TAG, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = scene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag(EDITOR_TAG)
            node = scene.AddNode(node)
        self.ui.segmentEditor.setMRMLSegmentEditorNode(node)
        self.ui.segmentEditor.setActiveEffect(None)  # else the first click into a scene just opened would draw or erase

    def enter(self) -> None:
        """The module is shown: keys select effects and segments."""
        self.ui.segmentEditor.installKeyboardShortcuts()
        self.ui.segmentEditor.updateWidgetFromMRML()
        if self._suggests_again:
            self.suggest()

    def leave(self) -> None:
        """Another module is shown: stop drawing with the mouse. A suggestion is not drawn where nobody sees it."""
        suggests_again = self.running
        self.stop()
        self._suggests_again = suggests_again
        self._tool_before = ""
        self.ui.segmentEditor.setActiveEffect(None)
        self.ui.segmentEditor.uninstallKeyboardShortcuts()
        self.ui.segmentEditor.removeViewObservations()

    def let_go(self) -> None:
        """The scene is about to be closed."""
        self.ui.segmentEditor.setActiveEffect(None)
        self.ui.segmentEditor.setSegmentationNode(None)
        self.ui.segmentEditor.removeViewObservations()

    def cine_changed(self) -> None:
        """Edit the chosen cine's segmentation."""
        tell(self.ui.lesionMessageLabel, "")
        self._show_segmentation()

    def _show_segmentation(self) -> None:
        segmentation, volume = self.host.segmentation(), None
        if self.host.browser is not None:
            volume = self.logic.volumeNode(self.host.browser)
        if self.ui.segmentEditor.mrmlSegmentEditorNode() is None:
            return
        self.ui.segmentEditor.setSegmentationNode(segmentation)
        self.ui.segmentEditor.setSourceVolumeNode(volume if segmentation is not None else None)
        self.ui.segmentEditor.enabled = segmentation is not None
        # Slicer's undo learns of the segmentation by an event of this node, which is held back while a scene is read
        self.host.later(self.ui.segmentEditor.mrmlSegmentEditorNode().Modified)
        self.host.nodes_changed()

    def frame_changed(self) -> None:
        """Forget the undo states: they belong to the frame left, and would bring its drawing to this one."""
        self.ui.segmentEditor.setUndoEnabled(True)
        self._passing.check()

    def results_changed(self) -> None:
        """Show the anchors, and the segmentation when it was just made."""
        segmentation = self.host.segmentation()
        if segmentation != self.ui.segmentEditor.segmentationNode():
            self._show_segmentation()
        self._show_anchors()

    def drawing_changed(self) -> None:
        """Show the anchor that is being drawn, and names typed in the editor."""
        self._show_anchors()

    def stroke_drawn(self) -> None:
        """Say no more of a suggestion that was corrected or undone, nor of a frame without a mask that has one."""
        self._passing.check()

    def propagation_ended(self) -> None:
        """Say no more of a frame that was computed."""
        self._passing.check()

    def _drawing(self) -> Any:
        """Return the frame shown, the selected lesion and its mask there."""
        browser, segment = self.host.browser, self.host.selected_segment()
        mask = shown_mask(self.ui.segmentEditor.mrmlSegmentEditorNode(), segment).tobytes() if segment else b""
        return browser.GetSelectedItemNumber() if browser is not None else -1, segment, mask

    def stop(self) -> None:
        """Suggest nothing, now or later."""
        self._suggests_again = False
        super().stop()

    def busy_changed(self) -> None:
        """Allow no drawing while the model writes; the tool that was on is on again afterwards."""
        free = self.host.browser is not None and not self.host.busy
        has_segments = free and self.host.segmentation() is not None
        if self.host.busy and not self.ui.segmentEditor.readOnly:
            effect = self.ui.segmentEditor.activeEffect()
            self._tool_before = str(effect.name) if effect else ""
        self.ui.segmentEditor.readOnly = self.host.busy
        if self._tool_before and not self.host.busy:
            self.ui.segmentEditor.setActiveEffectByName(self._tool_before)
            self._tool_before = ""
        self.ui.newLesionButton.enabled = free
        self.ui.suggestButton.text = "Cancel" if self.running else "Suggest"
        self.ui.suggestButton.enabled = free or self.running
        self.ui.confirmButton.enabled = has_segments
        self.ui.notVisibleButton.enabled = has_segments
        self.ui.releaseButton.enabled = has_segments

    # ---- buttons

    def new_lesion(self) -> None:
        """Add a segment and start painting."""
        with telling(self.ui.lesionMessageLabel):
            self.host.store_edit()
            segment = self.logic.addSegment(self.host.browser)
            self._show_segmentation()
            self.host.results_changed()
            self.ui.segmentEditor.setCurrentSegmentID(segment)
            self.ui.segmentEditor.setActiveEffectByName("Paint")

    def suggest_or_cancel(self) -> None:
        """What the button does."""
        if self.running:
            self.cancel()
            self.host.results_changed()
            tell(self.ui.lesionMessageLabel, "Cancelled; nothing was drawn.")
        else:
            self.suggest()

    def suggest(self) -> None:
        """Draw what a model sees on this frame into the selected segment; undo takes it away."""
        self._suggests_again = False
        if self.host.browser is not None and self.host.offer("compute", self.ui.lesionMessageLabel):
            self.load_then(partial(self._suggest, self.host.browser.GetSelectedItemNumber()))

    def _suggest(self, frame: int) -> None:
        with telling(self.ui.lesionMessageLabel, wait=True):
            self.host.show_frame(frame)  # the user may have looked at others while the libraries were loaded
            mask = self.logic.suggest(self.host.browser, device=self.host.device_name())
            if not mask.any():
                self._tell("The model sees no lesion on this frame.", Tone.CAUTION)
                return
            segment = self.host.selected_segment()
            if not segment:
                self.new_lesion()
                segment = self.host.selected_segment()
            self._draw_suggestion(mask, segment)

    def _draw_suggestion(self, mask: Mask, segment: str) -> None:
        editor_node = self.ui.segmentEditor.mrmlSegmentEditorNode()
        parameters = self.host.parameters
        if parameters is None or not parameters.allowOverlap:
            mask = mask & ~other_segments(editor_node, segment)
        if not mask.any():
            self._tell("What the model sees on this frame belongs to another lesion already.", Tone.CAUTION)
            return
        self.ui.segmentEditor.saveStateForUndo()
        draw_mask(mask, editor_node, segment)
        limits = describe_masking(editor_node)
        text = "This is a suggestion: correct it, undo it, or go on if it is right."
        self._tell(f"{text} {limits}".strip(), Tone.CAUTION if limits else Tone.PLAIN)

    def _tell(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        """Say something of the frame shown, as long as it is shown as it is."""
        tell(self.ui.lesionMessageLabel, text, tone)
        self._passing.said()

    def confirm(self) -> None:
        """Make this frame an anchor."""
        with telling(self.ui.lesionMessageLabel):
            self.logic.confirmFrame(self.host.browser)
            self.host.results_changed()

    def mark_not_visible(self) -> None:
        """Make this frame an anchor without the selected lesion."""
        with telling(self.ui.lesionMessageLabel):
            self.logic.markNotVisible(self.host.browser, segment=self.host.selected_segment() or None)
            self.host.results_changed()

    def release(self) -> None:
        """Make this frame an ordinary one again; its mask stays until it is computed."""
        with telling(self.ui.lesionMessageLabel):
            self.logic.releaseAnchor(self.host.browser)
            self.host.results_changed()
            frame = self.host.browser.GetSelectedItemNumber()
            self._tell(f"Frame {frame} is no anchor any more: propagate again to have its mask computed.")

    def _show_anchors(self) -> None:
        segmentation = self.host.segmentation()
        if segmentation is None:
            has_images = self.host.browser is not None and self.logic.volumeNode(self.host.browser) is not None
            tell(self.ui.anchorsLabel, HINT if has_images else "")
            return
        lines = []
        for segment, frames in self.host.anchors().items():
            found = segmentation.GetSegmentation().GetSegment(segment)
            if found is not None and frames:
                drawn = [frame for frame, seen in frames.items() if seen]
                absent = [frame for frame, seen in frames.items() if not seen]
                parts = [f"on {_listed(drawn)}"] if drawn else []
                parts += [f"not visible on {_listed(absent)}"] if absent else []
                lines.append(f"{found.GetName()} {', '.join(parts)}")
        text = "Anchors: " + "; ".join(lines) + "." if lines else "No anchors yet: draw the lesion on one frame."
        tell(self.ui.anchorsLabel, text)


def _listed(frames: list[int]) -> str:
    """Return frames in words: "frames 3, 8", at most LISTED_ANCHORS of them."""
    more = f" and {len(frames) - LISTED_ANCHORS} more" if len(frames) > LISTED_ANCHORS else ""
    return f"{'frames' if len(frames) > 1 else 'frame'} {', '.join(map(str, frames[:LISTED_ANCHORS]))}{more}"
