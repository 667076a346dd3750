"""Large libraries are imported beside the window, not instead of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest


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
