"""Where the sources of a batch's cases are: as its key says, or where they were moved to."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath, PureWindowsPath


class MovedSources:
    """Finds sources again, and with one of them the others that were moved together with it.

    Attributes
    ----------
    moves : dict of Path to Path
        Former folder to present folder. Of this machine: a network drive has another path on another one.
    """

    def __init__(self, moves: dict[Path, Path] | None = None) -> None:
        self.moves = dict(moves or {})

    def present(self, path: Path) -> Path | None:
        """Return where a source is now; None where it is not found.

        Parameters
        ----------
        path : Path
            As the batch's key has it.
        """
        if os.path.exists(path):
            return path
        parts = _parts(path)
        for before, now in self.moves.items():
            former = _parts(before)
            if parts[: len(former)] == former:
                moved = now.joinpath(*parts[len(former) :])
                if os.path.exists(moved):
                    return moved
        return None

    def search(
        self,
        path: Path | None,
        folder: Path,
        by_content: Callable[[Path], bool] | None = None,
        by_pixels: Callable[[Path], bool] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Path | None:
        """Look for a source below a folder: where its old path ends, by its name, by its content, then by its pixels.

        Parameters
        ----------
        path : Path or None
            As the batch's key has it, where that is known.
        folder : Path
        by_content, by_pixels : callable or None
            Tell the source by its file's content, or, exported again, by its pixels (``case_cines.recognizers``); None
            where that is not known. Where nothing is known of it, its name must do.
        progress : callable, optional
            Called with the number of files looked at; an exception it raises ends the search.

        Returns
        -------
        Path or None
        """
        count = itertools.count(1)
        known = by_content or by_pixels
        # a folder of frames has no suffix, as have some DICOM files
        suffix = PurePath(_parts(path)[-1]).suffix.lower() if path is not None else ""
        places = [(_of_this_name(path, folder), known)]
        if by_content:
            alike = (one for one in _walk(folder, not suffix) if one.suffix.lower() == suffix or not path)
            places.append((alike, by_content))
        if by_pixels:  # last, because it reads every frame; a second export can have any name
            places.append((itertools.chain(_of_this_name(path, folder), _walk(folder, not suffix)), by_pixels))
        seen: set[tuple[object, Path]] = set()
        for candidates, is_source in places:
            for candidate in candidates:
                if progress:
                    progress(next(count))
                if (is_source, candidate) in seen:
                    continue
                seen.add((is_source, candidate))
                if is_source is None or is_source(candidate):
                    self._remember(path, candidate)
                    return candidate
        return None

    def _remember(self, path: Path | None, found: Path) -> None:
        """Remember the folders above which the two paths differ."""
        if path is None:
            return
        before, now = list(_parts(path)), list(found.parts)
        while len(before) > 1 and len(now) > 1 and before[-1] == now[-1]:
            before.pop()
            now.pop()
        self.moves[Path(*before)] = Path(*now)


def _of_this_name(path: Path | None, folder: Path) -> Iterator[Path]:
    """Yield what lies where a path ends, then whatever has its name."""
    if path is None:
        return
    parts = _parts(path)
    for start in range(1, len(parts)):
        if os.path.exists(end := folder.joinpath(*parts[start:])):
            yield end
    yield from (one for one in _walk(folder, with_folders=True) if one.name == parts[-1])


def _parts(path: Path) -> tuple[str, ...]:
    """Return a path's parts, also of one that was written on Windows and is read elsewhere."""
    if "\\" in path.name:
        return PureWindowsPath(path.name).parts
    return path.parts


def _walk(folder: Path, with_folders: bool = False) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        listed: Iterable[str] = [*folders, *files] if with_folders else files
        yield from (Path(root) / name for name in sorted(listed) if not name.startswith("."))
