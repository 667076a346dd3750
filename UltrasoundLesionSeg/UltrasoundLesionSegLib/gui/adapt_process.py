"""The process that fits a model to a reader's cases, as the panel sees it: started, listened to, ended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.batch.child import end_with_children
from UltrasoundLesionSegLib.errors import ModelError
from UltrasoundLesionSegLib.mrml.headless import is_application

ENDS = ("is_better", "failed")  # the last message has one of these
_ROOT = Path(__file__).resolve().parents[2]


class AdaptProcess:
    """One process. It reports in a file, so that nothing here ever waits for it.

    Parameters
    ----------
    request : mapping
        The fields of ``adaptation.process.Request``.

    Raises
    ------
    ModelError
        When it cannot be started.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ultrasound-lesion-seg-"))
        self._read = 0  # bytes of its messages
        said = self._folder / "messages"
        # no console window on Windows
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
        try:
            with said.open("wb") as messages:
                self._process = subprocess.Popen(
                    [*_command(), json.dumps(request)],
                    stdin=subprocess.DEVNULL,
                    stdout=messages,
                    stderr=subprocess.DEVNULL,  # libraries' messages quote paths
                    env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
                    start_new_session=True,  # so that it ends with the processes that make its samples
                    creationflags=flags,
                )
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise ModelError("the training cannot be started; try the command adapt in a shell to see why") from None

    def messages(self) -> list[dict[str, Any]]:
        """Return what it has said since the last call; once it has ended, the last message says how."""
        has_ended = self._process.poll() is not None
        with (self._folder / "messages").open("rb") as file:
            file.seek(self._read)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        found = [message for line in whole.splitlines() if (message := _message(line)) is not None]
        if has_ended and not any(name in message for message in found for name in ENDS):
            why = "the training ended before it was done; press the button again to go on where it was"
            found.append({"failed": why})
        return found

    def end(self) -> None:
        """End it, whatever it does; what it has kept on the disk stays, so that it can be gone on with."""
        end_with_children(self._process)
        shutil.rmtree(self._folder, ignore_errors=True)


def _command() -> list[str]:
    python = shutil.which("PythonSlicer") if is_application() else None  # Slicer puts it on its PATH
    # asked before anything slow is loaded, in which time the window can vanish
    code = f"import os, sys; window = os.getppid(); sys.path.insert(0, {str(_ROOT)!r}); "
    code += "from UltrasoundLesionSegLib.adaptation.process import main; main(window)"
    return [python or sys.executable, "-c", code]


def _message(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:  # a library's own line
        return None
    return found if isinstance(found, dict) else None
