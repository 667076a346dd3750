"""The interface between engine and networks: networks know nothing of time, the engine nothing of layers.

All frames are float32 RGB in [0, 1], shape (B, 3, h, w) with h and w multiples of 16; a network normalises them itself.
Every batch element is one lesion: (frame, prompt) pairs are independent of each other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class FrameCode:
    """What depends on a frame alone, so that it can be computed ahead and kept.

    Parameters
    ----------
    key : Tensor, shape (B, Ck, h / 16, w / 16)
        Addresses the memory; also used to choose which past frames are worth keeping.
    features : tuple of Tensor
        Whatever else the network's own ``segment`` needs of the frame.
    """

    key: Tensor
    features: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class MemoryItem:
    """A past frame with its mask, as the network wants to remember it.

    Parameters
    ----------
    key : Tensor, shape (B, Ck, h / 16, w / 16)
    value : Tensor, shape (B, ...)
    """

    key: Tensor
    value: Tensor


@dataclass(frozen=True)
class MemoryRead:
    """The memory as a network reads it, M past frames.

    Parameters
    ----------
    keys : Tensor, shape (B, M, Ck, h / 16, w / 16)
    values : Tensor, shape (B, M, ...)
    permanent : tuple of bool, length M
        True for anchors: masks a person vouches for.
    distances : tuple of int, length M
        Absolute distance in frames from the frame being segmented.
    """

    keys: Tensor
    values: Tensor
    permanent: tuple[bool, ...]
    distances: tuple[int, ...]

    def nearest_permanent(self) -> int:
        """Return the index of the nearest anchor; of the nearest item when there is no anchor."""
        return min(range(len(self.permanent)), key=lambda i: (not self.permanent[i], self.distances[i]))


@dataclass(frozen=True)
class PreviousFrame:
    """The frame before, in the order of propagation.

    Parameters
    ----------
    frames : Tensor, shape (B, 3, h, w)
    code : FrameCode
    masks : Tensor, shape (B, 1, h, w)
        Probabilities in [0, 1], not thresholded.
    """

    frames: Tensor
    code: FrameCode
    masks: Tensor


class PropagationNetwork(nn.Module, ABC):
    """A network that carries a mask from past frames to the present one."""

    @abstractmethod
    def encode(self, frames: Tensor) -> FrameCode:
        """Encode frames, without any mask.

        Parameters
        ----------
        frames : Tensor, shape (B, 3, h, w)
        """

    def appearance(self, code: FrameCode) -> Tensor | None:
        """Return features that tell one structure from another, shape (B, C, h / 16, w / 16); None if there are none.

        Parameters
        ----------
        code : FrameCode
            What ``encode`` returned.
        """
        return None

    @abstractmethod
    def memorize(self, frames: Tensor, code: FrameCode, masks: Tensor) -> MemoryItem:
        """Encode frames with their masks for the memory.

        Parameters
        ----------
        frames : Tensor, shape (B, 3, h, w)
        code : FrameCode
            ``encode(frames)``.
        masks : Tensor, shape (B, 1, h, w)
            Probabilities in [0, 1].
        """

    @abstractmethod
    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
        """Segment the present frame.

        Parameters
        ----------
        frames : Tensor, shape (B, 3, h, w)
        code : FrameCode
            ``encode(frames)``.
        previous : PreviousFrame
        memory : MemoryRead

        Returns
        -------
        Tensor, shape (B, 1, h, w)
            Logits of the lesion.
        """

    def forward(self, stacked: Tensor) -> Tensor:
        """Take one step from the frame before alone: what MONAI's tools, which give a network one tensor, can check.

        Parameters
        ----------
        stacked : Tensor, shape (B, 7, h, w)
            The present frame (RGB), the frame before (RGB) and its mask.

        Returns
        -------
        Tensor, shape (B, 1, h, w)
            Logits of the lesion.
        """
        present, before, masks = stacked.split((3, 3, 1), dim=1)
        code = self.encode(before)
        item = self.memorize(before, code, masks)
        memory = MemoryRead(item.key[:, None], item.value[:, None], (True,), (1,))
        return self.segment(present, self.encode(present), PreviousFrame(before, code, masks), memory)


class SuggestionNetwork(nn.Module, ABC):
    """A network that finds a lesion on one frame without a seed."""

    @abstractmethod
    def forward(self, frames: Tensor) -> Tensor:
        """Segment frames of shape (B, 3, h, w); returns logits of shape (B, 1, h, w)."""


class ClickNetwork(nn.Module, ABC):
    """A network that draws the lesion a person points at, on one frame."""

    @abstractmethod
    def forward(self, stacked: Tensor) -> Tensor:
        """Segment.

        Parameters
        ----------
        stacked : Tensor, shape (B, 7, h, w)
            The frame (RGB), then the prompt as ``engine.click_prompt`` draws it: clicks inside, clicks outside, the
            box, the mask so far.

        Returns
        -------
        Tensor, shape (B, 1, h, w)
            Logits of the lesion.
        """
