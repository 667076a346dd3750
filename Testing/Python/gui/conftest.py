"""A session of the harness, the module in it, and a person in front of its panel."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[3]
MODULE_FILE = REPOSITORY / "UltrasoundLesionSeg" / "UltrasoundLesionSeg.py"
sys.path.insert(0, str(REPOSITORY / "Testing" / "Gui"))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from slicer_harness.facts import VERSIONS, facts_file  # noqa: E402


@pytest.fixture(scope="session")
def facts():
    """What all supported versions of Slicer have."""
    missing = [version for version in VERSIONS if not facts_file(version).is_file()]
    if missing:
        pytest.skip(f"the facts of Slicer {' and '.join(missing)} are not here: name their folder in ULS_FACTS")
    from slicer_harness.facts import Facts

    return Facts(*VERSIONS)


@pytest.fixture(scope="session")
def one_session(facts):
    """The one application of this process; with ULS_SLICER_PYTHON, on Slicer's own Python files."""
    reason = (
        "PySide6 is not installed, or libraries of the system that it needs (libegl1, libxkbcommon0, libfontconfig1)"
    )
    pytest.importorskip("PySide6.QtUiTools", reason=reason, exc_type=ImportError)
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    from slicer_harness.session import Session

    folder = os.environ.get("ULS_SLICER_PYTHON")
    return Session(facts, Path(folder) if folder else None)


@pytest.fixture
def session(one_session) -> Iterator[object]:
    """The application, in an empty scene, in place for one test; afterwards nothing may be left amiss."""
    from slicer_harness.problems import PROBLEMS

    PROBLEMS.take()
    with one_session:
        one_session.scene.Clear(0)
        yield one_session
        one_session.scene.Clear(0)
    assert PROBLEMS.take() == []


@pytest.fixture
def module(session) -> Iterator[object]:
    """The scripted module, loaded as Slicer loads it and unloaded at the end."""
    loaded = session.load_module(MODULE_FILE)
    yield loaded
    loaded.unload()


