"""Large libraries are imported beside the window, not instead of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from UltrasoundLesionSegLib.errors import BatchError

QtCore = pytest.importorskip("PySide6.QtCore", reason="PySide6 is not installed", exc_type=ImportError)


@pytest.fixture
def loading(session: Any) -> Any:
    from UltrasoundLesionSegLib.gui import library_loading

    return library_loading


def make_module(folder: Path, name: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, name, raising=False)


def test_a_slow_import_leaves_turns_to_the_window(
    loading: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = (
        "import time\nuntil = time.perf_counter() + 0.6\nwhile time.perf_counter() < until: sum(range(100))\nvalue = 7"
    )
    make_module(tmp_path, "slow_library", busy, monkeypatch)
    monkeypatch.setattr(loading, "MODULES", (("slow_library", "A slow library"),))
    turns, said = [time.perf_counter()], []
    for text in loading.load_libraries():
        said.append(text)
        turns.append(time.perf_counter())
    assert sys.modules["slow_library"].value == 7
    assert said[0].startswith("Loading A slow library, once after Slicer starts: 0 s")
    assert len(said) >= 3
    assert max(later - one for one, later in pairwise(turns)) < 0.5


def test_an_import_that_fails_is_told(loading: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_module(tmp_path, "broken_library", "raise ImportError('half installed')", monkeypatch)
    monkeypatch.setattr(loading, "MODULES", (("broken_library", "A broken library"),))
    with pytest.raises(ImportError, match="half installed"):
        list(loading.load_libraries())


def test_what_is_loaded_already_takes_no_turn(loading: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MODULES", (("json", "JSON"),))
    assert list(loading.load_libraries()) == []


@pytest.mark.parametrize(
    ("button", "outcome"), [("suggestButton", "This is a suggestion"), ("clickButton", "Click into the lesion")]
)
def test_the_window_moves_while_a_tool_waits_for_libraries(
    discs: Any, loading: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, button: str, outcome: str
) -> None:
    busy = "import time\nuntil = time.perf_counter() + 0.6\nwhile time.perf_counter() < until: sum(range(100))"
    make_module(tmp_path, "slow_library", busy, monkeypatch)
    monkeypatch.setattr(loading, "MODULES", (("slow_library", "A slow library"),))
    monkeypatch.setattr(discs.logic, "suggest", lambda *_args, **_options: discs.truth[0, 0])
    discs.user.see(button).click()
    assert discs.user.read("lesionMessageLabel").startswith("Loading A slow library")
    discs.user.wait_until(lambda: discs.user.read("lesionMessageLabel").startswith(outcome))
    assert "slow_library" in sys.modules


def test_a_module_that_another_thread_imports_is_waited_for(
    loading: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is among the loaded modules already, but using it would stop the window until it is complete."""
    make_module(tmp_path, "half_there", "import time\ntime.sleep(0.4)\nvalue = 7", monkeypatch)
    first = loading.import_steps("half_there")
    next(first)
    assert not hasattr(sys.modules["half_there"], "value")
    assert list(loading.import_steps("half_there"))
    assert sys.modules["half_there"].value == 7
    assert list(first) == []


ACTS = re.compile(r"(?!.*Collapsible).+Button")


class Waiting:
    """The panel, whose tools wait for a library until ``arrive``; the model suggests the true lesion.

    Parameters
    ----------
    discs : Discs
    gate : Path
        The library is imported when this file is there.
    """

    def __init__(self, discs: Any, gate: Path) -> None:
        self.discs, self.user, self._gate = discs, discs.user, gate

    def press(self, button: str) -> None:
        self.user.see(button).click()
        self.user.module.session.process_events()
        assert self.message.startswith("Loading A library")

    def arrive(self) -> None:
        """Let the library come, and the panel be at rest."""
        self._gate.touch()
        self.user.wait_until(lambda: not self.user.module.widget.panel.busy)

    @property
    def message(self) -> str:
        return str(self.user.read("lesionMessageLabel")) if self.user.sees("lesionMessageLabel") else ""

    def enabled(self) -> set[str]:
        """Names of the enabled buttons of the panel's own, the editor's left out."""
        from PySide6 import QtWidgets
        from slicer_harness.pythonqt import unwrap

        buttons = unwrap(self.user.module.panel).findChildren(QtWidgets.QAbstractButton)
        return {one.objectName() for one in buttons if ACTS.fullmatch(one.objectName()) and one.isEnabled()}


