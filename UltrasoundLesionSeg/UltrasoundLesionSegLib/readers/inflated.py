"""The compressed pixels of a volume file, inflated as far as asked for into a temporary file without a name."""

from __future__ import annotations

import shutil
import tempfile
import weakref
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.readers.volume_headers import VolumeHeader

_BLOCK = 2**20
_KEPT_FREE = 2**28
"""Bytes of the temporary folder that are left to others."""

_BEST_RATIO = 1032
"""Deflate cannot make more of one byte (RFC 1951: 258 bytes in two bits)."""


class InflatedPixels:
    """Random access to deflated pixels.

    Their length is known on opening: by the trailer of a gzip stream where it agrees with the header (RFC 1952 2.3.1),
    else by inflating all of it at once.

    Parameters
    ----------
    path : Path
        The file that holds them.
    start : int
        Where the pixels begin: in the file, or, for the encoding 'gzip whole', in what it inflates to.
    header : VolumeHeader

    Attributes
    ----------
    available : int
        Bytes of pixels that are there, at most as many as the header states.
    surplus : int
        Bytes that follow them; counted up to a few.

    Raises
    ------
    SourceError
        When the temporary folder has no space for what the header states.
    OSError
    """

    def __init__(self, path: Path, start: int, header: VolumeHeader) -> None:
        is_whole = header.encoding == "gzip whole"
        self._wanted = header.data_bytes
        self._skip = start if is_whole else 0
        self._source: BinaryIO = path.open("rb")
        weakref.finalize(self, self._source.close)
        compressed = path.stat().st_size - (0 if is_whole else start)
        if min(self._wanted, _BEST_RATIO * compressed) > shutil.disk_usage(tempfile.gettempdir()).free - _KEPT_FREE:
            raise SourceError(
                "the volume inflates to more than the folder for temporary files has room for; make room, check its "
                "header, or save it uncompressed"
            )
        self._spool: Any = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the reader
        weakref.finalize(self, self._spool.close)
        self._inflated = 0
        self.available, self.surplus = self._wanted, 0
        is_plausible = self._wanted <= _BEST_RATIO * compressed
        is_gzip = self._at(0 if is_whole else start, 2) == b"\x1f\x8b"
        trailer = int.from_bytes(self._at(max(0, path.stat().st_size - 4), 4), "little")
        self._source.seek(0 if is_whole else start)
        self._inflater = zlib.decompressobj(wbits=47)  # gzip or zlib
        if not (is_gzip and is_plausible and trailer == (self._wanted + self._skip) % 2**32):
            self._count()

    def _at(self, offset: int, length: int) -> bytes:
        self._source.seek(offset)
        return self._source.read(length)

    def _count(self) -> None:
        """Inflate everything to learn how much there is."""
        try:
            self._inflate_to(self._wanted)
            self.surplus += len(self._next_block())
        except (ValueError, zlib.error):
            self.available = self._inflated

    def piece(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes of the pixels; raises ``ValueError`` or ``zlib.error`` where they are not there."""
        self._inflate_to(offset + length)
        self._spool.seek(offset)
        data: bytes = self._spool.read(length)
        return data

    def whole_file(self) -> Any:
        """Return the temporary file with all pixels in it; raises ``ValueError`` or ``zlib.error`` when it is cut."""
        self._inflate_to(self._wanted)
        return self._spool

    def _inflate_to(self, needed: int) -> None:
        while self._inflated < needed:
            data = self._next_block()
            if not data:
                raise ValueError("cut off")
            data, self._skip = data[self._skip :], max(0, self._skip - len(data))
            self.surplus += max(0, self._inflated + len(data) - self._wanted)
            data = data[: self._wanted - self._inflated]
            self._spool.seek(self._inflated)
            self._spool.write(data)
            self._inflated += len(data)
        self._spool.flush()

    def _next_block(self) -> bytes:
        """Return the next inflated bytes, b'' at the end; gzip streams may follow one another (RFC 1952 2.2)."""
        while True:
            if self._inflater.eof:
                rest = self._inflater.unused_data or self._source.read(_BLOCK)
                if not rest.startswith(b"\x1f\x8b"):
                    return b""
                self._inflater = zlib.decompressobj(wbits=31)
            else:
                rest = self._inflater.unconsumed_tail or self._source.read(_BLOCK)
                if not rest:
                    return self._inflater.flush()
            if data := self._inflater.decompress(rest, 4 * _BLOCK):
                return data
