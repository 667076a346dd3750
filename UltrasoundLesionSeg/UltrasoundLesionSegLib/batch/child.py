"""A worker process, started, given cases, watched and ended by the batch."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from UltrasoundLesionSegLib.batch.jobs import CaseEnded, CaseLogged, CaseProgress, Job, event_of
from UltrasoundLesionSegLib.errors import BatchError
from UltrasoundLesionSegLib.mrml.headless import is_application

SECONDS_TO_START = 300.0  # importing torch and Slicer's libraries takes 5 s, from a busy network drive minutes
_ROOT = Path(__file__).resolve().parents[2]


class WorkerProcess:
    """A process that computes one case after another.

    Parameters
    ----------
    threads : int
        Of the processor, for the networks.
    stopped : threading.Event
        Ends it, whatever it does, when it is set.
    command : sequence of str, optional
        What to start; ``worker_command()`` by default.
    """

    def __init__(self, threads: int, stopped: threading.Event, command: Sequence[str] | None = None) -> None:
        self._stopped = stopped
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "OPENCV_FOR_THREADS_NUM": str(threads),
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        try:
            self._process = subprocess.Popen(
                [*(command or worker_command())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # libraries' messages quote paths
                env=environment,
                start_new_session=True,  # so that it can be killed with its children; on Windows taskkill finds them
            )
        except OSError:
            raise _not_started() from None
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()

    def _read(self, answers: IO[bytes]) -> None:
        with contextlib.suppress(OSError):
            for line in answers:
                # a Slicer without a window prints lines of its own; a killed worker can leave half a line
                with contextlib.suppress(ValueError):
                    message = json.loads(line)
                    if isinstance(message, dict):
                        self._messages.put(message)
        self._messages.put(None)

    def wait_until_ready(self) -> list[str]:
        """Return the devices of its machine, once it can take cases.

        Raises
        ------
        BatchError
            When it ends instead, or takes too long.
        """
        try:
            message = self._next_message(time.monotonic() + SECONDS_TO_START)
        except (TimeoutError, InterruptedError):
            message = None
        if message is None or "ready" not in message:
            self.kill()
            raise _not_started()
        return [str(device) for device in message["ready"]]

    def _next_message(self, deadline: float) -> dict[str, Any] | None:
        """Return the next message, None when it has ended; raises when time is up or the batch is stopped."""
        while not self._stopped.is_set():
            if (left := deadline - time.monotonic()) <= 0:
                raise TimeoutError
            with contextlib.suppress(queue.Empty):
                return self._messages.get(timeout=min(left, 0.2))
        raise InterruptedError

    def compute(self, job: Job, time_limit: float, tell: Callable[[CaseProgress | CaseLogged], None]) -> CaseEnded:
        """Have a case computed. After a failure for which the worker is to blame, ``is_alive`` is False.

        Parameters
        ----------
        job : Job
        time_limit : float
            Seconds after which it is killed.
        tell : callable
            Takes what is to be said of the case meanwhile.
        """
        with contextlib.suppress(OSError):  # a dead worker is noticed because it does not answer
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(job.as_message()).encode() + b"\n")
            self._process.stdin.flush()
        deadline = time.monotonic() + time_limit
        while True:
            try:
                message = self._next_message(deadline)
            except InterruptedError:
                self.kill()
                return CaseEnded(job.name, reason="the batch was stopped; run it again to go on")
            except TimeoutError:
                self.kill()
                return CaseEnded(
                    job.name, reason=f"the time limit of {time_limit:g} s for a case was reached; raise --time-limit"
                )
            if message is None:
                return CaseEnded(job.name, reason=self._cause_of_death())
            if (event := event_of(job.name, message)) is not None:
                tell(event)
            elif "done" in message:
                return CaseEnded(job.name, Path(message["done"]))
            else:
                return CaseEnded(job.name, reason=str(message["failed"]))

    def _cause_of_death(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)  # its output has ended, so the process is about to end
        self.kill()
        code = self._process.wait()
        if code == -getattr(signal, "SIGKILL", 9):
            return (
                "the worker process was killed from outside, as systems do when memory runs out; "
                "run fewer processes (--processes 1)"
            )
        how = f"signal {-code}" if code < 0 else f"code {code}"
        return f"the worker process crashed ({how}); run segment --debug on the source to see where"

    @property
    def is_alive(self) -> bool:
        """Whether it can take another case."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it and every process it started."""
        end_with_children(self._process)
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()


def end_with_children(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started as a session of its own, with every process that it started."""
    if sys.platform == "win32":
        command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def worker_command() -> list[str]:
    """Return what starts a worker: this Python, or inside Slicer another Slicer without a window.

    In a Slicer application this Python is the application itself; ``multiprocessing`` would start it with arguments
    that it does not know, and its scene is the user's.
    """
    code = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); "
    code += "from UltrasoundLesionSegLib.batch.worker import main; main()"
    if is_application():
        import slicer

        launcher = slicer.app.launcherExecutableFilePath
        return [launcher, "--no-main-window", "--no-splash", "--ignore-slicerrc", "--python-code", code]
    return [sys.executable, "-c", code]


def _not_started() -> BatchError:
    return BatchError("a worker process cannot be started; try the command segment on one source to see why")