@pytest.fixture
def waiting(discs: Any, loading: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Waiting:
    gate = tmp_path / "gate"
    code = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.005)"
    make_module(tmp_path, "slow_library", code, monkeypatch)
    monkeypatch.setattr(loading, "MODULES", (("slow_library", "A library"),))
    monkeypatch.setattr(discs.logic, "suggest", lambda *_args, **_options: discs.truth[discs.frame_shown, 0])
    return Waiting(discs, gate)


# these choose something, or show outlines
HARMLESS = {"allFramesButton", "exportFolderButton", "compareButton"}


@pytest.mark.parametrize("button", ["suggestButton", "clickButton"])
def test_while_a_tool_waits_nothing_else_can_be_started(waiting: Waiting, button: str) -> None:
    waiting.discs.draw(3, waiting.discs.truth[3, 0])
    waiting.user.click("measureButton")
    before = waiting.enabled()
    assert {"propagateButton", "suggestButton", "clickButton", "measureButton", "newLesionButton"} <= before
    waiting.press(button)
    assert waiting.enabled() - HARMLESS == {button}
    assert waiting.user.see("segmentEditor").property("readOnly")
    waiting.arrive()
    assert waiting.enabled() == before
    assert waiting.message.startswith(("This is a suggestion", "Click into the lesion"))


def test_a_suggestion_that_waited_is_drawn_where_it_was_asked_for_and_then_propagated(waiting: Waiting) -> None:
    discs = waiting.discs
    discs.browser.SetSelectedItemNumber(2)
    waiting.press("suggestButton")
    discs.browser.SetSelectedItemNumber(5)
    waiting.arrive()
    assert discs.frame_shown == 2
    discs.propagate()
    assert (discs.mask(2) == discs.truth[2, 0]).all()
    assert all(discs.mask(frame).any() for frame in range(12))


def test_a_suggestion_that_waits_can_be_cancelled(waiting: Waiting) -> None:
    waiting.press("suggestButton")
    assert waiting.user.read("suggestButton") == "Cancel"
    waiting.user.click("suggestButton")
    assert waiting.user.read("suggestButton") == "Suggest"
    assert waiting.message == "Cancelled; nothing was drawn."
    waiting.arrive()
    waiting.user.module.session.process_events()
    assert waiting.discs.logic.segmentationNode(waiting.discs.browser) is None
    waiting.user.click("suggestButton")
    assert waiting.message.startswith("This is a suggestion")


def test_the_click_tool_that_waits_can_be_put_up(waiting: Waiting) -> None:
    waiting.press("clickButton")
    waiting.user.click("clickButton")
    assert waiting.message == ""
    assert "propagateButton" in waiting.enabled()
    waiting.arrive()
    waiting.user.module.session.process_events()
    assert waiting.message == ""


def test_a_suggestion_waits_until_the_module_is_shown_again(waiting: Waiting) -> None:
    module = waiting.user.module
    waiting.press("suggestButton")
    module.leave()
    waiting.arrive()
    module.session.process_events()
    assert waiting.discs.logic.segmentationNode(waiting.discs.browser) is None
    module.open()
    waiting.user.wait_until(lambda: waiting.message.startswith("This is a suggestion"))
    assert (waiting.discs.logic.segmentationNode(waiting.discs.browser)) is not None


def test_another_cine_gets_no_suggestion_of_the_one_before(waiting: Waiting) -> None:
    from engine_helpers import clip_of_moving_discs

    waiting.press("suggestButton")
    other = waiting.discs.logic.addCine(clip_of_moving_discs(frames=4)[0], "Other")
    waiting.user.module.widget.panel.choose_cine(other)
    waiting.arrive()
    waiting.user.module.session.process_events()
    assert waiting.discs.logic.segmentationNode(other) is None
    assert "suggestButton" in waiting.enabled()


@pytest.mark.parametrize("button", ["suggestButton", "clickButton"])
def test_after_a_library_that_cannot_be_imported_all_can_be_pressed_again(
    discs: Any, loading: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, button: str
) -> None:
    code = "import time\ntime.sleep(0.2)\nraise ImportError('half installed')"
    make_module(tmp_path, "broken_library", code, monkeypatch)
    monkeypatch.setattr(loading, "MODULES", (("broken_library", "A broken library"),))
    discs.user.see(button).click()
    discs.user.wait_until(lambda: "ImportError" in discs.user.read("lesionMessageLabel"))
    assert discs.user.see("propagateButton").isEnabled()
    assert discs.user.see(button).isEnabled()
    assert not discs.user.see(button).isChecked()


