"""Widths and heights: what the panel needs, whatever is shown in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from slicer_harness.pythonqt import unwrap

QtGui = pytest.importorskip("PySide6.QtGui", reason="PySide6 is not installed", exc_type=ImportError)
QtWidgets = pytest.importorskip("PySide6.QtWidgets", reason="PySide6 is not installed", exc_type=ImportError)

LONG = "A name of many words that does not end before the panel does, and that is longer than any model has had yet"


def unfold(user: Any) -> None:
    """Unfold every section and every part of one."""
    for box in unwrap(user.module.panel).findChildren(QtWidgets.QWidget):
        if box.objectName().endswith("CollapsibleButton"):
            box.setProperty("collapsed", False)
    user.module.session.process_events()


def width_needed(user: Any) -> int:
    user.module.session.process_events()
    return unwrap(user.module.panel).minimumSizeHint().width()


def test_long_titles_of_models_do_not_make_the_panel_wider(
    bright_model: Any, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Slicer the panel grew by 67 pixels when the part with the models to begin with was unfolded."""
    from slicer_harness.user import User

    from UltrasoundLesionSegLib.engine import bundles

    long = replace(bundles.find_bundle("bright"), title=LONG)
    monkeypatch.setattr(bundles, "list_bundles", lambda: [long])
    module.open()
    user = User(module)
    before = width_needed(user)
    unfold(user)
    for name in ("modelComboBox", "startModelComboBox"):
        user.choose(name, LONG)
        assert user.see(name).minimumSizeHint().width() < 200
    assert width_needed(user) == before


