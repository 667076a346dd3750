"""One person at a time on a case of a reader: a file in the case's folder, with a random token and a heartbeat.

The file's time is renewed every ``SECONDS_BETWEEN_BEATS``. It is stale when its holder is gone, which is told by the
time without a beat, and by the operating system's lock on the file, which ends with the process. Not every network
drive passes locks on, so that a free lock proves something on the holder's own machine alone. Ages are taken by the
clock of the drive, never by comparing the clocks of two machines.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import BinaryIO

from UltrasoundLesionSegLib.errors import HeldError, ReviewError
from UltrasoundLesionSegLib.writers.system_lock import try_lock

HOLD = "hold.json"
SECONDS_BETWEEN_BEATS = 20.0
# Seconds without a beat after which the holder counts as gone: where its process must be dead, where nothing is known,
# and where its process lives but does not beat (a machine that sleeps)
SECONDS_IF_DEAD, SECONDS_UNTIL_STALE, SECONDS_IF_ALIVE = 5.0, 120.0, 900.0


class Hold:
    """A case held. Made by ``take``; released by ``release`` or at the end of a ``with`` block.

    Attributes
    ----------
    token : str
        Random; nobody else has it.
    """

    def __init__(self, folder: Path, token: str, file: BinaryIO) -> None:
        self.token = token
        self._path = folder / HOLD
        self._file = file
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat_on, daemon=True)
        self._beating.start()

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def is_ours(self) -> bool:
        """Whether nobody has taken the case over."""
        return not self._ended.is_set() and _token_of(self._path) == self.token

    def beat(self) -> None:
        """Say that we are still at it; a thread does so all the time."""
        with contextlib.suppress(OSError):
            if self.is_ours():
                os.utime(self._path)

    def _beat_on(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_BEATS):
            self.beat()

    def release(self) -> None:
        """Let go of the case; once is enough."""
        is_ours = self.is_ours()
        self._ended.set()
        self._file.close()  # before the file is removed: Windows removes none that is open
        if is_ours:
            with contextlib.suppress(OSError):
                self._path.unlink()


def take(folder: Path) -> Hold:
    """Hold a case.

    Parameters
    ----------
    folder : Path
        Of the case; made if it does not exist.

    Raises
    ------
    HeldError
        When another holds it; says for how long it has been so at least.
    ReviewError
        When the folder cannot be written.
    """
    token = secrets.token_hex(8)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            if _create(folder, token) or _take_over(folder, token):
                return Hold(folder, token, _locked(folder / HOLD))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ReviewError(
            f"the reader's folder cannot be written ({reason}); see that you may write in the batch's folder, and that "
            "its disk has room"
        ) from None


def is_held(folder: Path) -> bool:
    """Whether somebody is at work on a case."""
    try:
        return (folder / HOLD).exists() and not _is_stale(folder)
    except OSError:
        return False


def _create(folder: Path, token: str) -> bool:
    """Make the file in one step; returns False where there is one."""
    own = _written(folder, token)
    try:
        # renaming replaces on POSIX, giving a second name never does
        os.link(own, folder / HOLD)
    except FileExistsError:
        return False
    except OSError:  # a drive without links: made in one step too, but filled a moment later
        try:
            with (folder / HOLD).open("xb") as file:
                file.write(own.read_bytes())
        except FileExistsError:
            return False
    finally:
        own.unlink(missing_ok=True)
    return True


def _written(folder: Path, token: str) -> Path:
    own = folder / f".{token}.hold"
    own.write_bytes(json.dumps({"token": token, "machine": _machine()}).encode("ascii"))
    return own


def _locked(path: Path) -> BinaryIO:
    """Open the file and lock it; others, who look whether it is locked, have it for a moment."""
    file = path.open("r+b")
    for _ in range(100):
        if try_lock(file) is not False:
            break
        time.sleep(0.01)
    return file


def _take_over(folder: Path, token: str) -> bool:
    """Put our token into a stale file; returns False where the file has gone, raises where it is not stale.

    Only who makes the file ``takeover-TOKEN`` of the stale token may do so: of two that find the same one stale, one.
    """
    path = folder / HOLD
    stale = _token_of(path)
    if not _is_stale(folder):
        if not path.exists():
            return False
        raise _held(folder)
    mutex = folder / f".takeover-{stale or 'unreadable'}"
    try:
        mutex.touch(exist_ok=False)
    except FileExistsError:
        if (_age(mutex) or 0.0) > SECONDS_UNTIL_STALE:  # its maker died in the middle
            mutex.unlink(missing_ok=True)
        raise _held(folder) from None
    try:
        if _token_of(path) != stale:
            raise _held(folder)
        _written(folder, token).replace(path)
    finally:
        mutex.unlink(missing_ok=True)
    return True


def _held(folder: Path) -> HeldError:
    age = _age(folder / HOLD)
    since = "" if age is None else f" (last sign of life {round(age)} s ago)"
    return HeldError(f"the case is in work by somebody else with this reader's code{since}; take the next case")


def _is_stale(folder: Path) -> bool:
    path = folder / HOLD
    age, is_free = _age(path), _is_unlocked(path)
    if age is None:
        return False
    if is_free is False:
        return age > SECONDS_IF_ALIVE
    is_here = _content_of(path).get("machine") == _machine()
    return age > (SECONDS_IF_DEAD if is_free and is_here else SECONDS_UNTIL_STALE)


def _is_unlocked(path: Path) -> bool | None:
    """Whether nobody has the file locked, as far as this machine can tell; None where there are no locks."""
    try:
        with path.open("r+b") as file:
            return try_lock(file)
    except OSError:
        return None


def _age(path: Path) -> float | None:
    """Return the seconds since a file was changed, by the clock of its drive; None where it has gone."""
    probe = path.with_name(f".{secrets.token_hex(6)}.now")
    try:
        probe.touch()
        return max(0.0, probe.stat().st_mtime - path.stat().st_mtime)
    except FileNotFoundError:
        return None
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def _content_of(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _token_of(path: Path) -> str:
    token = _content_of(path).get("token", "")
    return token if isinstance(token, str) and token.isalnum() else ""


def _machine() -> str:
    """Return what tells this machine from others without naming it."""
    return hashlib.sha256(f"{socket.gethostname()} {uuid.getnode()}".encode()).hexdigest()[:12]