def test_what_the_sample_needs_is_imported_while_the_window_moves(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed's readers bring pydicom and PyAV, a second of import."""
    from UltrasoundLesionSegLib.gui import cine_section

    needed = [f"UltrasoundLesionSegLib.{name}" for name in ("simulation.cine", "workflow.seeding")]
    imported: list[str] = []

    def import_steps(module: str) -> Iterator[float]:
        imported.append(module)
        yield 0.0

    monkeypatch.setattr(cine_section, "import_steps", import_steps)
    user.click("loadSampleButton")
    assert imported == needed
    assert "60 frames" in user.read("cineInfoLabel")


@pytest.mark.parametrize(
    ("section", "needed"), [("worklist_section", "review.worklist"), ("own_model", "gui.adapt_process")]
)
def test_what_the_worklist_needs_is_imported_while_the_window_is_repainted(
    reader: Any, monkeypatch: pytest.MonkeyPatch, section: str, needed: str
) -> None:
    imported: list[str] = []

    def import_steps(name: str) -> Iterator[float]:
        imported.append(name)
        yield 0.0

    monkeypatch.setattr(f"UltrasoundLesionSegLib.gui.{section}.import_steps", import_steps)
    if section == "own_model":
        reader.section._own_model.start_or_cancel()  # it has no name yet, and says so
    else:
        reader.user.type_into("worklistReaderEdit", "B")
    assert imported == [f"UltrasoundLesionSegLib.{needed}"]


class SlowDisk:
    """A finder of modules that needs half a second to look for one of them.

    Parameters
    ----------
    name : str
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, _path: Any, _target: Any = None) -> None:
        """Find nothing: the next finder is asked."""
        if name == self._name:
            time.sleep(0.5)


def test_what_a_batch_needs_is_imported_while_the_window_is_repainted(
    user: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among it matplotlib, for the plot over all cases: in Slicer 1.5 s."""
    from UltrasoundLesionSegLib import batch
    from UltrasoundLesionSegLib.batch import run

    needed = "UltrasoundLesionSegLib.batch.run"
    monkeypatch.setattr(batch, "run", run)  # the module imported below takes its place: the old one comes back
    monkeypatch.delitem(sys.modules, needed)
    monkeypatch.setattr(sys, "meta_path", [SlowDisk(needed), *sys.meta_path])
    turns = [time.perf_counter()]
    timer = QtCore.QTimer()
    timer.timeout.connect(lambda: turns.append(time.perf_counter()))
    timer.start(5)
    with pytest.raises(BatchError, match="no cine"):
        user.module.widget.logic.processBatch(tmp_path, tmp_path / "results")
    turns.append(time.perf_counter())
    timer.stop()
    assert turns[-1] - turns[0] > 0.5
    assert max(later - one for one, later in pairwise(turns)) < 0.4


@pytest.mark.parametrize(
    ("needed", "library"),
    [("review.worklist", "scipy.optimize"), ("review.comparison", "scipy.optimize"), ("readers.dicom_series", "av")],
)
def test_listing_cases_and_reading_dicom_load_no_library_that_they_do_not_use(needed: str, library: str) -> None:
    code = f"import sys\nimport UltrasoundLesionSegLib.{needed}\n"
    code += f"print(*sorted({{'torch', 'monai', {library!r}}} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for PythonSlicer is a shell script")
def test_the_disk_is_warmed_by_one_process_that_ends_with_the_panel(
    loading: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "PythonSlicer"
    python.write_text(f'#!/bin/sh\necho "$2" >> {tmp_path}/asked\nexec sleep 60\n')
    python.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    warm_up = loading.WarmUp()
    warm_up.start()
    warm_up.start()
    process = warm_up._process
    deadline = time.monotonic() + 20
    while not (tmp_path / "asked").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (tmp_path / "asked").read_text().count("import torch, monai.inferers") == 1
    warm_up.stop()
    assert process.poll() is not None


def test_without_torch_nothing_is_started(loading: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(loading.shutil, "which", lambda _name: sys.executable)
    warm_up = loading.WarmUp()
    warm_up.start()
    assert warm_up._process is None
