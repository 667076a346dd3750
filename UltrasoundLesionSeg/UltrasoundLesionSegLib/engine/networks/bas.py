"""BaS, a light encoder-decoder: per frame as published (``Bas``), prompted with a mask (``BasPropagate``) or clicks.

Source: Pang et al., IEEE JBHI 2025, doi 10.1109/JBHI.2025.3543435. BaS-S has ``blocks=(1, 3, 3)`` (1.190 M
parameters), BaS-L ``blocks=(1, 2, 3)`` (1.001 M). Frames go in as they are, in [0, 1], as the authors feed them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from UltrasoundLesionSegLib.engine.network_api import (
    ClickNetwork,
    FrameCode,
    MemoryItem,
    MemoryRead,
    PreviousFrame,
    PropagationNetwork,
    SuggestionNetwork,
)
from UltrasoundLesionSegLib.engine.networks.bas_blocks import (
    BasBlock,
    Downsample,
    TemporalLocalityPrefetch,
    Upsample,
)

PUBLISHED_CHANNELS = (48, 96, 120)
BLOCKS_S = (1, 3, 3)
BLOCKS_L = (1, 2, 3)


class BasTrunk(nn.Module):
    """Everything in BaS between the input channels and the logits.

    Parameters
    ----------
    channels_in : int
        3 for frames alone, more with a prompt.
    channels : tuple of int, length 3
        Widths at strides 4, 8 and 16.
    blocks : tuple of int, length 3
        BaSBlocks at strides 4 (decoder only), 8 (encoder and decoder) and 16 (encoder only).
    dropout : float
        On the stride-16 features.
    token_grid : tuple of int
        ``(rows, columns)`` of the learned position embedding: the input's size over 16. Other sizes interpolate it.
    legacy_token_layout : bool
        The public code reshapes tokens (B, N, C) straight to (B, C, H, W), which permutes channels and positions.
        True for weights trained with it; False, our own training, transposes back properly.
    output_norm : bool
        The published last layer ends in a GroupNorm over its single channel, which fixes the mean and the spread of
        the logits on every frame whatever it shows. True is as published; False lets a frame be empty.
    temporal_share : float
        Share of stem channels taken from the frame before (``TemporalLocalityPrefetch``); 0 is the public network.
    """

    def __init__(
        self,
        channels_in: int,
        channels: tuple[int, int, int],
        blocks: tuple[int, int, int],
        dropout: float,
        token_grid: tuple[int, int],
        legacy_token_layout: bool,
        output_norm: bool,
        temporal_share: float,
    ) -> None:
        super().__init__()
        width1, width2, width3 = channels
        self.legacy_token_layout = legacy_token_layout
        # the published max-pool after the stem has kernel 1: the identity, so it is not here
        self.stem = Downsample(channels_in, width1, 4)
        self.prefetch = TemporalLocalityPrefetch(width1, temporal_share)
        self.down2 = Downsample(width1, width2, 2)
        self.encoder2 = _blocks(width2, blocks[1], shallow=True)
        self.down3 = Downsample(width2, width3, 2)
        self.encoder3 = _blocks(width3, blocks[2], shallow=False)
        self.position = nn.Parameter(torch.zeros(1, width3, *token_grid))
        self.dropout = nn.Dropout(dropout)
        self.up3 = Upsample(width3, width2, 2)
        self.decoder2 = _blocks(width2, blocks[1], shallow=False)
        self.up2 = Upsample(width2, width1, 2)
        self.decoder1 = _blocks(width1, blocks[0], shallow=True)
        self.up1 = Upsample(width1, 1, 4, normalize=output_norm)

    def forward(self, x: Tensor, previous_stem: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Segment.

        Parameters
        ----------
        x : Tensor, shape (B, channels_in, h, w)
            h and w multiples of 16.
        previous_stem : Tensor, shape (B, C1, h / 4, w / 4), or None
            The second output for the frame before.

        Returns
        -------
        logits : Tensor, shape (B, 1, h, w)
        stem : Tensor, shape (B, C1, h / 4, w / 4)

        Raises
        ------
        ValueError
            When h or w is no multiple of 16.
        """
        if x.shape[2] % 16 or x.shape[3] % 16:
            raise ValueError(f"height and width must be multiples of 16, not {x.shape[2]} x {x.shape[3]}")
        stem = self.stem(x)
        skip1 = self.prefetch(stem, previous_stem)
        skip2 = self.encoder2(self.down2(skip1))
        deep = self._place(self.encoder3(self.down3(skip2)))
        x = self.decoder2(self.up3(deep) + skip2)
        x = self.decoder1(self.up2(x) + skip1)
        return self.up1(x), stem

    def _place(self, tokens: Tensor) -> Tensor:
        """Add the position embedding to features of shape (B, C3, h / 16, w / 16)."""
        position: Tensor = self.position
        if position.shape[2:] != tokens.shape[2:]:
            position = functional.interpolate(position, tokens.shape[2:], mode="bilinear", align_corners=False)
        placed = self.dropout(tokens + position)
        if self.legacy_token_layout:
            return placed.flatten(2).transpose(1, 2).reshape(placed.shape)
        return placed


