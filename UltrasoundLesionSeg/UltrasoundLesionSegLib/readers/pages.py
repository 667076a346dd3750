"""Picture files and their pictures: TIFF pages, JPEG of several, animated GIF, WebP and PNG; of others the only one.

Animated PNG is here for masks: cines of it go through FFmpeg, because Pillow restores cleared parts wrongly.
"""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from types import TracebackType

import numpy as np
from PIL import Image, UnidentifiedImageError

from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers.codestream import NEXT_STREAM, read_codestream
from UltrasoundLesionSegLib.readers.digest import unreadable
from UltrasoundLesionSegLib.readers.gif_blocks import playable
from UltrasoundLesionSegLib.readers.limits import check_frame_count, check_frame_size
from UltrasoundLesionSegLib.readers.quiet import quiet
from UltrasoundLesionSegLib.readers.tiff_pages import TiffStack, find_stack
from UltrasoundLesionSegLib.readers.tiff_values import TIFF_MAGIC, PageReader, as_image

_ANIMATED = ("GIF", "PNG", "WEBP")
_GIF = b"GIF8"
_JPEG = ("JPEG", "MPO")
_DAMAGED = "no picture of the source can be read; choose a folder of PNG, JPEG, BMP or TIFF frames"


class PageFile:
    """The pictures of one file in the order of time, opened one at a time; a context manager.

    Pages in order are fast. Of an animation a page before the last one asked for is built up from the first again.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    format : str
        By Pillow's name: 'TIFF', 'PNG', 'JPEG', ...
    height, width : int
        Of the first picture.
    notes : tuple of str
        What was left out.
    stack : TiffStack or None
        For TIFF files, where the pictures are.

    Raises
    ------
    SourceError
        When it is no picture, or its pictures are in no order of time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.stack: TiffStack | None = None
        self.notes: tuple[str, ...] = ()
        self._state: tuple[int, int] | None = None
        self._streams: list[tuple[int, int]] = []
        self._first = 0
        self._at = 0
        self._is_broken = False
        self._pages = PageReader(path)
        self._image = self._open()
        try:
            with quiet():
                self.format = self._image.format or ""
                self._count = self._find_pages()
                shape = self.stack.plane if self.stack is not None else (self._image.height, self._image.width)
                self.height, self.width = shape[:2]
                check_frame_count(self._count)
                check_frame_size(self.height, self.width)
        except SourceError:
            self.close()
            raise
        except Exception:  # Pillow and tifffile raise whatever the damage leads to
            self.close()
            raise SourceError(_DAMAGED) from None

    def __enter__(self) -> PageFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self._count

    @property
    def is_animation(self) -> bool:
        """Whether each picture is built upon those before it."""
        return self.format in _ANIMATED

    def close(self) -> None:
        """Close the file; a picture asked for later opens it again."""
        self._image.close()
        self._pages.close()

    def image(self, index: int) -> Image.Image:
        """Return picture ``index``, decoded, in Pillow's form with its palette and transparency.

        Of some TIFF pages Pillow does not keep all; see `own_values`.

        Raises
        ------
        FrameError
            When it cannot be read.
        """
        try:
            with quiet():
                return self._picture(index)
        except FrameError:
            raise
        except SourceError:
            raise FrameError(index, "the source has changed, or cannot be opened any more") from None
        except Exception as error:  # Pillow raises whatever the damage leads to
            self._is_broken = True
            raise FrameError(index, f"its picture is damaged ({type(error).__name__})") from None

    def own_values(self, index: int) -> np.ndarray | None:
        """Return a TIFF picture ``(H, W)`` or ``(H, W, 3)`` that Pillow does not keep whole or reads slowly, else None.

        Raises
        ------
        FrameError
            When it cannot be read.
        """
        if self.stack is None or not self.stack.is_for_tifffile:
            return None
        try:
            with quiet():
                planes = self._planes(self.stack, index)
        except FrameError:
            raise
        except Exception as error:  # tifffile raises whatever the damage leads to
            raise FrameError(index, f"its picture is damaged ({type(error).__name__})") from None
        return planes[0] if len(planes) == 1 else np.stack(planes, axis=2)

    def _planes(self, stack: TiffStack, index: int) -> list[np.ndarray]:
        """Return the pictures that make up a frame of a TIFF file, in their own values."""
        numbers = stack.frames[index]
        if min(numbers) < 0:
            raise FrameError(index, "its page is not in the file")
        if stack.data_offset is None:
            return [self._pages.read(at) for at in numbers]
        with self._path.open("rb") as stream:
            return [stack.read_plane(stream, at) for at in numbers]

    def _open(self) -> Image.Image:
        self._at = 0
        try:
            state = self._path.stat()
            self._state = self._state or (state.st_size, state.st_mtime_ns)
            if self._state != (state.st_size, state.st_mtime_ns):
                raise SourceError("the source has changed")
            with quiet():
                return Image.open(self._gif() or self._path)
        except UnidentifiedImageError:
            if not self._is_tiff():
                raise SourceError(_DAMAGED) from None
            image = Image.new("L", (1, 1))  # never looked at: the pages of such a file are read by tifffile
            image.format = "TIFF"
            return image
        except OSError as error:
            if error.errno is not None:
                raise unreadable(error) from None
            raise SourceError(_DAMAGED) from None
        except Exception:
            raise SourceError(_DAMAGED) from None

    def _is_tiff(self) -> bool:
        with self._path.open("rb") as stream:
            return stream.read(4) in TIFF_MAGIC

    def _gif(self) -> io.BytesIO | None:
        """Return a GIF file in the form that Pillow plays right, None for any other file."""
        with self._path.open("rb") as stream:
            if stream.read(len(_GIF)) != _GIF:
                return None
            gif = playable(_GIF + stream.read())
        if not gif.is_whole:
            self.notes = (f"The GIF file lacks its end: {gif.frames} of its frames were found.",)
        return io.BytesIO(gif.data)

    def _find_pages(self) -> int:
        if self.format == "TIFF":
            self.stack = find_stack(self._path)
            self.notes = self.stack.notes
            is_by_pages = self.stack.data_offset is None and not self.stack.is_for_tifffile
            self._image.seek(max(0, self.stack.frames[0][0]) if is_by_pages else 0)
            return len(self.stack.frames)
        if self.format in _JPEG:
            return self._find_streams()
        if self.format not in _ANIMATED:
            return 1
        count = int(getattr(self._image, "n_frames", 1))
        if self.format == "WEBP" and (stored := _webp_frames(self._path.read_bytes())) > count:
            self.notes = (f"The WebP file is damaged: {count} of its {stored} frames were found.",)
        # the picture for programs that cannot show animations; it is not a frame
        self._first = int(count > 1 and bool(getattr(self._image, "default_image", False)))
        return count - self._first

    def _find_streams(self) -> int:
        """Find the pictures of a JPEG file that follow each other in it, as far as they have the size of the first.

        The index of such a file (CIPA DC-007) is not used: Pillow writes a wrong one for four pictures or more.
        """
        data = self._path.read_bytes()
        bounds = [0, *(match.end() for match in NEXT_STREAM.finditer(data)), len(data)]
        found = [(begin, end - begin) for begin, end in itertools.pairwise(bounds)]
        size = self._image.size
        self._streams = [one for one in found if _jpeg_size(data[one[0] : one[0] + one[1]]) in (size, None)]
        if len(self._streams) < len(found):
            others = len(found) - len(self._streams)
            self.notes = (f"{others} of the {len(found)} pictures of the JPEG file have another size: left out.",)
        return max(1, len(self._streams))

    def _picture(self, index: int) -> Image.Image:
        is_back = self.is_animation and index < self._at
        if is_back or self._is_broken:  # after a failure Pillow hands out the picture before as if it were this one
            self.close()
            self._image, self._is_broken = self._open(), False
        self._at = index
        if len(self._streams) > 1:
            with self._path.open("rb") as stream:
                stream.seek(self._streams[index][0])
                self._image = Image.open(io.BytesIO(stream.read(self._streams[index][1])), formats=("JPEG",))
            return self._loaded(0)
        if self.stack is None:
            return self._loaded(index + self._first)
        numbers = self.stack.frames[index]
        if self.stack.is_for_tifffile or self.stack.data_offset is not None or min(numbers) < 0:
            parts = [as_image(one) for one in self._planes(self.stack, index)]
        else:
            parts = [self._loaded(at) for at in numbers]
        return parts[0] if len(parts) == 1 else Image.merge("RGB", parts)

    def _loaded(self, number: int) -> Image.Image:
        if self._count > 1 and not self._streams:
            self._image.seek(number)
        check_frame_size(self._image.height, self._image.width)
        self._image.load()  # raises for a picture that is cut off
        return self._image.copy()


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return columns and rows of a JPEG stream, None where they cannot be read."""
    stream = read_codestream(data)
    return None if stream is None else (stream.columns, stream.rows)


def _webp_frames(data: bytes) -> int:
    """Return how many frames a WebP file holds by the names of its chunks: of a frame, and of the picture in it."""
    return max(data.count(b"ANMF"), data.count(b"VP8 ") + data.count(b"VP8L"))


def count_pages(path: Path) -> int:
    """Return how many pictures a file holds, 1 for one that cannot be read or is of a kind that never holds more."""
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
            if head.startswith(b"\xff\xd8") and not NEXT_STREAM.search(head + stream.read()):
                return 1
        if not head.startswith((*TIFF_MAGIC, _GIF, b"RIFF", b"\xff\xd8")):
            return 1
        with PageFile(path) as pages:
            return len(pages)
    except (SourceError, OSError):
        return 1
