"""Ctrl+C: one sentence and exit code 130, in the middle of an import and of a write too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from interrupts import COMMAND, interrupt

from UltrasoundLesionSegLib.cli import interrupts as product
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.write import write_simulation

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX does")

# The process interrupts itself where a chosen module has begun to load, or a chosen file is being written.
AT_IMPORT = """
import builtins, os, signal, sys
from UltrasoundLesionSegLib.cli import start
chosen = sys.argv.pop(1)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == chosen:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
start.main()
"""
AT_WRITE = """
import os, signal, sys
from UltrasoundLesionSegLib.cli import start
chosen = sys.argv.pop(1)
from UltrasoundLesionSegLib.writers import atomic
original = os.fsync
def fsync(handle):
    if chosen in os.readlink(f"/proc/self/fd/{handle}"):
        os.kill(os.getpid(), signal.SIGINT)
    original(handle)
os.fsync = fsync
start.main()
"""


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("cine")
    cine = write_simulation(simulate_cine(SimulationSettings(seed=2, frames=4, height=96, width=96)), folder, "dicom")
    return ["segment", str(cine), "--seed", f"{folder / 'truth' / '00001.png'}@1"]


def stop(script: str, where: str, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, where, *arguments, "--output", str(folder / "out")]
    temporary = folder / "tmp"
    temporary.mkdir()
    env = os.environ | {"TMPDIR": str(temporary)}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)


def assert_stopped(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert (done.returncode, done.stderr.strip()) == (130, "stopped by Ctrl+C; nothing half-written is left")
    assert list(folder.rglob("*")) == [folder / "tmp"]


@pytest.mark.parametrize("module", ["typer", "numpy", "torch", "torch.nn", "vtk", "slicer", "slicer.util", "pydicom"])
def test_in_the_middle_of_an_import(arguments: list[str], tmp_path: Path, module: str) -> None:
    assert_stopped(stop(AT_IMPORT, module, arguments, tmp_path), tmp_path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="files are recognised through /proc")
@pytest.mark.parametrize("file", [".png", ".csv", ".mrb", ".dcm"])
def test_in_the_middle_of_a_write(arguments: list[str], tmp_path: Path, file: str) -> None:
    assert_stopped(stop(AT_WRITE, file, arguments, tmp_path), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.4, 1.0, 1.7, 2.6])
def test_at_any_moment(arguments: list[str], tmp_path: Path, seconds: float) -> None:
    assert interrupt(arguments, tmp_path, seconds).kind in ("stopped", "done")


def test_a_batch_is_interrupted_between_imports_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "slow_to_load.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.01)\nloaded = True\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    before = signal.getsignal(signal.SIGINT)
    product.install()
    waiting = threading.Event()
    loaded = []

    def load_and_wait() -> None:
        import slow_to_load  # type: ignore[import-not-found]

        loaded.append(slow_to_load.loaded)
        waiting.wait(10)

    try:
        with product.raising(), pytest.raises(KeyboardInterrupt):
            load_and_wait()
    finally:
        signal.signal(signal.SIGINT, before)
    assert loaded == [True]


def test_when_the_work_is_done_it_changes_nothing() -> None:
    script = """
import os, signal
from UltrasoundLesionSegLib.cli import start
try:
    start.main()
except SystemExit as ended:
    os.kill(os.getpid(), signal.SIGINT)
    print("ended with", ended.code)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, "models"], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.splitlines()[-1] == "ended with 0"


def test_the_console_script_begins_there() -> None:
    said = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True).stdout
    from UltrasoundLesionSegLib import __version__

    assert said.strip() == __version__
