"""Whose results a folder holds that a person exports to: ``export.json`` names the cine by its digests alone."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path

from UltrasoundLesionSegLib import __version__
from UltrasoundLesionSegLib.cine import SourceIdentity
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.workflow.kinds import KINDS
from UltrasoundLesionSegLib.workflow.output_folder import RECORD as RECORD_OF_CASE
from UltrasoundLesionSegLib.writers.atomic import atomic_path

RECORD = "export.json"


class Owner(Enum):
    """Whose the results in a folder are."""

    NOBODY = "there are none"
    THIS_CINE = "this cine"
    ANOTHER_CINE = "another cine"
    UNKNOWN = "nothing says whose they are"


def results_in(folder: Path) -> list[str]:
    """Return the names of the results in a folder; an empty folder of masks is none.

    Raises
    ------
    OutputError
        When one may not look into the folder.
    """
    names = dict.fromkeys(name for kind in KINDS.values() for name in kind.names)
    try:
        return [name for name in names if _is_there(folder / name)]
    except OSError as error:
        raise OutputError(f"the folder cannot be read ({error.strerror}); choose another one") from None


def owner_of(folder: Path, identity: SourceIdentity) -> Owner:
    """Return whose the results in a folder are, by what an export or ``segment`` recorded there.

    Parameters
    ----------
    folder : Path
        Need not exist.
    identity : SourceIdentity
        Of the cine that is about to be exported. The same pixels in another file are the same cine.

    Raises
    ------
    OutputError
        When one may not look into the folder.
    """
    if not results_in(folder):
        return Owner.NOBODY
    recorded = [source for name in (RECORD, RECORD_OF_CASE) if (source := _source(folder / name))]
    if not recorded:
        return Owner.UNKNOWN
    return Owner.THIS_CINE if all(_is_same(one, identity) for one in recorded) else Owner.ANOTHER_CINE


def record_owner(folder: Path, identity: SourceIdentity) -> None:
    """Record that the results in a folder are those of this cine.

    Parameters
    ----------
    folder : Path
    identity : SourceIdentity

    Raises
    ------
    OutputError
        When the record cannot be written.
    """
    record = {
        "software": {"name": "ultrasound-lesion-seg", "version": __version__},
        "source": {"kind": identity.kind.value, "sha256": identity.digest, "pixels": identity.pixels},
    }
    with atomic_path(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _is_there(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists()


def _source(record: Path) -> dict[str, object] | None:
    """Return what a record says of the cine, None where there is no record that can be read."""
    try:
        source = json.loads(record.read_text(encoding="utf-8"))["source"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return source if isinstance(source, dict) else None


def _is_same(source: dict[str, object], identity: SourceIdentity) -> bool:
    has_same_pixels = bool(identity.pixels) and source.get("pixels") == identity.pixels
    return has_same_pixels or source.get("sha256") == identity.digest
