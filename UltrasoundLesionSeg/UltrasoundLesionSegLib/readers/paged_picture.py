"""One picture file of several frames -> `Cine`: TIFF stacks, JPEG of several, animated GIF and WebP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.cine import Cine, Frame, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers import frames
from UltrasoundLesionSegLib.readers.believed_times import believed
from UltrasoundLesionSegLib.readers.digest import file_digest
from UltrasoundLesionSegLib.readers.image_folder import image_values
from UltrasoundLesionSegLib.readers.merged_frames import merged_note
from UltrasoundLesionSegLib.readers.pages import PageFile

_DAMAGED_BEFORE = "its picture is damaged, or one before it that it is built upon"


class PagedFrames(frames.CachedFrames):
    """Frames that are the pages of one file.

    Parameters
    ----------
    pages : PageFile
    is_color : bool
    levels : tuple of float
        The values shown as 0 and 255.
    sound : int
        From this frame on nothing can be read.
    cache_bytes : int
        Bound on the decoded frames kept.
    """

    def __init__(
        self,
        pages: PageFile,
        is_color: bool,
        levels: tuple[float, float],
        sound: int,
        cache_bytes: int = frames.CACHE_BYTES,
    ) -> None:
        super().__init__(len(pages), pages.height, pages.width, is_color, cache_bytes)
        self._pages = pages
        self._levels = levels
        self._sound = sound
        self._next = 0

    def _decode(self, index: int) -> Frame:
        if index >= self._sound:
            raise FrameError(index, _DAMAGED_BEFORE)
        if self._pages.is_animation:
            # an animation is composed from its first picture on; for reading backward, frames on the way are kept
            begin = 0 if index < self._next else self._next
            for on_the_way in range(max(begin, index - self._capacity + 1), index):
                self._keep(on_the_way, self._picture(on_the_way))
            self._next = index + 1
        return self._picture(index)

    def _picture(self, index: int) -> Frame:
        return frames.to_uint8(page_values(self._pages, index), self._levels)


def page_values(pages: PageFile, index: int) -> NDArray[Any]:
    """Return a page in its own values, ``(H, W)`` or ``(H, W, 3)``; of an animation, black where it is transparent."""
    values = pages.own_values(index)
    if values is not None:
        return values
    image = pages.image(index)
    return _over_black(image) if pages.is_animation else image_values(image)


def _over_black(image: Image.Image) -> NDArray[Any]:
    if image.mode not in ("RGBA", "LA", "PA", "P"):
        return image_values(image)
    channels = np.asarray(image.convert("RGBA"))
    return np.where(channels[:, :, 3:] > 0, channels[:, :, :3], np.uint8(0))


def read_paged_picture(path: Path, pages: PageFile) -> Cine:
    """Read a picture file of several frames.

    An animation is decoded once, which tells its times; of a TIFF file 17 pages are looked at.

    Parameters
    ----------
    path : Path
    pages : PageFile
        Of that file; it stays open as long as the cine does.

    Raises
    ------
    SourceError
        When no frame can be read.
    """
    count = len(pages)
    if pages.is_animation:
        timing, sound, timing_notes = _animation_timing(pages)
        indices = frames.sampled_indices(sound, frames.COLOR_SAMPLES)
    else:
        interval = pages.stack.interval if pages.stack is not None else 0.0
        seconds = np.arange(count, dtype=np.float64) * interval
        timing, timing_notes = None, ()
        if interval:
            timing, timing_notes = believed(Timing(seconds, "frame interval of the TIFF file", approximate=True))
        sound = count
        indices = frames.sampled_indices(count, frames.COLOR_SAMPLES)
    levels, is_color, failed = frames.look_at_values(
        lambda index: page_values(pages, index), indices, frames.LOSSY_GREY_TOLERANCE
    )
    notes = list(pages.notes)
    if sound < count:
        notes.append(f"The animation is damaged: the first {sound} of its {count} frames can be read.")
    elif failed:
        notes.append(frames.unreadable_note(failed, len(indices)))
    return Cine(
        PagedFrames(pages, is_color, levels, sound),
        pages.height,
        pages.width,
        is_color,
        SourceIdentity(SourceKind.IMAGES, file_digest(path), (), (path,)),
        timing=timing,
        notes=(*notes, *timing_notes, *frames.levels_note(levels)),
    )


def _animation_timing(pages: PageFile) -> tuple[Timing | None, int, tuple[str, ...]]:
    """Return the times of an animation, how many of its frames can be read, and notes on its times."""
    lasting: list[float] = []
    for index in range(len(pages)):
        try:
            lasting.append(float(pages.image(index).info.get("duration") or 0) / 1000)
        except FrameError:  # those after it are built upon it
            break
    if not lasting:
        raise SourceError("no frame of the animation can be read; export it again")
    if min(lasting[: len(pages) - 1]) <= 0:
        return None, len(lasting), ("The animation does not say how long each frame is shown: times are unknown.",)
    usual = float(np.median(lasting))
    shown = lasting[: len(pages) - 1] + [usual] * (len(pages) - 1 - len(lasting))
    seconds = np.concatenate([[0.0], np.cumsum(shown)]).astype(np.float64)
    timing, notes = believed(Timing(seconds, "frame durations of the animation", approximate=True))
    return timing, len(lasting), (*notes, *merged_note(lasting))
