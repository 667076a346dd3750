"""What a worker process writes, and what else may come the same way."""

from __future__ import annotations

import sys
import threading

import pytest

from UltrasoundLesionSegLib.batch.child import WorkerProcess
from UltrasoundLesionSegLib.errors import BatchError

READY = """import sys, time; out = sys.stdout.buffer; out.write({noise!r} + b'{{"ready": ["cpu"]}}\\n'); out.flush()
time.sleep(60)"""


@pytest.mark.parametrize(
    "noise",
    [
        b"QMainWindow: toolbar moduleToolBar has no name\n",
        b"[]\n42\nnull\n",
        b"\xff\xfe no text at all\n\n",
        b"{half a message\n",
    ],
)
def test_lines_that_are_no_messages_are_skipped(noise: bytes) -> None:
    worker = WorkerProcess(1, threading.Event(), [sys.executable, "-c", READY.format(noise=noise)])
    try:
        assert worker.wait_until_ready() == ["cpu"]
    finally:
        worker.kill()


def test_a_worker_that_says_nothing_else_is_not_started() -> None:
    command = [sys.executable, "-c", "print('a line of Slicer')"]
    worker = WorkerProcess(1, threading.Event(), command)
    with pytest.raises(BatchError, match="cannot be started"):
        worker.wait_until_ready()


def test_the_real_worker_is_ready_though_the_application_left_a_line_open() -> None:
    code = "import os; os.write(1, b'no newline here'); from UltrasoundLesionSegLib.batch.worker import main; main()"
    worker = WorkerProcess(1, threading.Event(), [sys.executable, "-c", code])
    try:
        assert worker.wait_until_ready()
    finally:
        worker.kill()
