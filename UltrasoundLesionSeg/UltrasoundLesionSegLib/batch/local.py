"""The pool of this machine: as many worker processes as it can hold. A process that dies or hangs is replaced."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from UltrasoundLesionSegLib.batch.child import WorkerProcess
from UltrasoundLesionSegLib.batch.jobs import SECONDS_BETWEEN_SIGNS, CaseEnded, CaseStarted, Event, Job
from UltrasoundLesionSegLib.batch.machine import cpu_workers, devices_of_workers, usable_cores
from UltrasoundLesionSegLib.errors import BatchError, DeviceError


class LocalPool:
    """Computes cases in processes on this machine, each fed by a thread of this one.

    Parameters
    ----------
    device : str
        ``auto``: every GPU has one worker; without a GPU, as many work as cores and memory allow.
    processes : int or None
        As many as this instead.
    time_limit : float
        Seconds for a case.
    command : sequence of str, optional
        See ``WorkerProcess``.
    """

    def __init__(
        self, device: str, processes: int | None, time_limit: float, command: Sequence[str] | None = None
    ) -> None:
        self._device = device
        self._processes = processes
        self._time_limit = time_limit
        self._command = command
        self._threads = max(1, usable_cores() // (processes or cpu_workers()))
        self._jobs: queue.Queue[Job] = queue.Queue()
        self._events: queue.Queue[Event] = queue.Queue()
        self._stopped = threading.Event()

    def run(self, jobs: Sequence[Job]) -> Generator[Event | None, None, None]:
        """Compute cases; see ``Pool``.

        Raises
        ------
        BatchError
            When no worker can be started at all.
        """
        for job in jobs:
            self._jobs.put(job)
        first = self._start()
        workers: list[threading.Thread] = []
        try:
            found = yield from self._ready(first)
            devices = self._chosen(found)[: len(jobs)]
            workers = [
                threading.Thread(target=self._serve, args=(device, first if number == 0 else None), daemon=True)
                for number, device in enumerate(devices)
            ]
            for worker in workers:
                worker.start()
            left = len(jobs)
            while left:
                try:
                    event = self._events.get(timeout=SECONDS_BETWEEN_SIGNS)
                except queue.Empty:
                    yield None
                    continue
                left -= isinstance(event, CaseEnded)
                yield event
        finally:
            self._stopped.set()
            for worker in workers:
                worker.join()
            first.kill()

    def _ready(self, worker: WorkerProcess) -> Generator[None, None, list[str]]:
        """Return the devices that a worker finds, when it can take cases: that takes it 5 s and more."""
        with ThreadPoolExecutor(1) as threads:
            ready = threads.submit(worker.wait_until_ready)
            try:
                while not wait([ready], SECONDS_BETWEEN_SIGNS).done:
                    yield None
            except BaseException:
                self._stopped.set()  # ends the wait in the thread, too
                raise
            return ready.result()

    def _chosen(self, found: list[str]) -> list[str]:
        """Return the device of each worker."""
        if self._device == "auto":
            return devices_of_workers(found, self._processes)
        # "cuda" is all GPUs, "cuda:1" one of them
        matching = [one for one in [*found, "cpu"] if self._device in (one, one.partition(":")[0])]
        if not matching:
            raise DeviceError(f"the device '{self._device}' is not on this machine; choose 'auto' or 'cpu'")
        return devices_of_workers(list(dict.fromkeys(matching)), self._processes)

    def _start(self) -> WorkerProcess:
        return WorkerProcess(self._threads, self._stopped, self._command)

    def _serve(self, device: str, worker: WorkerProcess | None) -> None:
        """Feed one worker until no case is left; one that died is replaced when the next case comes."""
        try:
            while not self._stopped.is_set():
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                try:
                    if worker is None or not worker.is_alive:
                        worker = self._start()
                        worker.wait_until_ready()
                    self._events.put(CaseStarted(job.name))
                    self._events.put(worker.compute(job.on(device), self._time_limit, self._events.put))
                except BatchError as error:
                    self._events.put(CaseEnded(job.name, reason=str(error)))
                except Exception as error:  # the case must end in any event, otherwise the batch waits for ever
                    self._events.put(CaseEnded(job.name, reason=f"an unforeseen {type(error).__name__}"))
        finally:
            if worker is not None:
                worker.kill()
