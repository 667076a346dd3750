"""What a case's result depends on, as hashes: source, seeds, a reader's anchors, settings, the models' weights.

It is stored in the case's ``run.json``. If it differs at the next start, the case is computed again. The device and the
number of processes are not part of it, because they change results only by rounding errors. The software's version is
not part of it either; it is in the table of cases.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.engine.bundles import PROPAGATE, SUGGEST, default_bundle, find_bundle
from UltrasoundLesionSegLib.errors import LesionSegError
from UltrasoundLesionSegLib.reader_work.store import CaseWork
from UltrasoundLesionSegLib.readers.dicomdir import list_images
from UltrasoundLesionSegLib.readers.digest import file_digest, unreadable
from UltrasoundLesionSegLib.readers.sniff import Format, sniff
from UltrasoundLesionSegLib.readers.volume import data_path_of
from UltrasoundLesionSegLib.readers.volume_headers import read_volume_header
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest

Fingerprint = dict[str, Any]

# made by file managers when a folder is looked at
_NOT_CONTENT = ("thumbs.db", "desktop.ini")


def fingerprint(request: CaseRequest) -> Fingerprint:
    """Return what the result of a case depends on.

    Parameters
    ----------
    request : CaseRequest

    Returns
    -------
    dict
        Plain values: ``source`` (SHA-256), ``seeds`` (SHA-256 and frame of each), ``settings``; with a reader's anchors
        ``reader`` (code, SHA-256 of the anchors).

    Raises
    ------
    SourceError, ModelError, ReviewError
        When a file cannot be read or the model is unknown.
    """
    found = {
        "source": content_digest(request.source),
        "seeds": [{"sha256": content_digest(seed.path), "frame": seed.frame} for seed in request.seeds],
        "settings": _settings(request),
    }
    if request.reader_work is not None:
        work = CaseWork.at(request.reader_work)
        found["reader"] = {"code": work.reader, "anchors": work.anchors_digest()}
    return found


def content_digest(path: Path) -> str:
    """Return the SHA-256 (hex) of a file and of those it leads to, or of a folder's files and their names.

    Raises
    ------
    SourceError
        When something cannot be read.
    """
    if os.path.isdir(path):  # not Path.is_dir, which raises for a name that is too long
        return _folder_digest(path)
    digest = file_digest(path)
    further = [file_digest(one) for one in _led_to(path)]
    return hashlib.sha256("".join((digest, *further)).encode("ascii")).hexdigest() if further else digest


def _folder_digest(folder: Path) -> str:
    state = hashlib.sha256()
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise unreadable(error) from None
    for path in files:
        if not path.name.startswith(".") and path.name.lower() not in _NOT_CONTENT:
            content = content_digest(path) if path.name.lower() == "dicomdir" else file_digest(path)
            state.update(path.name.encode("utf-8", "surrogateescape") + b"\0" + content.encode("ascii"))
    return state.hexdigest()


def _led_to(path: Path) -> tuple[Path, ...]:
    """Return the file of a volume's pixels when its header is a file of its own, or the images of a DICOMDIR."""
    kind = sniff(path)
    try:
        if kind is Format.DICOMDIR:
            return list_images(path).files
        if kind in (Format.NRRD, Format.META_IMAGE):
            pixels = data_path_of(path, read_volume_header(path, kind))
            return (pixels,) if pixels != path else ()
    except LesionSegError:  # damaged: the case itself reports what is wrong
        pass
    return ()


def _settings(request: CaseRequest) -> dict[str, Any]:
    propagating = default_bundle(PROPAGATE) if request.model is None else find_bundle(request.model, PROPAGATE)
    settings: dict[str, Any] = {
        "model": propagating.name,
        "weights": propagating.sha256,
        "direction": request.direction,
        "frames": list(request.frames) if request.frames else None,
        "outputs": sorted(request.further_kinds),
        "pictures": request.pixels_allowed,
    }
    if request.blanks_outside or request.pixels_allowed:
        settings["black outside the image"] = request.blanks_outside
    if request.allow_overlap:
        settings["overlap"] = True
    if request.fit:
        settings["fit"] = True
    if request.body_part.strip():
        settings["body part"] = request.body_part.strip().upper()
    if request.suggest_frame is not None:
        settings |= {"suggest": request.suggest_frame, "suggesting weights": default_bundle(SUGGEST).sha256}
    return settings


def what_changed(before: Any, now: Fingerprint) -> str:
    """Say in one sentence why a finished case is computed again; '' when nothing changed.

    Parameters
    ----------
    before : Any
        As read from ``run.json``: anything else than a fingerprint counts as unknown.
    now : dict
    """
    if before == now:
        return ""
    if not isinstance(before, Mapping) or not isinstance(before.get("settings"), Mapping):
        return "it is not recorded what the result was made of"
    changes = []
    if before.get("source") != now["source"]:
        changes.append("the source has changed")
    if before.get("seeds") != now["seeds"]:
        changes.append("the seeds have changed")
    if before.get("reader") != now.get("reader"):
        changes.append("the reader's anchors have changed")
    for name in sorted({*before["settings"], *now["settings"]}):
        if before["settings"].get(name) != now["settings"].get(name):
            changes.append(f"the setting '{name}' has changed")
    return ", ".join(changes)
