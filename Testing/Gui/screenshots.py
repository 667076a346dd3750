"""Takes the pictures of the panel in Docs/images: a session with the sample cine, from loading to export.

    python Testing/Gui/screenshots.py [--model NAME] [--output FOLDER]

The widgets are Qt's own and stand-ins for CTK's and Slicer's, so details differ from what Slicer shows.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import worklist_batch

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent))

from PySide6 import QtCore, QtGui, QtWidgets  # noqa: E402
from slicer_harness.facts import VERSIONS, Facts  # noqa: E402
from slicer_harness.problems import PROBLEMS  # noqa: E402
from slicer_harness.pythonqt import unwrap  # noqa: E402
from slicer_harness.session import Session  # noqa: E402
from slicer_harness.user import User  # noqa: E402

WIDTH = 440  # a module panel as Slicer shows it at first
SECTIONS = ("worklist", "cine", "lesion", "propagate", "review", "measure", "export")
DARK = {
    "Window": "#353535",
    "WindowText": "#f0f0f0",
    "Base": "#232323",
    "AlternateBase": "#353535",
    "Text": "#f0f0f0",
    "Button": "#454545",
    "ButtonText": "#f0f0f0",
    "ToolTipBase": "#353535",
    "ToolTipText": "#f0f0f0",
    "PlaceholderText": "#9a9a9a",
    "Highlight": "#2a82da",
    "HighlightedText": "#ffffff",
    "Link": "#58a6ff",
}


class Photographer:
    """Saves pictures of a panel and its sections.

    Parameters
    ----------
    user : User
    folder : Path
    """

    def __init__(self, user: User, folder: Path) -> None:
        self.user, self.folder = user, folder

    def take(self, name: str, *sections: str) -> None:
        """Save a picture of the panel with these sections open, all but the worklist by default."""
        panel = unwrap(self.user.module.panel)
        sections = sections or SECTIONS[1:]
        self._open(sections)
        for _ in range(4):  # labels that wrap need to know the width before they know their height
            panel.resize(WIDTH, 100)
            self.user.module.session.process_events()
            self.user.module.widget.panel.progress_made()
        panel.resize(WIDTH, panel.layout().totalMinimumHeightForWidth(WIDTH))
        self.user.module.session.process_events()
        picture = panel.grab(QtCore.QRect(0, 0, WIDTH, self._bottom(sections)))
        picture.save(str(self.folder / f"{name}.png"))
        self._open(SECTIONS)

    def _bottom(self, sections: tuple[str, ...]) -> int:
        """The lower end of the last section, with a margin."""
        panel = unwrap(self.user.module.panel)
        last = panel.findChild(QtWidgets.QWidget, f"{sections[-1]}CollapsibleButton")
        return last.mapTo(panel, QtCore.QPoint(0, last.height())).y() + 12

    def _open(self, sections: tuple[str, ...]) -> None:
        for section in SECTIONS:
            button = unwrap(self.user.module.panel).findChild(QtWidgets.QWidget, f"{section}CollapsibleButton")
            button.setProperty("collapsed", section not in sections)
            button.setVisible(section in sections)


def visit(user: User, camera: Photographer, model: str | None) -> None:
    """Work through the panel once, taking pictures."""
    user.click("loadSampleButton")
    camera.take("panel_1_cine", "cine")
    camera.take("panel_2_lesion", "lesion")
    if model:
        titles = [bundle.title for bundle in user.module.widget.panel.propagation.bundles if bundle.name == model]
        user.choose("modelComboBox", titles[0])
    user.click("propagateButton")
    panel = user.module.widget.panel
    user.wait_until(lambda: np.isfinite([*panel.logic.confidences(panel.browser).values()]).sum() >= 20, 600)
    camera.take("panel_3_propagate", "propagate")
    user.wait_until(lambda: user.read("propagateButton") == "Propagate", 600)
    panel.browser.SetSelectedItemNumber(30)
    user.click("confirmButton")
    user.click("reviewNextButton")
    camera.take("panel_4_review", "review")
    user.click("measureButton")
    camera.take("panel_5_measure", "measure")
    case = Path(tempfile.gettempdir()) / "case-1"
    user.see("exportFolderButton").setProperty("directory", str(case))
    user.click("exportMasksCheckBox")
    user.click("exportButton")
    camera.take("panel_6_export", "export")
    shutil.rmtree(case)
    camera.take("panel_results")


def visit_worklist(user: User, camera: Photographer) -> None:
    """Look through a small batch."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "batch"
        worklist_batch.compute(output)
        user.see("worklistCollapsibleButton").setProperty("collapsed", False)
        user.type_into("worklistReaderEdit", "A")
        user.module.session.file_dialogs.waiting.append(str(output))
        user.click("worklistOpenButton")
        user.choose("worklistStateComboBox", "All")
        user.click("nextCaseButton")
        user.wait_until(lambda: user.sees("openCaseLabel"), 120)
        user.click("confirmButton")
        user.see("worklistFolderLabel").setText("/studies/breast")
        camera.take("panel_worklist", "worklist")
        user.type_into("worklistReaderEdit", "C")
        user.see("compareCollapsibleButton").setProperty("collapsed", False)
        user.click("compareButton")
        view = user.see("worklistTableView")
        rows = [view.model().index(row, 0) for row in range(view.model().rowCount())]
        view.activated.emit(next(index for index in rows if index.data() == "case-0002"))
        user.wait_until(lambda: user.sees("openCaseLabel"), 120)
        user.click("takeAgreedButton")
        user.click("nextDifferenceButton")
        user.see("worklistFolderLabel").setText("/studies/breast")
        camera.take("panel_readers", "worklist")
        user.click("closeCaseButton")


def darken() -> None:
    """Give the application a dark theme."""
    palette = QtGui.QPalette()
    for role, color in DARK.items():
        palette.setColor(getattr(QtGui.QPalette.ColorRole, role), QtGui.QColor(color))
        grey = QtGui.QColor("#7f7f7f")
        if role in ("WindowText", "Text", "ButtonText"):
            palette.setColor(QtGui.QPalette.ColorGroup.Disabled, getattr(QtGui.QPalette.ColorRole, role), grey)
    QtWidgets.QApplication.setPalette(palette)


def main() -> int:
    """Take all pictures; returns 1 when Slicer would have refused something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="name of the bundle to propagate with")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "Docs" / "images")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    session = Session(Facts(*VERSIONS))
    session.qt_application.setStyle("Fusion")
    with session:
        module: Any = session.load_module(REPOSITORY / "UltrasoundLesionSeg" / "UltrasoundLesionSeg.py")
        module.open()
        user = User(module)
        camera = Photographer(user, arguments.output)
        visit_worklist(user, camera)
        visit(user, camera, arguments.model)
        darken()
        module.widget.panel.refresh()
        camera.take("panel_dark")
        module.unload()
        session.scene.Clear(0)
    for problem in PROBLEMS.found:
        print(problem, file=sys.stderr)
    return 1 if PROBLEMS.found else 0


if __name__ == "__main__":
    sys.exit(main())