@pytest.fixture
def database(session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> object:
    """Slicer's DICOM database, empty."""
    import slicer
    from standins.dicom_database import Database

    database = Database(tmp_path / "database")
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    return database


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one sound model bundle, named bright, of random weights."""
    from UltrasoundLesionSegLib.engine.bundle_writing import save_weights, write_bundle
    from UltrasoundLesionSegLib.engine.networks.bas import BasPropagate

    folder = tmp_path_factory.mktemp("models")
    network = {"_target_": "UltrasoundLesionSegLib.engine.networks.bas.BasPropagate"}
    write_bundle(folder / "bright", network, "Bright pixels", "Calls bright pixels lesion.", {"input_size": 64})
    save_weights(folder / "bright", BasPropagate())
    return folder


@pytest.fixture
def bright_model(monkeypatch: pytest.MonkeyPatch, models_folder: Path):
    """The only model in the list; its network calls bright pixels lesion, and counts what it computes."""
    import monai.inferers  # noqa: F401 - as after a first computation: Click and Suggest act at once
    from stand_in_networks import BrightNetwork

    import UltrasoundLesionSegLib.batch.plan  # noqa: F401 - imported during a test, it would keep what is replaced below
    from UltrasoundLesionSegLib.engine import bundles

    network = BrightNetwork()
    monkeypatch.setenv("ULS_MODELS", str(models_folder))
    monkeypatch.setattr(bundles, "list_bundles", lambda: [bundles.find_bundle("bright")])
    monkeypatch.setattr(bundles, "default_bundle", lambda role: bundles.find_bundle("bright"))
    monkeypatch.setattr(bundles.Bundle, "load_network", lambda self, device: network)
    return network


@pytest.fixture
def user(bright_model, module) -> object:
    """A person in front of the freshly opened panel."""
    from slicer_harness.user import User

    module.open()
    return User(module)


@dataclass(frozen=True)
class Discs:
    """A cine of bright moving discs that is chosen in the panel.

    Parameters
    ----------
    user : User
    browser : vtkMRMLSequenceBrowserNode
    truth : ndarray of bool, shape (T, K, H, W)
    """

    user: Any
    browser: Any
    truth: NDArray[np.bool_]

    @property
    def logic(self) -> Any:
        """The panel's own logic."""
        return self.user.module.widget.logic

    @property
    def frame_shown(self) -> int:
        """The frame that the cine shows."""
        return int(self.browser.GetSelectedItemNumber())

    def mask(self, frame: int, segment: int = 0) -> NDArray[np.bool_]:
        """The stored mask of a segment."""
        from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

        sequence = SegmentationSequence.find(self.browser)
        return sequence.read(frame, sequence.segments()[segment].id)

    def draw(self, frame: int, mask: NDArray[np.bool_]) -> None:
        """Go to a frame and draw the selected lesion there, making one if there is none."""
        self.browser.SetSelectedItemNumber(frame)
        if self.logic.segmentationNode(self.browser) is None:
            self.user.click("newLesionButton")
        self.user.paint("segmentEditor", mask)

    def propagate(self) -> None:
        """Press the large button and wait until it is done."""
        self.user.click("propagateButton")
        self.user.wait_until(lambda: self.user.read("propagateButton") == "Propagate")


@pytest.fixture
def discs(user) -> Discs:
    """Twelve frames with one bright moving disc."""
    from engine_helpers import clip_of_moving_discs

    cine, truth = clip_of_moving_discs(frames=12)
    browser = user.module.widget.logic.addCine(cine, "Discs")
    user.choose("browserSelector", browser.GetName())
    return Discs(user, browser, truth)


@pytest.fixture
def low_window() -> Iterator[Callable[[Any], Any]]:
    """``low_window(user)``: put the panel into a window that shows a part of it, as Slicer's does; returns that."""
    from PySide6 import QtWidgets
    from slicer_harness.pythonqt import unwrap

    area = QtWidgets.QScrollArea()

    def show(user: Any) -> Any:
        area.setWidgetResizable(True)
        area.setWidget(unwrap(user.module.panel))
        area.resize(520, 300)
        area.show()
        return area

    yield show
    area.takeWidget()


@pytest.fixture
def choose_drawn(user) -> Callable[..., Discs]:
    """``choose_drawn(frames, lesion)``: a cine of these frames, chosen in the panel, the lesion drawn on frame 0."""

    def choose(frames: NDArray[np.uint8], lesion: NDArray[np.bool_]) -> Discs:
        browser = user.module.widget.logic.loadCine(frames)
        user.choose("browserSelector", browser.GetName())
        drawn = Discs(user, browser, lesion[np.newaxis, np.newaxis])
        drawn.draw(0, lesion)
        return drawn

    return choose


@pytest.fixture
def cines(tmp_path: Path) -> tuple[Path, NDArray[np.bool_]]:
    """A folder with three cines of images, and the true masks of all of them, bool (T, H, W)."""
    from engine_helpers import clip_of_moving_discs
    from PIL import Image

    folder = tmp_path / "cines"
    cine, truth = clip_of_moving_discs(frames=6)
    for number in range(3):
        (folder / f"Doe_{number}").mkdir(parents=True)
        for frame in range(6):
            picture = np.asarray(cine.frames[frame]) // (1 + number)  # each its own content
            Image.fromarray(picture).save(folder / f"Doe_{number}" / f"{frame:03d}.png")
    return folder, truth[:, 0]


class Reader:
    """A person who works through the list.

    Parameters
    ----------
    user : User
    output : Path
        Folder of the batch.
    truth : ndarray of bool, shape (T, H, W)
    """

    def __init__(self, user: Any, output: Path, truth: NDArray[np.bool_]) -> None:
        self.user, self.output, self.truth = user, output, truth

    @property
    def section(self) -> Any:
        panel = self.user.module.widget.panel
        return next(one for one in panel.sections if type(one).__name__ == "WorklistSection")

    @property
    def browser(self) -> Any:
        return self.user.module.widget.panel.browser

    def rows(self) -> list[list[str]]:
        model = self.user.see("worklistTableView").model()
        columns = range(model.columnCount())
        return [[model.index(row, one).data() or "" for one in columns] for row in range(model.rowCount())]

    def activate(self, row: int) -> None:
        """Double-click a row, or press Return on it."""
        view = self.user.see("worklistTableView")
        view.selectRow(row)
        view.activated.emit(view.model().index(row, 0))
        self.wait()

    def select(self, row: int) -> None:
        self.user.see("worklistTableView").selectRow(row)
        self.user.module.session.process_events()

    def click(self, name: str) -> None:
        self.user.click(name)
        self.wait()

    def wait(self) -> None:
        """Wait until the panel is at rest."""
        panel = self.user.module.widget.panel
        self.user.module.session.process_events()
        self.user.wait_until(lambda: not panel.busy, 60)
        self.user.module.session.process_events()

    def draw(self, frame: int) -> None:
        self.browser.SetSelectedItemNumber(frame)
        if self.user.module.widget.panel.segmentation() is None:
            self.user.click("newLesionButton")
        self.user.paint("segmentEditor", self.truth[frame])

    def record(self, case: str, reader: str = "A") -> Any:
        from UltrasoundLesionSegLib.reader_work.store import ReviewFolder

        return ReviewFolder(self.output).work(reader, case).record()

    def message(self) -> str:
        return self.user.read("worklistMessageLabel") if self.user.sees("worklistMessageLabel") else ""

    def names(self) -> list[str]:
        return [row[0] for row in self.rows()]


@pytest.fixture
def as_reader(user: Any) -> Callable[..., Reader]:
    """``as_reader(output, truth)``: the person in front of the panel as a reader of this batch."""
    return lambda output, truth: Reader(user, output, truth)


@pytest.fixture
def reader(user: Any, cines: tuple[Path, NDArray[np.bool_]], tmp_path: Path) -> Reader:
    """Reader A, who has begun a worklist of three cines."""
    folder, truth = cines
    output = tmp_path / "out"
    output.mkdir()
    user.see("worklistCollapsibleButton").setProperty("collapsed", False)
    user.type_into("worklistReaderEdit", "A")
    user.module.session.file_dialogs.waiting += [str(folder), str(output)]
    user.click("worklistBeginButton")
    return Reader(user, output, truth)
