"""The pool of a Dask cluster that the user names.

Dask does the scheduling and the authentication, and repeats a case whose machine is lost. On each machine, a worker
process of our own computes the cases, one after the other. So a case that hangs can be killed there too, and Slicer's
libraries do not run in Dask's threads. The sources and the output folder must have the same paths on all machines.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import astuple
from functools import partial
from typing import Any

from UltrasoundLesionSegLib.batch.child import WorkerProcess
from UltrasoundLesionSegLib.batch.jobs import (
    SECONDS_BETWEEN_SIGNS,
    CaseEnded,
    CaseLogged,
    CaseProgress,
    CaseStarted,
    Event,
    Job,
)
from UltrasoundLesionSegLib.errors import BatchError
from UltrasoundLesionSegLib.readers.quiet import silent_loggers

SECONDS_TO_CONNECT = 20
SECONDS_BETWEEN_FRAMES = 0.5  # fewer messages: the scheduler passes on those of hundreds of cines
_DASK_LOGGERS = tuple(f"distributed.{name}" for name in ("client", "utils", "core", "batched", "comm.tcp"))
_EVENTS = {one.__name__: one for one in (CaseStarted, CaseProgress, CaseLogged)}


class DaskPool:
    """Computes cases on a Dask cluster.

    Parameters
    ----------
    address : str
        Of the scheduler, e.g. ``tcp://host:8786``.
    run : str
        A name that no other batch has.
    time_limit : float
        Seconds for a case.
    """

    def __init__(self, address: str, run: str, time_limit: float) -> None:
        self._address = address
        self._run = run
        self._time_limit = time_limit
        self._events: queue.Queue[Event] = queue.Queue()

    def run(self, jobs: Sequence[Job]) -> Generator[Event | None, None, None]:
        """Compute cases; see ``Pool``.

        Raises
        ------
        BatchError
            When dask.distributed is not installed, or no scheduler answers.
        """
        # if the scheduler is lost, our own message appears instead of tracebacks
        with silent_loggers(*_DASK_LOGGERS):
            yield from self._run_with(jobs, self._connect())

    def _run_with(self, jobs: Sequence[Job], client: Any) -> Generator[Event | None, None, None]:
        futures: dict[str, Any] = {}
        try:
            client.subscribe_topic(self._run, self._receive)
            for job in jobs:
                key = f"{self._run}-{job.name}"
                future = client.submit(compute_here, self._run, job.as_message(), self._time_limit, key=key)
                future.add_done_callback(partial(self._end, job.name))
                futures[job.name] = future  # Dask drops a task if its future is not kept
            yield from self._until_ended(client, futures)
        finally:
            if client.status == "running":
                client.cancel(list(futures.values()))
                client.run(let_go, self._run)
            client.close()

    def _connect(self) -> Any:
        try:
            from distributed import Client
        except ImportError:
            raise BatchError(
                "dask.distributed is not installed; install it (pip install '.[cluster]' in this project's folder), "
                "or leave --scheduler out"
            ) from None
        try:
            return Client(self._address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
        except (OSError, ValueError, TypeError):
            raise BatchError(
                "no Dask scheduler answers at that address; start one, or correct --scheduler (tcp://HOST:PORT)"
            ) from None

    def _until_ended(self, client: Any, left: dict[str, Any]) -> Iterator[Event | None]:
        """Yield events until every case has ended or the scheduler is gone."""
        while left:
            try:
                event = self._events.get(timeout=SECONDS_BETWEEN_SIGNS)
            except queue.Empty:
                if client.status in ("closed", "failed"):
                    lost = "the Dask scheduler was lost; run the batch again to go on"
                    yield from (CaseEnded(name, reason=lost) for name in left)
                    return
                yield None
                continue
            if event.name not in left:
                continue  # a message about a frame can arrive after its case has ended
            if isinstance(event, CaseEnded):
                left.pop(event.name)
            yield event

    def _receive(self, event: tuple[float, dict[str, Any]]) -> None:
        values = {name: value for name, value in event[1].items() if name in _EVENTS}
        for name, value in values.items():
            self._events.put(_EVENTS[name](*value))

    def _end(self, name: str, future: Any) -> None:
        """Take up what became of a task; called by Dask in a thread of its own."""
        if future.status == "finished":
            self._events.put(CaseEnded(name, *future.result()))
        elif future.status == "cancelled":
            self._events.put(CaseEnded(name, reason="the cluster gave the case up; run the batch again to go on"))
        elif future.status != "error":
            # its machine was lost before the result arrived here: Dask computes the case again
            future.add_done_callback(partial(self._end, name))
        else:
            kind = type(future.exception()).__name__
            reason = "the cluster's worker died on it again and again" if kind == "KilledWorker" else f"{kind}"
            self._events.put(
                CaseEnded(name, reason=f"the cluster could not compute the case ({reason}); look at its workers' logs")
            )


class _Crew:
    """The worker processes of one batch in one Dask worker: as many as it has threads at work."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.idle: queue.Queue[WorkerProcess] = queue.Queue()

    def take(self) -> WorkerProcess:
        """Return a worker that is ready, a new one when all are busy."""
        while True:
            try:
                worker = self.idle.get_nowait()
            except queue.Empty:
                # Dask uses this variable to set the number of threads of a task
                worker = WorkerProcess(int(os.environ.get("OMP_NUM_THREADS", "1")), self.stopped)
                worker.wait_until_ready()
            if worker.is_alive:
                return worker


_crews: dict[str, _Crew] = {}
_crews_lock = threading.Lock()


def compute_here(run: str, message: dict[str, Any], time_limit: float) -> tuple[Any, str]:
    """Compute a case in a Dask worker; returns the folder (or None) and the reason of a failure (or '').

    Parameters
    ----------
    run : str
        Name of the batch.
    message : dict
        The job, as ``Job.as_message`` gives it.
    time_limit : float
        In seconds.
    """
    from distributed import get_worker

    with _crews_lock:
        crew = _crews.setdefault(run, _Crew())
    job = Job.from_message(message)
    if not job.request.output.is_dir():
        return None, "the output folder is not there on the cluster's machine; choose one that all machines share"
    say = partial(_say, get_worker(), run)
    try:
        worker = crew.take()
    except BatchError as error:
        return None, str(error)
    say(CaseStarted(job.name))
    said = [0.0]

    def tell(event: CaseProgress | CaseLogged) -> None:
        if isinstance(event, CaseProgress):
            if time.monotonic() - said[0] < SECONDS_BETWEEN_FRAMES:
                return
            said[0] = time.monotonic()
        say(event)

    ended = worker.compute(job, time_limit, tell)
    if worker.is_alive:
        crew.idle.put(worker)
    return ended.folder, ended.reason


def _say(worker: Any, topic: str, event: Event) -> None:
    worker.log_event(topic, {type(event).__name__: astuple(event)})


def let_go(run: str) -> None:
    """End the worker processes of a batch in a Dask worker.

    Parameters
    ----------
    run : str
    """
    with _crews_lock:
        crew = _crews.pop(run, None)
    if crew is None:
        return
    crew.stopped.set()
    while True:
        try:
            crew.idle.get_nowait().kill()
        except queue.Empty:
            return
