"""What a tracker remembers of past frames. Knows nothing of networks: it stores keys and values and chooses among them.

Three policies:

* ``all``: every past frame, as STPFNet's paper does; cost and memory grow with the cine.
* ``every_n``: anchors, every n-th frame and the previous one, as STM does; grows n times slower.
* ``bounded`` (default): anchors permanently, the previous frame always, and a fixed number of others chosen so that
  they differ from each other; cost per frame does not depend on the cine's length.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from UltrasoundLesionSegLib.engine.network_api import MemoryItem, MemoryRead
from UltrasoundLesionSegLib.errors import ModelError


class MemoryPolicy(str, Enum):
    """Which past frames are kept."""

    ALL = "all"
    EVERY_N = "every_n"
    BOUNDED = "bounded"


@dataclass(frozen=True)
class MemorySettings:
    """How a memory chooses.

    Parameters
    ----------
    policy : MemoryPolicy
    capacity : int
        ``bounded``: how many frames are kept beside anchors and the previous one; >= 0.
    every : int
        ``every_n``: each frame whose index is a multiple of it is kept; >= 1.

    Raises
    ------
    ModelError
        When a number is out of range.
    """

    policy: MemoryPolicy = MemoryPolicy.BOUNDED
    capacity: int = 6
    every: int = 5

    def __post_init__(self) -> None:
        if self.capacity < 0 or self.every < 1:
            raise ModelError(
                f"the memory's capacity must be at least 0 and its interval at least 1, not {self.capacity} and "
                f"{self.every}; correct the model's metadata"
            )


class MemoryBank:
    """Keys and values of past frames in two growing buffers, one slot a frame; computed once, never copied again.

    Parameters
    ----------
    settings : MemorySettings
    """

    def __init__(self, settings: MemorySettings) -> None:
        self.settings = settings
        self._keys: Tensor | None = None  # (slots, Ck, h', w')
        self._values: Tensor | None = None  # (slots, ...)
        self._frames: list[int] = []
        self._permanent: list[bool] = []
        self._previous: int | None = None  # slot of the previous frame while it is kept only for being that

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames remembered, in no particular order."""
        return tuple(self._frames)

    def add(self, frame: int, item: MemoryItem, permanent: bool = False) -> None:
        """Remember a frame.

        Parameters
        ----------
        frame : int
        item : MemoryItem
            With batch size 1.
        permanent : bool
            True for anchors, which are never dropped.
        """
        if permanent:
            self._write(self._new_slot(item), frame, item, True)
            return
        slot = self._slot_for_passing(frame, item)
        self._write(slot, frame, item, False)
        self._previous = slot

    def forget_passing(self) -> None:
        """Keep nothing but what was remembered permanently."""
        kept = [slot for slot, permanent in enumerate(self._permanent) if permanent]
        for place, slot in enumerate(kept):  # a slot never moves to a later one, so that none is overwritten too soon
            if self._keys is not None and self._values is not None and place != slot:
                self._keys[place], self._values[place] = self._keys[slot], self._values[slot]
        self._frames = [self._frames[slot] for slot in kept]
        self._permanent = [True] * len(kept)
        self._previous = None

    def read(self, frame: int) -> MemoryRead:
        """Return everything remembered, seen from ``frame``, with batch size 1; views, no copies."""
        assert self._keys is not None
        assert self._values is not None
        count = len(self._frames)
        distances = tuple(abs(frame - other) for other in self._frames)
        return MemoryRead(self._keys[None, :count], self._values[None, :count], tuple(self._permanent), distances)

    def to(self, device: torch.device) -> None:
        """Move the memory to another device."""
        if self._keys is not None and self._values is not None:
            self._keys, self._values = self._keys.to(device), self._values.to(device)

    def _slot_for_passing(self, frame: int, item: MemoryItem) -> int:
        """Return the slot for a new previous frame, after deciding whether the old previous one stays."""
        previous = self._previous
        if previous is None:
            return self._new_slot(item)
        if self.settings.policy is MemoryPolicy.ALL:
            return self._new_slot(item)
        if self.settings.policy is MemoryPolicy.EVERY_N:
            return self._new_slot(item) if self._frames[previous] % self.settings.every == 0 else previous
        kept = sum(not permanent for permanent in self._permanent)
        return self._new_slot(item) if kept <= self.settings.capacity else self._most_redundant(frame)

    def _most_redundant(self, frame: int) -> int:
        """Return the passing slot that is most like another one (cosine of the keys): dropping it loses least."""
        assert self._keys is not None
        keys = torch.nn.functional.normalize(self._keys[: len(self._frames)].flatten(1).float(), dim=1)
        likeness = keys @ keys.T
        likeness.fill_diagonal_(-1.0)
        redundancy = likeness.amax(dim=1).tolist()
        passing = [slot for slot, permanent in enumerate(self._permanent) if not permanent]
        # of two equally redundant frames the one further from the present is dropped
        return max(passing, key=lambda slot: (round(redundancy[slot], 6), abs(frame - self._frames[slot])))

    def _new_slot(self, item: MemoryItem) -> int:
        slot = len(self._frames)
        self._keys = _grown(self._keys, item.key, slot)
        self._values = _grown(self._values, item.value, slot)
        self._frames.append(0)
        self._permanent.append(False)
        return slot

    def _write(self, slot: int, frame: int, item: MemoryItem, permanent: bool) -> None:
        assert self._keys is not None
        assert self._values is not None
        self._keys[slot] = item.key[0]
        self._values[slot] = item.value[0]
        self._frames[slot] = frame
        self._permanent[slot] = permanent


def _grown(buffer: Tensor | None, like: Tensor, used: int) -> Tensor:
    """Return a buffer with at least one free slot; doubling keeps the cost of growth linear in the cine's length."""
    slots = 4 if buffer is None else buffer.shape[0] if used < buffer.shape[0] else 2 * buffer.shape[0]
    if buffer is not None and slots == buffer.shape[0]:
        return buffer
    shape = (slots, *like.shape[1:])
    # channels_last, because attention reads it that way without a copy
    layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format
    larger = torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=layout)
    if buffer is not None:
        larger[:used] = buffer
    return larger
