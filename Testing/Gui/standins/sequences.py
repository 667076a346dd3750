"""The play and seek widgets of Slicer's Sequences module."""

from __future__ import annotations

from typing import Any, ClassVar

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from standins import bases
from standins.observing import Observations

PLAY_BUTTONS = (
    ("|\u25c2", lambda browser: browser.SelectFirstItem()),
    ("\u25c2", lambda browser: browser.SelectNextItem(-1)),
    ("\u25b6", lambda browser: browser.SetPlaybackActive(not browser.GetPlaybackActive())),
    ("\u25b8", lambda browser: browser.SelectNextItem(1)),
    ("\u25b8|", lambda browser: browser.SelectLastItem()),
)
DEFAULT_SHORTCUTS = {
    "PlayPauseShortcut": "Ctrl+Shift+Down",
    "PreviousFrameShortcut": "Ctrl+Shift+Left",
    "NextFrameShortcut": "Ctrl+Shift+Right",
}
PROXIES_UPDATED_EVERY_MS = 20
SHORTCUT_BUTTONS = {"PlayPauseShortcut": 2, "PreviousFrameShortcut": 1, "NextFrameShortcut": 3}


class PlayWidget(bases.Widget):
    """qMRMLSequenceBrowserPlayWidget. As in Slicer, setting a shortcut adds one and keeps the default."""

    initial: ClassVar[dict[str, Any]] = {**DEFAULT_SHORTCUTS, "RecordingControlsVisible": True}

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super(type(self), self).__init__(parent)
        self._browser = None
        self._observations = Observations(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._buttons = []
        for text, action in PLAY_BUTTONS:
            button = QtWidgets.QToolButton(self)
            button.setText(text)
            button.clicked.connect(
                lambda checked=False, action=action: self._browser is not None and action(self._browser)
            )
            layout.addWidget(button)
            self._buttons.append(button)
        self._rate = QtWidgets.QDoubleSpinBox(self)
        self._rate.setSuffix(" fps")
        self._rate.setRange(0.1, 1000)
        self._rate.valueChanged.connect(
            lambda rate: self._browser is not None and self._browser.SetPlaybackRateFps(rate)
        )
        layout.addWidget(self._rate)
        layout.addStretch(1)
        for name, keys in DEFAULT_SHORTCUTS.items():
            self._add_shortcut(name, keys)
        self._update()

    def setMRMLSequenceBrowserNode(self, browser: Any) -> None:
        self._observations.clear()
        self._browser = browser
        if browser is not None:
            self._observations.add(browser, vtk.vtkCommand.ModifiedEvent, self._update)
        self._update()

    def _changed_PlayPauseShortcut(self, keys: str) -> None:
        self._add_shortcut("PlayPauseShortcut", keys)

    def _changed_PreviousFrameShortcut(self, keys: str) -> None:
        self._add_shortcut("PreviousFrameShortcut", keys)

    def _changed_NextFrameShortcut(self, keys: str) -> None:
        self._add_shortcut("NextFrameShortcut", keys)

    def _add_shortcut(self, name: str, keys: str) -> None:
        button = self._buttons[SHORTCUT_BUTTONS[name]]
        QtGui.QShortcut(QtGui.QKeySequence(keys), self).activated.connect(button.click)
        button.setToolTip(keys)

    def _update(self) -> None:
        self.setEnabled(self._browser is not None and self._browser.GetMasterSequenceNode() is not None)
        if self._browser is not None:
            self._rate.blockSignals(True)
            self._rate.setValue(self._browser.GetPlaybackRateFps())
            self._rate.blockSignals(False)


class SeekWidget(bases.Widget):
    """qMRMLSequenceBrowserSeekWidget."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super(type(self), self).__init__(parent)
        self._browser = None
        self._observations = Observations(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._name, self._value = QtWidgets.QLabel(self), QtWidgets.QLabel(self)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        for widget in (self._name, self._slider, self._value):
            layout.addWidget(widget)
        self._slider.valueChanged.connect(self.setSelectedItemNumber)
        self._update()

    def slider(self) -> QtWidgets.QSlider:
        return self._slider

    def setMRMLSequenceBrowserNode(self, browser: slicer.vtkMRMLSequenceBrowserNode | None) -> None:
        self._observations.clear()
        self._browser = browser
        if browser is not None:
            self._observations.add(browser, vtk.vtkCommand.ModifiedEvent, self._update)
        self._update()

    def setSelectedItemNumber(self, item: int) -> None:
        if self._browser is not None:
            self._browser.SetSelectedItemNumber(item)

    def _update(self) -> None:
        master = self._browser.GetMasterSequenceNode() if self._browser is not None else None
        self.setEnabled(master is not None)
        if master is None:
            self._name.setText("")
            self._value.setText("")
            return
        item = self._browser.GetSelectedItemNumber()
        self._slider.blockSignals(True)
        self._slider.setRange(0, master.GetNumberOfDataNodes() - 1)
        self._slider.setValue(item)
        self._slider.blockSignals(False)
        self._name.setText(master.GetIndexName())
        self._value.setText(f"{self._browser.GetFormattedIndexValue(item)} {master.GetIndexUnit()}")


class ToolBar(bases.ToolBar):
    """qMRMLSequenceBrowserToolBar: plays whatever browser it was given, with the default keys."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super(type(self), self).__init__(parent)
        self._browser = vtk.vtkWeakReference()

    def setActiveBrowserNode(self, browser: slicer.vtkMRMLSequenceBrowserNode | None) -> None:
        self._browser.Set(browser)

    def activeBrowserNode(self) -> slicer.vtkMRMLSequenceBrowserNode | None:
        return self._browser.Get()


class SequencesModule(bases.Object):
    """qSlicerSequencesModule: its toolbar shows no browser until somebody, as Slicer's own readers do, sets one.

    A while after a scene was read, it shows one of the scene's browsers by itself.
    """

    _logic: slicer.vtkSlicerSequencesLogic  # both set by the application
    _toolbar: ToolBar

    def __init__(self) -> None:
        super(type(self), self).__init__()
        self._to_show: slicer.vtkMRMLSequenceBrowserNode | None = None
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PROXIES_UPDATED_EVERY_MS)
        self._timer.timeout.connect(self._show_browser)

    def setMRMLScene(self, scene: slicer.vtkMRMLScene) -> None:
        scene.AddObserver(scene.NodeAddedEvent, self._node_added)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _node_added(self, scene: slicer.vtkMRMLScene, _event: str, node: slicer.vtkMRMLNode) -> None:
        if scene.IsImporting() and node.IsA("vtkMRMLSequenceBrowserNode"):
            has_frames = self._to_show is not None and self._to_show.GetNumberOfSynchronizedSequenceNodes() > 0
            if not has_frames or node.GetNumberOfSynchronizedSequenceNodes() > 0:
                self._to_show = node
            self._timer.start()

    def _show_browser(self) -> None:
        browser, self._to_show = self._to_show, None
        if browser is not None and browser.GetScene() is not None:
            self.setToolBarActiveBrowserNode(browser)

    def logic(self) -> slicer.vtkSlicerSequencesLogic:
        return self._logic

    def toolBar(self) -> QtWidgets.QWidget:
        return self._toolbar

    def setToolBarActiveBrowserNode(self, browser: slicer.vtkMRMLSequenceBrowserNode | None) -> None:
        self._toolbar.setActiveBrowserNode(browser)


BODIES = {
    "qMRMLSequenceBrowserToolBar": ToolBar,
    "qSlicerSequencesModule": SequencesModule,
    "qMRMLSequenceBrowserPlayWidget": PlayWidget,
    "qMRMLSequenceBrowserSeekWidget": SeekWidget,
}
