"""Section 1: which cine, where from, and what is known of it."""

from __future__ import annotations

import html
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import qt
import slicer

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.errors import LesionSegError
from UltrasoundLesionSegLib.gui.cine_loading import CineLoading
from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.library_loading import import_steps
from UltrasoundLesionSegLib.gui.messages import Tone, colored, tell, telling
from UltrasoundLesionSegLib.gui.sample_data import load_sample_steps
from UltrasoundLesionSegLib.gui.section import Section
from UltrasoundLesionSegLib.mrml.cine_nodes import play_as_recorded

FILE_FILTER = "Cines (*.dcm *.avi *.mp4 *.mov *.mpeg *.mpg *.mkv *.nrrd *.nhdr *.mha *.mhd DICOMDIR);;All files (*)"
LAST_FOLDER = "UltrasoundLesionSeg/LastFolder"  # in the application's settings on this computer, never in a scene
SLICER_TOOLBAR_KEYS = "Ctrl+Shift+"
SLICERS_RATE = 10.0  # frames a second that Slicer plays any sequence at


class CineSection(Section):
    """Chooses, loads and describes the cine."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.ui.loadFileButton.connect("clicked(bool)", self.load_file)
        self.ui.loadFolderButton.connect("clicked(bool)", self.load_folder)
        self.ui.loadSampleButton.connect("clicked(bool)", self.load_sample)
        self._menu = qt.QMenu(self.ui.useVolumeButton)
        self._menu.connect("aboutToShow()", self._list_volumes)
        self.ui.useVolumeButton.setMenu(self._menu)
        self._loading = CineLoading(host.root, self._advance)
        self._tool_bar = slicer.modules.sequences.toolBar()
        if self._tool_bar is not None:
            self._tool_bar.connect("visibilityChanged(bool)", self._leave_keys_to_the_tool_bar)
            self._leave_keys_to_the_tool_bar(self._tool_bar.visible)

    def _leave_keys_to_the_tool_bar(self, shown: bool) -> None:
        """Switch the play widget's default keys off while Slicer's tool bar has the same: of two, neither works."""
        for shortcut in self.ui.playWidget.findChildren(qt.QShortcut):
            if shortcut.key.toString().startswith(SLICER_TOOLBAR_KEYS):
                shortcut.enabled = not shown

    def load_file(self) -> None:
        """Let the user choose a file and load it."""
        path = qt.QFileDialog.getOpenFileName(self.host.root, "Load cine", self._last_folder(), FILE_FILTER)
        self._load(path)

    def load_folder(self) -> None:
        """Let the user choose a folder and load it as one cine."""
        self._load(qt.QFileDialog.getExistingDirectory(self.host.root, "Load folder as a cine", self._last_folder()))

    def load_sample(self) -> None:
        """Simulate a cine with its seed."""
        if self.host.offer("read", self.ui.cineMessageLabel):
            self._start(self._sample_steps())

    def _load(self, path: str) -> None:
        if not path:
            return
        slicer.app.userSettings().setValue(LAST_FOLDER, str(Path(path).parent))
        if self.host.offer("read", self.ui.cineMessageLabel):
            self._start(self._file_steps(path))

    # ---- frame by frame

    @property
    def running(self) -> bool:
        """Whether a cine is being loaded."""
        return self._loading.running

    def cancel(self) -> None:
        """Load no further."""
        self.stop()

    def stop(self) -> None:
        """Load no further: the scene is changing."""
        if self.running:
            self._loading.stop()
            tell(self.ui.cineMessageLabel, "")
            self.host.busy_changed()

    def cleanup(self) -> None:
        """Load no further: the panel is about to be destroyed."""
        self._loading.stop()
        if self._tool_bar is not None:
            self._tool_bar.disconnect("visibilityChanged(bool)", self._leave_keys_to_the_tool_bar)
            self._leave_keys_to_the_tool_bar(True)  # a reloaded module's old widgets stay, hidden

    def _sample_steps(self) -> Generator[int, None, Any]:
        for module in ("UltrasoundLesionSegLib.simulation.cine", "UltrasoundLesionSegLib.workflow.seeding"):
            for _ in import_steps(module):
                yield 0
        return (yield from load_sample_steps(self.logic))

    def _file_steps(self, path: str) -> Generator[int, None, Any]:
        for _ in import_steps("UltrasoundLesionSegLib.readers.open"):
            yield 0
        from UltrasoundLesionSegLib.readers.open import read_chosen

        return (yield from self.logic.addCineSteps(read_chosen(Path(path))))

    def _start(self, steps: Generator[int, None, Any]) -> None:
        self._loading.start(steps, self._loaded)
        tell(self.ui.cineMessageLabel, "Loading...")
        self.host.busy_changed()

    def _advance(self, work: Callable[[], None]) -> None:
        with telling(self.ui.cineMessageLabel):
            work()
            if self.running:
                done = self._loading.frames_done
                tell(self.ui.cineMessageLabel, f"Loading: {done} frames" if done else "Loading...")
        if not self.running:
            self.host.busy_changed()

    def _loaded(self, browser: Any) -> None:
        self.host.choose_cine(browser)

    # ---- a volume of the scene

    def _list_volumes(self) -> None:
        """Fill the menu with the volumes that have several slices."""
        self._menu.clear()
        for volume in slicer.util.getNodesByClass("vtkMRMLVolumeNode"):
            image = volume.GetImageData()
            if image is not None and image.GetDimensions()[2] > 1 and not volume.IsA("vtkMRMLLabelMapVolumeNode"):
                action = self._menu.addAction(volume.GetName())
                action.connect("triggered(bool)", partial(self._use_volume, volume.GetID()))
        if not self._menu.actions():
            self._menu.addAction("No volume in the scene has several slices").enabled = False

    def _use_volume(self, identifier: str, _checked: bool = False) -> None:
        volume = slicer.mrmlScene.GetNodeByID(identifier)
        if volume is not None:
            with telling(self.ui.cineMessageLabel, wait=True):
                self.host.choose_cine(self.logic.useNode(volume))

    @staticmethod
    def _last_folder() -> str:
        return str(slicer.app.userSettings().value(LAST_FOLDER, "") or "")

    def cine_changed(self) -> None:
        """Show what is known of the cine, and say no more what was wrong with another choice."""
        if not self.running:
            tell(self.ui.cineMessageLabel, "")
        browser = self.host.browser
        self.ui.seekWidget.setMRMLSequenceBrowserNode(browser)
        self.ui.playWidget.setMRMLSequenceBrowserNode(browser)
        if browser is None:
            self.ui.cineInfoLabel.text = "No cine is chosen."
            return
        try:
            cine = self.logic.cine(browser)
            if browser.GetPlaybackItemSkippingEnabled() and browser.GetPlaybackRateFps() == SLICERS_RATE:
                play_as_recorded(browser, cine.timing)  # Slicer does not know the frame times
            self.ui.cineInfoLabel.text = describe(cine, self.ui.cineInfoLabel)
        except LesionSegError as error:
            tell(self.ui.cineInfoLabel, f"This cannot be used as a cine: {error}.", Tone.CAUTION)

    def busy_changed(self) -> None:
        """Keep the cine while it is being propagated."""
        free = not self.host.busy
        self.ui.browserSelector.enabled = free
        self.ui.loadFileButton.enabled = free
        self.ui.loadFolderButton.enabled = free
        self.ui.loadSampleButton.enabled = free
        self.ui.useVolumeButton.enabled = free


def describe(cine: Cine, label: Any) -> str:
    """Return the line under the cine as rich text: frames, size, frame rate, calibration, what else to know.

    Parameters
    ----------
    cine : Cine
    label : qt.QLabel
        Where it is shown; its theme gives the colours.
    """
    parts = [f"{len(cine)} frames" if len(cine) > 1 else "1 frame", f"{cine.width} \u00d7 {cine.height} pixels"]
    if cine.timing is not None and cine.timing.frames_per_second > 0:
        about = "about " if cine.timing.approximate else ""
        parts.append(f"{about}{cine.timing.frames_per_second:.3g} frames/s")
    else:
        parts.append("frame rate unknown")
    line = html.escape(", ".join(parts)) + "; " + _calibration(cine, label)
    notes = "".join(f"<br>{html.escape(note)}" for note in cine.notes)
    return f"{line}{notes}"


def _calibration(cine: Cine, label: Any) -> str:
    calibration = cine.calibration
    if calibration is None and cine.regions:
        return colored(f"{len(cine.regions)} regions with calibrations of their own", Tone.CAUTION, label)
    if calibration is None:
        return colored("not calibrated: measurements in pixels", Tone.CAUTION, label)
    rows, columns = calibration.row_mm, calibration.column_mm
    size = f"{rows:.4g}" if abs(rows - columns) < 1e-4 * rows else f"{rows:.4g} (down) \u00d7 {columns:.4g} (across)"
    note = colored(f" ({calibration.note})", Tone.CAUTION, label) if calibration.note else ""
    return html.escape(f"{size} mm per pixel") + note
