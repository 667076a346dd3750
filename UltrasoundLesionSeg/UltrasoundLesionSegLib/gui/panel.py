"""The panel: the chosen cine, and what passes between the sections."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk

from UltrasoundLesionSegLib.errors import LesionSegError
from UltrasoundLesionSegLib.gui.cine_section import CineSection
from UltrasoundLesionSegLib.gui.cine_views import CineViews, show_lesions_of
from UltrasoundLesionSegLib.gui.click_section import ClickSection
from UltrasoundLesionSegLib.gui.dependency_section import DependencySection
from UltrasoundLesionSegLib.gui.edits import EditKeeper
from UltrasoundLesionSegLib.gui.export_section import ExportSection
from UltrasoundLesionSegLib.gui.height_watch import HeightWatch
from UltrasoundLesionSegLib.gui.keyboard_focus import focus_kept
from UltrasoundLesionSegLib.gui.lesion_section import LesionSection
from UltrasoundLesionSegLib.gui.measurement_section import MeasurementSection
from UltrasoundLesionSegLib.gui.propagation_section import PropagationSection
from UltrasoundLesionSegLib.gui.review_section import ReviewSection
from UltrasoundLesionSegLib.gui.section import Section
from UltrasoundLesionSegLib.gui.theme import ThemeWatch
from UltrasoundLesionSegLib.gui.worklist_section import WorklistSection

logger = logging.getLogger(__name__)

RESULTS, TABLES = "results", "tables"
AFTER_SLICERS_CHOICE_MS = 100  # 20 ms after a scene was read, Slicer puts one of its sequences into the toolbar
SHORTCUTS = {
    "Alt+P": "propagateButton",
    "Alt+R": "confirmButton",
    "Alt+N": "reviewNextButton",
    "Alt+J": "nextCaseButton",
    "Alt+D": "finishCaseButton",
}


class Panel:
    """Holds the sections and tells them what changed.

    Parameters
    ----------
    root : qt.QWidget
        The widget of the .ui file.
    ui : object
        Its named widgets as attributes, as ``slicer.util.childWidgetVariables`` gives them.
    logic : UltrasoundLesionWorkflow
    """

    def __init__(self, root: Any, ui: Any, logic: Any) -> None:
        self.root = root
        self.ui = ui
        self.logic = logic
        self.parameters: Any = None
        self.browser: Any = None
        self.edits = EditKeeper(
            self.store_edit,
            self._edit_stored,
            self._frame_changed,
            self._drawn,
            lambda: self._written(RESULTS),
            lambda: self._written(TABLES),
        )
        self._views = CineViews(self.later)
        self._nodes: list[Any] = []
        self._refresh_is_due = False
        self._unseen: set[str] = set()  # of RESULTS and TABLES: stored, and not shown yet
        self._propagation_shown: Any = None  # summary of the last propagation whose results are shown
        self._drawing_is_due = False
        self._drawing_shown: tuple[int, dict[str, bool | None], list[str]] | None = None
        self._alive = True
        self.dependencies = DependencySection(self)
        self.propagation = PropagationSection(self)
        self.sections: tuple[Section, ...] = (
            self.dependencies,
            WorklistSection(self),
            CineSection(self),
            LesionSection(self),
            ClickSection(self),
            self.propagation,
            ReviewSection(self),
            MeasurementSection(self),
            ExportSection(self),
        )
        scene = slicer.mrmlScene
        self._scene_tags = [
            scene.AddObserver(scene.NodeAboutToBeRemovedEvent, self._node_about_to_be_removed),
            scene.AddObserver(scene.NodeRemovedEvent, self._node_removed),
        ]
        self._theme, self._height = ThemeWatch(root), HeightWatch(root)
        self._shortcuts = [self._shortcut(keys, name) for keys, name in SHORTCUTS.items()]
        self.show_cine(None)

    # ---- the module and its scene

    def prepare(self) -> None:
        """Make the nodes that the sections need in a new scene."""
        for section in self.sections:
            section.prepare()

    def enter(self) -> None:
        """Show the present state: the module is shown."""
        self._views.enter()
        if self.busy:  # a propagation continues while other modules are open
            self._show_in_views()
        else:
            self.refresh()
        for section in self.sections:
            section.enter()

    def scene_was_read(self) -> None:
        """Show what a scene that was just read brought."""
        self._views.scene_was_read()
        self.refresh()
        self.later(self._show_in_views, AFTER_SLICERS_CHOICE_MS)

    def leave(self) -> None:
        """Keep what was drawn and listen to no keys: another module is shown."""
        self.store_edit()
        for section in self.sections:
            section.leave()
        self._views.leave()

    def cancel(self) -> None:
        """Stop what is being computed; what is done stays."""
        for section in self.sections:
            section.cancel()

    def let_go(self) -> None:
        """Let go of the scene's nodes: it is about to be closed."""
        for section in self.sections:
            section.let_go()
        self._views.scene_is_closed()

    # ---- what is chosen

    def use_parameters(self, parameters: Any | None) -> None:
        """Work with this parameter node (None while a scene is closed) and show the cine it names."""
        self.parameters = parameters
        self.follow_parameters()

    def follow_parameters(self) -> None:
        """Show the cine and the choices that the parameter node names."""
        if slicer.mrmlScene.IsImporting():
            return  # during an import nodes are still missing; its end shows everything
        wanted = self.parameters.browser if self.parameters is not None else None
        if wanted == self.browser:
            for section in self.sections:
                section.choices_changed()
            return
        self.show_cine(wanted)

    def choose_cine(self, browser: Any) -> None:
        """Make this the chosen cine."""
        if self.parameters is not None:
            self.parameters.browser = browser
        self.follow_parameters()

    def show_cine(self, browser: Any | None) -> None:
        """Show another cine, or none."""
        self.cancel()
        self.store_edit()
        before, self.browser = self.browser, browser
        self._forget_choices(before)  # each change comes back here, and finds the cine chosen already
        self.refresh()

    def _forget_choices(self, before: Any | None) -> None:
        """Take back what was chosen for the cine shown before."""
        if self.parameters is None:
            return
        self.parameters.pixelsAllowed = False  # somebody looked at the other cine, not at this one
        if before is not None and self.browser is not None:
            self.parameters.firstFrame, self.parameters.lastFrame = 0, -1

    @property
    def busy(self) -> bool:
        """Whether a section is computing results."""
        return any(section.running for section in self.sections)

    def segmentation(self) -> Any | None:
        """Return the segmentation shown with the chosen cine, None where there is none."""
        if self.browser is None:
            return None
        try:
            return self.logic.segmentationNode(self.browser)
        except LesionSegError:
            return None

    def selected_segment(self) -> str:
        """Return the ID of the lesion selected in the editor, '' when there is none."""
        segmentation = self.segmentation()
        chosen = self.ui.segmentEditor.currentSegmentID()
        known = segmentation is not None and segmentation.GetSegmentation().GetSegment(chosen) is not None
        return chosen if known else ""

    def selected_name(self) -> str:
        """Return the name of the lesion selected in the editor, '' when there is none."""
        segmentation, segment = self.segmentation(), self.selected_segment()
        if segmentation is None or not segment:
            return ""
        return str(segmentation.GetSegmentation().GetSegment(segment).GetName())

    def anchors(self) -> dict[str, dict[int, bool]]:
        """Return the anchors by segment ID, with what is drawn on the frame shown and not stored yet."""
        if self.browser is None:
            return {}
        try:
            anchors = self.logic.anchors(self.browser)
            absent = self.logic.framesNotVisible(self.browser)
            frame, painted = self.edits.painted()
        except LesionSegError:
            return {}
        seen = {one: {each: each not in absent[one] for each in frames} for one, frames in anchors.items()}
        for segment, is_drawn in painted.items():
            others = {each: drawn for each, drawn in seen.get(segment, {}).items() if each != frame}
            seen[segment] = dict(sorted((others if is_drawn is None else others | {frame: is_drawn}).items()))
        return seen

    def last_propagation(self) -> Any | None:
        """Return what the last propagation of the chosen cine did, None where there was none."""
        try:
            return self.logic.lastPropagation(self.browser) if self.browser is not None else None
        except LesionSegError:
            return None

    def device_name(self) -> str:
        """Return the device chosen to compute on, as the workflow names it."""
        return str(self.parameters.device.value) if self.parameters is not None else "auto"

    # ---- what sections want to happen

    @property
    def shows_charts(self) -> bool:
        """Whether charts and table are beside the cine."""
        return self._views.shows_charts

    def show_charts(self, shown: bool) -> None:
        """Show charts and table beside the cine, or the cine alone."""
        self._views.show_charts(shown)

    def offer(self, purpose: str, label: Any) -> bool:
        """Return whether the packages for a purpose are there; otherwise say in a label what to do."""
        return self.dependencies.offer(purpose, label)

    def propagate(self) -> None:
        """Start propagating with the choices made."""
        self.propagation.start()

    # ---- what changed

    def refresh(self) -> None:
        """Read everything again from the scene."""
        self._refresh_is_due = False
        self.edits.watch(self.browser)
        self.nodes_changed()
        self._show_in_views()
        for section in self.sections:
            section.cine_changed()
        self._unseen.discard(TABLES)
        self._propagation_shown = self.last_propagation()
        self.results_changed()

    def results_changed(self) -> None:
        """Tell the sections that masks, anchors, confidences or segments changed."""
        self._unseen.discard(RESULTS)
        self._drawing_shown = None  # the sections show everything anew, a drawing that is stored no more included
        with focus_kept(self.root):
            for section in self.sections:
                section.results_changed()
            self.busy_changed()

    def busy_changed(self) -> None:
        """Tell the sections that what can be done is different: a propagation began or ended, lesions came or went."""
        with focus_kept(self.root):
            for section in self.sections:
                section.busy_changed()
        if self._unseen and not self.busy:
            self.later(self._show_written)

    def nodes_changed(self) -> None:
        """Remember the cine's nodes again, after some were made."""
        self.edits.guard()
        self._nodes = self.logic.nodesOf(self.browser) if self.browser is not None else []

    def store_edit(self) -> None:
        """Store what was drawn on the frame shown. Safe at any moment; if it fails, the drawing stays where it is."""
        if self.browser is None or self.browser.GetScene() is None:
            return
        try:
            changed = self.logic.commitEdit(self.browser)
        except LesionSegError as error:
            logger.debug("nothing stored: %s", error)
            return
        if changed:
            self.results_changed()

    def show_frame(self, frame: int) -> None:
        """Go to a frame."""
        if self.browser is not None and self.browser.GetScene() is not None:
            self.browser.SetSelectedItemNumber(frame)

    def progress_made(self) -> None:
        """Tell the sections that more frames have results while the rest is still being computed."""
        for section in self.sections:
            section.progress_made()

    def propagation_ended(self) -> None:
        """Tell the sections that a propagation is over, done or not."""
        for section in self.sections:
            section.propagation_ended()
        self._propagation_shown = self.last_propagation()
        self.nodes_changed()
        self.results_changed()

    def tables_changed(self) -> None:
        """Tell the sections that tables and charts were made or filled."""
        self._unseen.discard(TABLES)
        self.nodes_changed()
        for section in self.sections:
            section.tables_changed()
        self.busy_changed()

    def packages_changed(self) -> None:
        """Tell the sections that Python packages were installed."""
        for section in self.sections:
            section.packages_changed()

    def models_changed(self) -> None:
        """Tell the sections that there are other models than before."""
        for section in self.sections:
            section.models_changed()

    def later(self, action: Callable[[], None], milliseconds: int = 0) -> None:
        """Do something after the present event: VTK's observers must not change the scene that is calling them."""
        qt.QTimer.singleShot(milliseconds, lambda: action() if self._alive else None)

    def cleanup(self) -> None:
        """Let go of everything; the widgets are about to be destroyed."""
        self.store_edit()
        self._alive = False
        for section in self.sections:
            section.cleanup()
        self._views.leave()
        show_lesions_of(None)
        for shortcut in self._shortcuts:
            shortcut.enabled = False  # a reloaded module's old widgets stay, hidden
        self._theme.stop()
        self._height.stop()
        self.edits.stop()
        for tag in self._scene_tags:
            slicer.mrmlScene.RemoveObserver(tag)
        self.parameters = None
        self.browser = None
        self._nodes = []

    # ---- inside

    def _show_in_views(self) -> None:
        browser = self.browser
        in_scene = browser is not None and browser.GetScene() is not None
        self._views.show(browser, self.logic.volumeNode(browser) if in_scene else None)

    def _edit_stored(self, frame: int, segments: list[str]) -> None:
        """Something drawn was stored while Slicer changes the browser; it is shown when Slicer is done."""
        self.logic.creditDrawing(self.browser, frame, segments)

    def _written(self, what: str) -> None:
        """Show what anybody stored, Slicer's console too, once for all of the present event.

        What the panel's own sections store is shown by then.
        """
        if not self._unseen:
            self.later(self._show_written)
        self._unseen.add(what)

    def _show_written(self) -> None:
        if self.busy or self.browser is None or self.browser.GetScene() is None:
            return  # what is being computed is shown when it ends
        if TABLES in self._unseen:
            self.tables_changed()
        if RESULTS not in self._unseen:
            return
        last = self.last_propagation()
        if last is not self._propagation_shown and (last is None or last.frames_computed or last.frames_unfinished):
            self.propagation_ended()
        else:
            self.results_changed()

    def _drawn(self) -> None:
        """React to strokes and to names typed in the editor, once for all changes of the present event."""
        if not self._drawing_is_due and not self.busy:
            self._drawing_is_due = True
            self.later(self._show_drawing)

    def _show_drawing(self) -> None:
        self._drawing_is_due = False
        if self.browser is None or self.browser.GetScene() is None:
            return
        for section in self.sections:
            section.stroke_drawn()
        frame, painted = self.edits.painted()
        segmentation = self.segmentation()
        segments = segmentation.GetSegmentation() if segmentation is not None else None
        names = [segments.GetSegment(one).GetName() for one in segments.GetSegmentIDs()] if segments else []
        drawing = (frame if painted else -1, painted, names)
        if drawing != self._drawing_shown:  # nothing to do if only the frame changed
            self._drawing_shown = drawing
            for section in self.sections:
                section.drawing_changed()

    def _frame_changed(self) -> None:
        for section in self.sections:
            section.frame_changed()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _node_about_to_be_removed(self, scene: Any, _event: Any, node: Any) -> None:
        """Store what is drawn on a segmentation that somebody deletes: its frames are kept elsewhere."""
        if node in self._nodes and not scene.IsClosing():
            self.store_edit()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _node_removed(self, scene: Any, _event: Any, node: Any) -> None:
        """React to the removal of a node of the cine or the editor, once for all nodes removed together."""
        if node is self.ui.segmentEditor.mrmlSegmentEditorNode() and not scene.IsClosing():
            self.later(self._edit_with_a_new_node)
        if node not in self._nodes:
            return
        for section in self.sections:
            section.stop()
        if node is self.browser:
            self.browser = None
        if not self._refresh_is_due:
            self._refresh_is_due = True
            self.later(self._refresh_if_alive)

    def _edit_with_a_new_node(self) -> None:
        self.ui.clickButton.checked = False  # it listens to the editor's old node
        self.prepare()
        self.refresh()

    def _refresh_if_alive(self) -> None:
        if not self._refresh_is_due:
            return
        browser = self.browser
        if browser is not None and (browser.GetScene() is None or browser.GetMasterSequenceNode() is None):
            self.browser = None
            if self.parameters is not None:
                self.parameters.browser = None  # a browser whose frames were deleted is still in the scene
        self.refresh()

    def _shortcut(self, keys: str, button_name: str) -> Any:
        shortcut = qt.QShortcut(qt.QKeySequence(keys), self.root)
        button = getattr(self.ui, button_name)
        shortcut.connect("activated()", lambda: button.click())
        return shortcut
