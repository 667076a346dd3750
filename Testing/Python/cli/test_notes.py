"""What stands on standard error beside errors: nothing of libraries, and one line for what a user can act on."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from UltrasoundLesionSegLib.cli import main as cli
from UltrasoundLesionSegLib.cli.notes import notes_alone

Run = Callable[..., tuple[int, str, str]]
GPU = "CUDA initialization: The NVIDIA driver on your system is too old\n  (found version 11040)."


def speak() -> None:
    """Say what libraries and this package say."""
    warnings.warn_explicit("Invalid value for VR UI: 'Doe'", UserWarning, "/x/pydicom/valuerep.py", 1)
    warnings.warn_explicit(GPU, UserWarning, "/x/site-packages/torch/cuda/__init__.py", 1)
    logging.getLogger("pydicom").warning("Doe")
    logging.getLogger().warning("Doe at the root")
    for _ in range(2):
        logging.getLogger("UltrasoundLesionSegLib.engine.bundles").warning("a model was left out")
    logging.getLogger("UltrasoundLesionSegLib.workflow.case").warning("in the log", extra={"case": "case-0001"})


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the handlers of the test runner, as at the shell."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(sys, "warnoptions", [])


def test_libraries_say_nothing_and_what_can_be_acted_on_is_one_line(
    alone: None, capsys: pytest.CaptureFixture[str]
) -> None:
    own, root = logging.getLogger("UltrasoundLesionSegLib"), logging.getLogger()
    before, handlers = warnings.showwarning, (list(own.handlers), list(root.handlers))
    with notes_alone():
        speak()
    assert capsys.readouterr().err.splitlines() == [
        "note: the GPU may not be usable: CUDA initialization: The NVIDIA driver on your system is too old (found "
        "version 11040).",
        "note: a model was left out",
    ]
    assert warnings.showwarning is before
    assert (own.handlers, root.handlers) == handlers


@pytest.mark.parametrize("debug", [False, True])
def test_debug_shows_everything(run: Run, alone: None, monkeypatch: pytest.MonkeyPatch, debug: bool) -> None:
    def talkative(*_: object, **__: object) -> None:
        speak()

    monkeypatch.setattr(cli, "app", talkative)
    monkeypatch.setattr(warnings, "showwarning", lambda message, *_: print(message, file=sys.stderr))
    _, _, said = run("models", *(["--debug"] if debug else []))
    assert ("Doe" in said) is debug


def test_a_folder_of_models_that_is_not_there_is_said_once(
    run: Run, alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ULS_MODELS", str(tmp_path / "Doe"))
    code, _, said = run("models")
    assert code == 0
    assert said == "note: a folder of models named in ULS_MODELS is not there; correct the variable\n"


def test_python_shows_warnings_to_who_asks_for_them() -> None:
    code = (
        "import warnings\nfrom UltrasoundLesionSegLib.cli.notes import notes_alone\n"
        "with notes_alone():\n    warnings.warn('of a library')"
    )
    for options, is_shown in (([], False), (["-Wdefault"], True)):
        command = [sys.executable, *options, "-c", code]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        assert ("of a library" in said) is is_shown
