"""The folder of a drill: empty at every start, also after a drill that was killed."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

MARK = ".drill"  # says that a drill made the folder, and nobody else


def drill_folder(folder: Path) -> Path:
    """Make the folder of a drill, or empty the one that an earlier drill left; returns its absolute path.

    Ends the program with a sentence where the folder has anything that no drill made.
    """
    folder = folder.absolute()
    if folder.exists() and not (folder / MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        sys.exit(f"{folder} is there already and was made by no drill; move it away, or name another one with --folder")
    for root, folders, _ in os.walk(folder):
        for name in folders:
            if os.path.ismount(place := os.path.join(root, name)):
                sys.exit(f"a disk is still mounted at {place}; unmount it (umount), then start again")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
    return folder
