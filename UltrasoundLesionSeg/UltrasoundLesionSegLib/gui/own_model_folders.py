"""Folders of models that were made here: the panel's list has them in this session and in later ones."""

from __future__ import annotations

import json
import os
from pathlib import Path

import slicer

from UltrasoundLesionSegLib.engine.bundles import FOLDERS_VARIABLE

FOLDERS = "UltrasoundLesionSeg/ModelFolders"  # in the application's settings on this computer


def use_remembered() -> None:
    """Let models of the remembered folders be found, as far as the folders are there."""
    for folder in _remembered():
        if os.path.isdir(folder):
            _use(folder)


def remember(folder: Path) -> None:
    """Let models of a folder be found now and in later sessions."""
    before = _remembered()
    if str(folder) not in before:
        slicer.app.userSettings().setValue(FOLDERS, json.dumps([*before, str(folder)]))
    _use(str(folder))


def _remembered() -> list[str]:
    try:
        found = json.loads(str(slicer.app.userSettings().value(FOLDERS, "") or "[]"))
    except ValueError:
        return []
    return [str(one) for one in found] if isinstance(found, list) else []


def _use(folder: str) -> None:
    named = [one for one in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if one]
    if folder not in named:
        os.environ[FOLDERS_VARIABLE] = os.pathsep.join([*named, folder])
