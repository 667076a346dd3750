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
from UltrasoundLesionSegLib.gui.dependency_section import DependencySection
from UltrasoundLesionSegLib.gui.edits import EditKeeper
from UltrasoundLesionSegLib.gui.export_section import ExportSection
from UltrasoundLesionSegLib.gui.lesion_section import LesionSection
from UltrasoundLesionSegLib.gui.measurement_section import MeasurementSection
from UltrasoundLesionSegLib.gui.propagation_section import PropagationSection
from UltrasoundLesionSegLib.gui.review_section import ReviewSection

logger = logging.getLogger(__name__)

SHORTCUTS = {"Alt+P": "propagateButton", "Alt+R": "confirmButton", "Alt+N": "reviewNextButton"}


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
        self.edits = EditKeeper(self.store_edit, self._edit_stored, self._frame_changed)
        self._nodes: list[Any] = []
        self._refresh_is_due = False
        self._alive = True
        self.dependencies = DependencySection(self)
        self.cine = CineSection(self)
        self.lesion = LesionSection(self)
        self.propagation = PropagationSection(self)
        self.review = ReviewSection(self)
        self.measurement = MeasurementSection(self)
        self.export = ExportSection(self)
        self.sections = (
            self.dependencies,
            self.cine,
            self.lesion,
            self.propagation,
            self.review,
            self.measurement,
            self.export,
        )
        scene = slicer.mrmlScene
        self._scene_tags = [
            scene.AddObserver(scene.NodeAboutToBeRemovedEvent, self._node_about_to_be_removed),
            scene.AddObserver(scene.NodeRemovedEvent, self._node_removed),
        ]
        self._shortcuts = [self._shortcut(keys, name) for keys, name in SHORTCUTS.items()]
        self.show_cine(None)

    # ---- what is chosen

    def use_parameters(self, parameters: Any | None) -> None:
        """Work with this parameter node (None while a scene is closed) and show the cine it names."""
        self.parameters = parameters
        self.follow_parameters()

    def follow_parameters(self) -> None:
        """Show the cine and the choices that the parameter node names."""
        if slicer.mrmlScene.IsImporting():
            return  # half of the nodes are not there yet; the end of the import shows everything
        wanted = self.parameters.browser if self.parameters is not None else None
        if wanted == self.browser:
            self.propagation.show_choices()
            return
        if self.browser is not None and wanted is not None:
            self.parameters.firstFrame, self.parameters.lastFrame = 0, -1  # they were for the other cine
        self.show_cine(wanted)

    def choose_cine(self, browser: Any) -> None:
        """Make this the chosen cine."""
        if self.parameters is not None:
            self.parameters.browser = browser
        self.follow_parameters()

    def show_cine(self, browser: Any | None) -> None:
        """Show another cine, or none."""
        self.propagation.cancel()
        self.store_edit()
        self.browser = browser
        self.refresh()

    # ---- what changed

    def refresh(self) -> None:
        """Read everything anew from the scene."""
        self._refresh_is_due = False
        self.edits.watch(self.browser)
        self.nodes_changed()
        for section in self.sections:
            section.cine_changed()
        self.results_changed()

    def refresh_unless_busy(self) -> None:
        """Read everything anew, but leave a propagation alone that goes on while other modules were open."""
        if not self.busy:
            self.refresh()

    def results_changed(self) -> None:
        """Tell the sections that masks, anchors, confidences or segments changed."""
        for section in self.sections:
            section.results_changed()
        self.busy_changed()

    def busy_changed(self) -> None:
        """Tell the sections that what can be done is different: a propagation began or ended, lesions came or went."""
        for section in self.sections:
            section.busy_changed()

    def nodes_changed(self) -> None:
        """Remember the cine's nodes anew, after some were made."""
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

    @property
    def busy(self) -> bool:
        """Whether a propagation is running."""
        return self.propagation.running

    def later(self, action: Callable[[], None]) -> None:
        """Do something after the present event: VTK's observers must not change the scene that is calling them."""
        qt.QTimer.singleShot(0, lambda: action() if self._alive else None)

    def cleanup(self) -> None:
        """Let go of everything; the widgets are about to be destroyed."""
        self.store_edit()
        self._alive = False
        for section in self.sections:
            section.cleanup()
        for shortcut in self._shortcuts:
            shortcut.enabled = False  # a reloaded module's old widgets stay, hidden
        self.edits.stop()
        for tag in self._scene_tags:
            slicer.mrmlScene.RemoveObserver(tag)
        self.parameters = None
        self.browser = None
        self._nodes = []

    # ---- inside

    def _edit_stored(self, frame: int, segments: list[str]) -> None:
        """Something drawn was stored while Slicer changes the browser: show it when Slicer is done."""
        self.logic.creditDrawing(self.browser, frame, segments)
        self.later(self._show_results_if_alive)

    def _show_results_if_alive(self) -> None:
        if self.browser is not None and self.browser.GetScene() is not None:
            self.results_changed()

    def _frame_changed(self) -> None:
        for section in self.sections:
            section.frame_changed()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _node_about_to_be_removed(self, scene: Any, _event: Any, node: Any) -> None:
        """Store what is drawn on a segmentation that somebody deletes: its frames are kept elsewhere."""
        if node in self._nodes and not scene.IsClosing():
            self.store_edit()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _node_removed(self, _scene: Any, _event: Any, node: Any) -> None:
        """React to the removal of a node of the cine, once for all nodes removed together."""
        if node not in self._nodes:
            return
        self.propagation.stop()
        if node is self.browser:
            self.browser = None
        if not self._refresh_is_due:
            self._refresh_is_due = True
            self.later(self._refresh_if_alive)

    def _refresh_if_alive(self) -> None:
        if not self._refresh_is_due:
            return
        browser = self.browser
        if browser is not None and (browser.GetScene() is None or browser.GetMasterSequenceNode() is None):
            self.browser = None
        self.refresh()

    def _shortcut(self, keys: str, button_name: str) -> Any:
        shortcut = qt.QShortcut(qt.QKeySequence(keys), self.root)
        button = getattr(self.ui, button_name)
        shortcut.connect("activated()", lambda: button.click())
        return shortcut
