"""Unique identifiers of objects and of lesions, made without anything of the patient."""

from __future__ import annotations

import hashlib
import re
import uuid

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.cine import SourceIdentity


def new_uid() -> str:
    """Return a fresh UID under ``2.25.`` from a random UUID (PS3.5 B.2), which needs no registered root."""
    return f"2.25.{uuid.uuid4().int}"


def device_uid() -> str:
    """Return the UID of this software as an observer (TID 1004), the same for every copy of a version."""
    return _uid_of(f"UltrasoundLesionSeg {__version__}")


def tracking_uid(source: SourceIdentity, lesion: str) -> str:
    """Return the tracking UID of a lesion: the same for the same source and lesion, on any machine and day.

    SEG and SR of one lesion, and a SEG written again after a correction, so name the same thing (PS3.3 C.8.20.2,
    Tracking UID). The UID is a hash; nothing of the patient can be read from it.

    Parameters
    ----------
    source : SourceIdentity
    lesion : str
        What tells the lesion from the others of this source and stays when it is renamed: its segment ID.
    """
    return _uid_of(f"{source.digest}\n{lesion}")


def tracking_id(source: SourceIdentity, number: int) -> str:
    """Return a tracking identifier a person can read, unique among cines: ``cine-3fa92c1b lesion 2``.

    Parameters
    ----------
    source : SourceIdentity
    number : int
        The lesion, counted from 1; it stays with the lesion, as the tracking UID does.
    """
    return f"{source.short_name} lesion {number}"


def tracked_lesion(identifier: str) -> int | None:
    """Return the number of the lesion in an identifier that :func:`tracking_id` made, None in any other."""
    found = re.fullmatch(r"cine-[0-9a-f]+ lesion ([1-9][0-9]*)", identifier)
    return int(found[1]) if found else None


def _uid_of(text: str) -> str:
    """Return a UID made of the SHA-256 of a text."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"
