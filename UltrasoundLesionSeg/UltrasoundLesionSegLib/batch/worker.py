"""A worker process: computes one case after another, which it gets as lines of JSON on its standard input.

It keeps libraries loaded between cases, which take seconds. It answers on its standard output; whatever libraries print
there goes to standard error. When its input ends, because the batch has ended or died, it ends at once.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import secrets
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from UltrasoundLesionSegLib.batch.fingerprint import fingerprint
from UltrasoundLesionSegLib.batch.jobs import Job
from UltrasoundLesionSegLib.errors import LesionSegError
from UltrasoundLesionSegLib.logs import handled_by, sentence_of
from UltrasoundLesionSegLib.workflow.case import run_case

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.workflow.propagation_job import PropagationProgress

Send = Callable[[dict[str, Any]], None]


def devices() -> list[str]:
    """Return what this machine computes on: its GPUs, or the CPU."""
    import torch

    if torch.cuda.is_available():
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["mps"] if torch.backends.mps.is_available() else ["cpu"]


def compute(job: Job, send: Send) -> None:
    """Compute one case; sends its frames, its log, and in the end ``done`` or ``failed``.

    Parameters
    ----------
    job : Job
    send : callable
        Takes a message.
    """
    # each attempt has its own folder, because an earlier one may still be writing
    folder = job.request.output / f"{job.name}-{secrets.token_hex(4)}"

    def advance(step: PropagationProgress) -> None:
        send({"frame_done": [step.frame, step.frames_done, step.frames]})

    try:
        with handled_by(_Sender(send), job.request.log_level):
            stamp = {"inputs": fingerprint(job.request)}
            run_case(replace(job.request, output=folder, stamp=stamp), advance)
    except LesionSegError as error:
        send({"failed": str(error)})
    except MemoryError:
        send({"failed": "there is not enough memory for the case; run fewer processes (--processes 1)"})
    except Exception as error:
        # the text of an error from a library can quote paths and values
        send({"failed": f"an unforeseen {type(error).__name__}; run segment --debug on the source to see where"})
    else:
        send({"done": str(folder)})


class _Sender(logging.Handler):
    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send({"log": [record.levelno, getattr(record, "frame", None), sentence_of(record)]})


def main() -> None:
    """Serve until the input ends."""
    answers = _private_output()
    jobs: queue.Queue[Job] = queue.Queue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()

    def send(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message).encode() + b"\n")
        answers.flush()

    try:
        answers.write(b"\n")  # ends a line that the application may have begun
        send({"ready": devices()})
        while True:
            compute(jobs.get(), send)
    except OSError:  # the batch has ended
        os._exit(1)


def _private_output() -> IO[bytes]:
    """Return a stream to the old standard output, and let everything that prints there print to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return answers


def _listen(jobs: queue.Queue[Job]) -> None:
    # the descriptor and not sys.stdin, which is another object inside a Slicer application
    with os.fdopen(0, "rb", closefd=False) as requests:
        for line in requests:
            jobs.put(Job.from_message(json.loads(line)))
    os._exit(0)
