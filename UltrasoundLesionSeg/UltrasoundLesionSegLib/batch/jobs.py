"""The messages between a batch and its worker processes: plain values, sent as JSON."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from UltrasoundLesionSegLib.logs import LogLevel
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest, SeedFileRequest


@dataclass(frozen=True)
class Job:
    """One case to compute.

    Parameters
    ----------
    name : str
        Of the case.
    request : CaseRequest
        Its ``output`` is the folder below which each attempt makes a folder of its own.
    """

    name: str
    request: CaseRequest

    def on(self, device: str) -> Job:
        """Return the job as it is to be computed on a device."""
        return replace(self, request=replace(self.request, device=device))

    def as_message(self) -> dict[str, Any]:
        """Return the job as JSON takes it."""
        request = asdict(self.request) | {"source": str(self.request.source), "output": str(self.request.output)}
        request["reader_work"] = str(self.request.reader_work) if self.request.reader_work else None
        request["seeds"] = [{"path": str(seed.path), "frame": seed.frame} for seed in self.request.seeds]
        return {"name": self.name, "request": request}

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Job:
        """Return the job that ``as_message`` gave."""
        values = dict(message["request"])
        values["source"], values["output"] = Path(values["source"]), Path(values["output"])
        values["seeds"] = tuple(SeedFileRequest(Path(seed["path"]), seed["frame"]) for seed in values["seeds"])
        values["reader_work"] = Path(values["reader_work"]) if values["reader_work"] else None
        values["frames"] = tuple(values["frames"]) if values["frames"] else None
        values["further_kinds"] = tuple(values["further_kinds"])
        values["log_level"] = LogLevel(values["log_level"])
        return cls(message["name"], CaseRequest(**values))


@dataclass(frozen=True)
class CaseStarted:
    """A worker has begun with a case."""

    name: str


@dataclass(frozen=True)
class CaseProgress:
    """A worker has worked on a frame; ``done`` of ``total`` frames have their final result."""

    name: str
    frame: int
    done: int
    total: int


@dataclass(frozen=True)
class CaseLogged:
    """A worker has something for the log; ``level`` as ``logging`` counts."""

    name: str
    level: int
    frame: int | None
    sentence: str


@dataclass(frozen=True)
class CaseEnded:
    """A case is computed, to ``folder``; or it failed, for ``reason``."""

    name: str
    folder: Path | None = None
    reason: str = ""


Event = CaseStarted | CaseProgress | CaseLogged | CaseEnded


SECONDS_BETWEEN_SIGNS = 0.05  # of life, while there is nothing to tell: a window is repainted then


class Pool(Protocol):
    """Something that computes cases."""

    def run(self, jobs: Sequence[Job]) -> Generator[Event | None, None, None]:
        """Compute cases; every job gets one ``CaseEnded``. Closing the iterator stops the work.

        While there is nothing to tell, None is yielded every ``SECONDS_BETWEEN_SIGNS``.
        """


def event_of(name: str, message: dict[str, Any]) -> CaseProgress | CaseLogged | None:
    """Return what a worker's message says of the case it is computing; None when it ends the case.

    Parameters
    ----------
    name : str
    message : dict
        As ``worker`` sends it.
    """
    if "frame_done" in message:
        frame, done, total = message["frame_done"]
        return CaseProgress(name, frame, done, total)
    if "log" in message:
        level, frame, sentence = message["log"]
        return CaseLogged(name, level, frame, sentence)
    return None
