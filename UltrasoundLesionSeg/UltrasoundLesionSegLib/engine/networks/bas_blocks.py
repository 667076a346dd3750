"""The parts of BaS, named as in the paper's figure of the architecture.

Source: Pang et al., "Efficient Breast Lesion Segmentation from Ultrasound Videos Across Multiple Source-limited
Platforms", IEEE JBHI 2025, doi 10.1109/JBHI.2025.3543435.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Downsample(nn.Sequential):
    """Convolution over disjoint ``factor`` x ``factor`` patches, then GroupNorm over all channels as one group."""

    def __init__(self, channels_in: int, channels_out: int, factor: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel_size=factor, stride=factor)
        self.norm = nn.GroupNorm(1, channels_out)


class Upsample(nn.Sequential):
    """Transposed convolution to ``factor`` times the size, then GroupNorm over all channels as one group.

    Parameters
    ----------
    channels_in, channels_out, factor : int
    normalize : bool
        False leaves the GroupNorm out.
    """

    def __init__(self, channels_in: int, channels_out: int, factor: int, normalize: bool = True) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels_in, channels_out, kernel_size=factor, stride=factor)
        if normalize:
            self.norm = nn.GroupNorm(1, channels_out)


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels, bias=False)


def _pointwise(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, kernel_size=1, bias=False)


class LocalContextIntegrator(nn.Sequential):
    """LCI: BatchNorm, pointwise, depthwise 3x3, BatchNorm, pointwise; no biases."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_in = nn.BatchNorm2d(channels)
        self.mix_in = _pointwise(channels, channels)
        self.depthwise = _depthwise(channels)
        self.norm_out = nn.BatchNorm2d(channels)
        self.mix_out = _pointwise(channels, channels)


class AdaptiveSemanticEnhancer(nn.Sequential):
    """ASE: pointwise to four times the channels, GELU (shallow) or Swish (deep), pointwise back; no biases."""

    def __init__(self, channels: int, shallow: bool) -> None:
        super().__init__()
        self.expand = _pointwise(channels, 4 * channels)
        self.activation = nn.GELU() if shallow else nn.SiLU()
        self.project = _pointwise(4 * channels, channels)


class BasBlock(nn.Module):
    """BaSBlock: alignment (ALI), local context (LCI) and semantic enhancement (ASE), each added to its own input.

    Parameters
    ----------
    channels : int
    shallow : bool
        GELU when true, Swish (``x * sigmoid(x)``) when false.
    """

    def __init__(self, channels: int, shallow: bool) -> None:
        super().__init__()
        self.alignment = _depthwise(channels)
        self.context = LocalContextIntegrator(channels)
        self.enhancer = AdaptiveSemanticEnhancer(channels, shallow)

    def forward(self, x: Tensor) -> Tensor:
        """Map features of shape (B, channels, H, W) to the same shape."""
        x = x + self.alignment(x)
        x = x + self.context(x)
        return x + self.enhancer(x)


class TemporalLocalityPrefetch(nn.Module):
    """TempLP: hand part of the stem's channels on from the frame before, a temporal shift without multiplications.

    The paper's figure shows this part of the stem, its text does not define it and the public code has none of it;
    this reading is ours. The caller keeps the cache (the stem's features before the shift), so that the network
    itself has no state.

    Parameters
    ----------
    channels : int
        Channels of the stem.
    share : float
        Share of the channels, from the first on, that come from the frame before; 0 to 1.

    Raises
    ------
    ValueError
        When ``share`` lies outside 0 to 1.
    """

    def __init__(self, channels: int, share: float) -> None:
        super().__init__()
        if not 0 <= share <= 1:
            raise ValueError(f"share must be in [0, 1], not {share}")
        self.shifted = round(channels * share)

    def forward(self, features: Tensor, previous: Tensor | None) -> Tensor:
        """Mix the frame before into the stem's features.

        Parameters
        ----------
        features : Tensor, shape (B, C, h / 4, w / 4)
            Of the present frame.
        previous : Tensor of the same shape, or None
            Of the frame before; None on a cine's first frame, whose own features are then used.
        """
        if previous is None or self.shifted == 0:
            return features
        return torch.cat((previous[:, : self.shifted], features[:, self.shifted :]), dim=1)