def _blocks(channels: int, count: int, shallow: bool) -> nn.Sequential:
    return nn.Sequential(*(BasBlock(channels, shallow) for _ in range(count)))


class Bas(SuggestionNetwork):
    """BaS as published: a lesion's logits from one frame, without a seed. Parameters as in ``BasTrunk``."""

    def __init__(
        self,
        channels: tuple[int, int, int] = PUBLISHED_CHANNELS,
        blocks: tuple[int, int, int] = BLOCKS_S,
        dropout: float = 0.3,
        token_grid: tuple[int, int] = (15, 15),
        legacy_token_layout: bool = False,
        output_norm: bool = True,
        temporal_share: float = 0.0,
    ) -> None:
        super().__init__()
        self.trunk = BasTrunk(
            3, channels, blocks, dropout, token_grid, legacy_token_layout, output_norm, temporal_share
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Segment frames of shape (B, 3, h, w), each for itself; returns logits of shape (B, 1, h, w)."""
        return self.step(frames, None)[0]

    def step(self, frames: Tensor, previous_stem: Tensor | None) -> tuple[Tensor, Tensor]:
        """Segment the next frame of each of B cines.

        Parameters
        ----------
        frames : Tensor, shape (B, 3, h, w)
        previous_stem : Tensor, shape (B, C1, h / 4, w / 4), or None
            The second output of the call for the frame before; None on the first frame.

        Returns
        -------
        logits : Tensor, shape (B, 1, h, w)
        stem : Tensor, shape (B, C1, h / 4, w / 4)
        """
        logits, stem = self.trunk(frames, previous_stem)
        return logits, stem


class _PromptedBas(nn.Module):
    """BaS with seven input channels: the frame (RGB) and four channels of prompt.

    Parameters as in ``BasTrunk``; ``output_norm`` is off, because "not visible" must be an answer.
    """

    def __init__(
        self,
        channels: tuple[int, int, int] = PUBLISHED_CHANNELS,
        blocks: tuple[int, int, int] = BLOCKS_S,
        dropout: float = 0.3,
        token_grid: tuple[int, int] = (15, 15),
        output_norm: bool = False,
    ) -> None:
        super().__init__()
        self.trunk = BasTrunk(7, channels, blocks, dropout, token_grid, False, output_norm, 0.0)


class BasPropagate(_PromptedBas, PropagationNetwork):
    """BaS with the prompt as extra input channels: ours, the paper's network takes no seed.

    Seven channels: the frame (RGB), the previous frame and its mask, the nearest anchor's frame and its mask. The past
    frames are grey (the mean of RGB): what a prompt needs of them is structure, and colour boxes move on their own. A
    frame's grey is part of its code, so that it is computed once (0.2 ms a time in channels_last at 240 x 240).
    Parameters as in ``BasTrunk``.
    """

    def encode(self, frames: Tensor) -> FrameCode:
        """Encode frames: as the key the frame averaged over 16 x 16 pixels, beside it the grey frame.

        The average is enough for the memory to compare past frames with each other.

        Parameters
        ----------
        frames : Tensor, shape (B, 3, h, w)
            RGB in [0, 1].
        """
        return FrameCode(functional.avg_pool2d(frames, 16), (frames.mean(dim=1, keepdim=True),))

    def memorize(self, frames: Tensor, code: FrameCode, masks: Tensor) -> MemoryItem:
        """Keep the grey frame and the mask, shape (B, 2, h, w)."""
        return MemoryItem(code.key, torch.cat((code.features[0], masks), dim=1))

    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
        """Segment the present frame from the one before and the nearest anchor; returns logits (B, 1, h, w)."""
        # memory may be stored in half precision
        seed = memory.values[:, memory.nearest_permanent()].to(frames.dtype)
        return self.trunk(torch.cat((frames, previous.code.features[0], previous.masks, seed), dim=1))[0]


class BasClick(_PromptedBas, ClickNetwork):
    """BaS with a person's clicks as extra input channels: ours, the paper's network takes none.

    Seven channels, as ``ClickNetwork`` says. Parameters as in ``BasTrunk``.
    """

    def forward(self, stacked: Tensor) -> Tensor:
        """Segment frames with their prompts, shape (B, 7, h, w); returns logits of shape (B, 1, h, w)."""
        return self.trunk(stacked)[0]
