"""Large libraries without a frozen window: imported in another thread, their files read into memory beforehand.

Slicer lets other Python threads work only while its own thread waits in Python. So its thread waits for a moment, draws
what there is to draw, and waits again.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Generator

MODULES = (("torch", "PyTorch"), ("monai.inferers", "MONAI"))
TURN_S = 0.05  # seconds of import between two updates of the window


def load_libraries() -> Generator[str, None, None]:
    """Import what computing needs, a moment a step; yields what is being done, for a person.

    Raises
    ------
    ImportError
        As the import itself raises it.
    """
    for module, title in MODULES:
        for seconds in import_steps(module):
            yield f"Loading {title}, once after Slicer starts: {seconds:.0f} s"


def import_steps(module: str) -> Generator[float, None, None]:
    """Import a module, a moment a step; yields the seconds since the start. No step where it is imported already.

    A module that another thread is importing at present is in ``sys.modules`` but not complete: it is waited for, too.

    Raises
    ------
    ImportError
        As the import itself raises it.
    """
    started = time.perf_counter()
    loading = _Import(module)
    while not loading.wait(TURN_S):
        yield time.perf_counter() - started
    if loading.error is not None:
        raise loading.error


class _Import:
    def __init__(self, module: str) -> None:
        self._module = module
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            importlib.import_module(self._module)
        except BaseException as error:
            self.error = error

    def wait(self, seconds: float) -> bool:
        """Let the import work for a moment; returns whether it is over."""
        self._thread.join(seconds)
        return not self._thread.is_alive()


class WarmUp:
    """A process that reads the libraries' files, so that the first import does not wait for the disk.

    It imports them with low priority and ends; nothing is kept but what the system keeps of files that were read.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it once, where libraries are installed and not loaded yet."""
        python = shutil.which("PythonSlicer")  # Slicer puts it on its PATH
        if self._process is not None or python is None or "torch" in sys.modules:
            return
        if importlib.util.find_spec("torch") is None:
            return
        names = ", ".join(module for module, _ in MODULES)
        code = f"import os; hasattr(os, 'nice') and os.nice(10); import {names}"
        # no console window on Windows
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
        nowhere = subprocess.DEVNULL
        try:
            self._process = subprocess.Popen(
                [python, "-c", code], stdin=nowhere, stdout=nowhere, stderr=nowhere, creationflags=flags
            )
        except OSError:
            return

    def stop(self) -> None:
        """End it if it is still at work."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