def test_the_model_to_begin_with_and_the_hint_of_its_name_can_be_read_whole(
    bright_model: Any, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slicer_harness.user import User

    from UltrasoundLesionSegLib.engine import bundles

    title = "STPFNet, light trunk"
    monkeypatch.setattr(bundles, "list_bundles", lambda: [replace(bundles.find_bundle("bright"), title=title)])
    module.open()
    user = User(module)
    unfold(user)
    unwrap(module.panel).resize(486, 700)  # as wide as Slicer shows it at first
    user.module.session.process_events()
    choice, name = user.see("startModelComboBox"), user.see("ownModelNameEdit")
    placeholder = name.property("placeholderText")
    arrow_and_frame = 40
    assert choice.width() >= choice.fontMetrics().horizontalAdvance(title) + arrow_and_frame
    assert name.width() >= name.fontMetrics().horizontalAdvance(placeholder) + 10


def test_a_long_name_of_a_cine_does_not_make_the_panel_wider(discs: Any) -> None:
    before = width_needed(discs.user)
    discs.browser.SetName(LONG)
    assert width_needed(discs.user) == before


def test_a_long_folder_of_the_export_does_not_make_the_panel_wider(discs: Any) -> None:
    unfold(discs.user)
    before = width_needed(discs.user)
    discs.user.see("exportFolderButton").setProperty("directory", "/" + "/".join([LONG] * 3))
    for _ in range(3):  # the button first, then what it lies in, then what that lies in
        discs.user.module.session.process_events()
    assert width_needed(discs.user) == before


def test_the_worklist_gives_way_when_lines_appear_under_it(user: Any) -> None:
    """Slicer does not measure a panel again that was left and entered: a line that appears later needs room."""
    user.see("worklistCollapsibleButton").setProperty("collapsed", False)
    table = user.see("worklistTableView")
    user.module.session.process_events()
    room_for_lines = 3 * table.fontMetrics().lineSpacing()
    assert table.sizeHint().height() - table.minimumHeight() >= room_for_lines


def test_all_headings_of_an_empty_worklist_are_in_sight(user: Any) -> None:
    user.see("worklistCollapsibleButton").setProperty("collapsed", False)
    unwrap(user.module.panel).resize(505, 700)
    table = user.see("worklistTableView")
    user.module.session.process_events()
    assert table.horizontalHeader().length() <= table.viewport().width()


class ModulePanel:
    """qSlicerModulePanel: a scroll area with the widget of the module that is open.

    Like the real one it does not delete the layout's item of a module that is left.
    """

    def __init__(self, module: Any) -> None:
        self._module, self.area = module, QtWidgets.QScrollArea()
        self._leaked: list[Any] = []
        contents = QtWidgets.QWidget()
        self._layout = QtWidgets.QVBoxLayout(contents)
        self._layout.addWidget(QtWidgets.QLabel("Help"))
        self.area.setWidgetResizable(True)
        self.area.setWidget(contents)
        self.area.resize(505, 493)
        self.area.show()
        self.enter()

    def enter(self) -> None:
        panel = unwrap(self._module.panel)
        self._layout.insertWidget(1, panel, 1)
        panel.show()
        self._module.open()

    def leave(self) -> None:
        panel = unwrap(self._module.panel)
        self._module.leave()
        self._leaked.append(self._layout.takeAt(self._layout.indexOf(panel)))
        panel.setParent(None)

    def close(self) -> None:
        self.leave()
        self._leaked.clear()


@pytest.fixture
def module_panel(user: Any) -> Iterator[ModulePanel]:
    shown = ModulePanel(user.module)
    yield shown
    shown.close()


def cut_lines(user: Any, text: str) -> list[str]:
    """Return the names of the lines in which a text of this length cannot be read whole."""
    from UltrasoundLesionSegLib.gui.messages import tell

    cut = []
    ui = user.module.widget.ui
    for name, label in vars(ui).items():
        line = unwrap(label)
        if not isinstance(line, QtWidgets.QLabel) or not line.wordWrap() or name == "dependencyLabel":
            continue  # the last one lies in a part that is hidden where everything is installed
        before, was_shown = line.text(), not line.isHidden()
        tell(label, text)
        for _ in range(6):
            user.module.session.process_events()
        if line.height() < line.heightForWidth(line.width()):
            cut.append(name)
        line.setText(before)
        line.setVisible(was_shown)
    return cut


@pytest.mark.parametrize("length", [60, 180, 240, 400])
def test_no_line_is_cut(user: Any, module_panel: ModulePanel, length: int) -> None:
    unfold(user)
    assert cut_lines(user, (LONG * 4)[:length]) == []


def test_no_line_is_cut_after_another_module_was_shown(user: Any, module_panel: ModulePanel) -> None:
    """Slicer's own layout keeps the heights that it measured before."""
    module_panel.leave()
    module_panel.enter()
    unfold(user)
    assert cut_lines(user, (LONG * 4)[:240]) == []


def test_rows_of_smoothing_wrap(discs: Any) -> None:
    editor = discs.user.see("segmentEditor")
    discs.user.click("newLesionButton")
    editor.setActiveEffectByName("Smoothing")
    discs.user.module.session.process_events()
    frame = editor.activeEffect().optionsFrame()
    labels, fields = (frame.findChildren(kind) for kind in (QtWidgets.QLabel, QtWidgets.QComboBox))
    label = max(one.minimumSizeHint().width() for one in labels)
    assert frame.minimumSizeHint().width() < max(one.minimumWidth() for one in fields) + label


@pytest.fixture
def change_theme() -> Iterator[Callable[[bool], None]]:
    """``change_theme(dark)``: what Slicer's style does to the window; undone at the end."""
    before = QtWidgets.QApplication.palette()

    def change(dark: bool) -> None:
        palette = QtGui.QPalette(before)
        palette.setColor(QtGui.QPalette.ColorRole.Window, QtGui.QColor("#323232" if dark else "#efefef"))
        palette.setColor(QtGui.QPalette.ColorRole.WindowText, QtGui.QColor("white" if dark else "black"))
        QtWidgets.QApplication.setPalette(palette)

    yield change
    QtWidgets.QApplication.setPalette(before)


def test_what_was_said_can_be_read_in_another_theme(discs: Any, change_theme: Any) -> None:
    from UltrasoundLesionSegLib.gui.messages import Tone

    change_theme(False)
    discs.draw(0, discs.truth[0, 0])
    discs.propagate()
    label, timeline = discs.user.see("propagateMessageLabel"), discs.user.see("timelineLabel")
    said, (light, dark) = discs.user.read("propagateMessageLabel"), Tone.GOOD.value
    assert "11 frames in" in said
    strip = timeline.pixmap().toImage()
    assert light in label.text()
    change_theme(True)
    discs.user.wait_until(lambda: dark in label.text())
    assert light not in label.text()
    assert discs.user.read("propagateMessageLabel") == said
    assert timeline.pixmap().toImage() != strip, "anchors are marked in the text's colour"
    change_theme(False)
    discs.user.wait_until(lambda: light in label.text())
    assert timeline.pixmap().toImage() == strip
