"""What was inside the mask on the frames on which a lesion was followed without a gap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


class Trail:
    """Descriptions of masks (``Resemblance.describe``) on the frames up to now, in one growing array on the CPU.

    A tensor of its own for each frame has 256 bytes, but it lies between what the network frees and keeps 12 KB of
    that from being used again: 12 MB over 1,000 frames.
    """

    def __init__(self) -> None:
        self._rows: list[tuple[int, int | None]] = []  # frame and row of its description
        self._descriptions = np.zeros((0, 0), np.float32)
        self._used = 0  # rows

    def add(self, frame: int, description: Tensor | None) -> None:
        """Append a frame.

        Parameters
        ----------
        frame : int
        description : Tensor of float32, shape (C,), or None
            None where there is none that others can be compared with.
        """
        if description is None:
            self._rows.append((frame, None))
            return
        if not self._used:
            self._descriptions = np.empty((64, len(description)), np.float32)
        elif self._used == len(self._descriptions):
            self._descriptions = np.concatenate([self._descriptions, np.empty_like(self._descriptions)])
        self._descriptions[self._used] = description.cpu().numpy()
        self._rows.append((frame, self._used))
        self._used += 1

    def clear(self) -> None:
        """Forget all frames."""
        self._rows.clear()
        self._used = 0

    def backwards(self) -> Iterator[tuple[int, Tensor | None]]:
        """Yield each frame with its description, latest first."""
        for frame, row in reversed(self._rows):
            yield frame, None if row is None else torch.from_numpy(self._descriptions[row])
