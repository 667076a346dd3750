"""STM's decoder: refinement with the encoder's finer features.

Source: Oh et al., "Video Object Segmentation using Space-Time Memory Networks", ICCV 2019, arXiv 1904.00607.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each after a ReLU, added to the input (to its 3x3 projection where the width changes)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.shortcut = (
            nn.Identity() if channels_in == channels_out else nn.Conv2d(channels_in, channels_out, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) to (B, channels_out, H, W)."""
        return self.shortcut(x) + self.second(torch.relu(self.first(torch.relu(x))))


class Refine(nn.Module):
    """Add finer encoder features to a coarse map that is upsampled by two.

    Parameters
    ----------
    skip_channels : int
        Width of the encoder's features.
    coarse_channels, channels : int
        Width of the coarse map and of the result. Where they differ, a 1x1 convolution at the coarse size goes between.
    """

    def __init__(self, skip_channels: int, coarse_channels: int, channels: int) -> None:
        super().__init__()
        self.skip = nn.Sequential(nn.Conv2d(skip_channels, channels, 3, padding=1), ResidualBlock(channels, channels))
        self.narrow = nn.Identity() if coarse_channels == channels else nn.Conv2d(coarse_channels, channels, 1)
        self.mix = ResidualBlock(channels, channels)

    def forward(self, skip: Tensor, coarse: Tensor) -> Tensor:
        """Map (B, skip_channels, H, W) and (B, coarse_channels, H / 2, W / 2) to (B, channels, H, W)."""
        fine = functional.interpolate(self.narrow(coarse), skip.shape[2:], mode="bilinear", align_corners=False)
        return self.mix(self.skip(skip) + fine)


class Decoder(nn.Module):
    """From fused stride-16 features to the lesion's logits.

    Parameters
    ----------
    channels_in : int
        Width of the fused features.
    skip_channels : tuple of int, length 2
        Widths of the encoder's features at strides 4 and 8.
    channels : tuple of int, length 3
        Widths at strides 16, 8 and 4; 256 throughout in STM.
    """

    def __init__(self, channels_in: int, skip_channels: tuple[int, int], channels: tuple[int, int, int]) -> None:
        super().__init__()
        wide, middle, narrow = channels
        self.reduce = nn.Sequential(nn.Conv2d(channels_in, wide, 3, padding=1), ResidualBlock(wide, wide))
        self.refine8 = Refine(skip_channels[1], wide, middle)
        self.refine4 = Refine(skip_channels[0], middle, narrow)
        self.head = nn.Conv2d(narrow, 2, 3, padding=1)

    def forward(self, fused: Tensor, stride4: Tensor, stride8: Tensor) -> Tensor:
        """Decode.

        Parameters
        ----------
        fused : Tensor, shape (B, channels_in, h / 16, w / 16)
        stride4, stride8 : Tensor
            The encoder's features at those strides.

        Returns
        -------
        Tensor, shape (B, 1, h, w)
            The lesion's logit minus the background's: the softmax of the two is the sigmoid of this.
        """
        x = self.refine4(stride4, self.refine8(stride8, self.reduce(fused)))
        classes = self.head(torch.relu(x))
        # the difference before upsampling: both are linear, and one map is cheaper than two
        return functional.interpolate(classes[:, 1:] - classes[:, :1], scale_factor=4.0, mode="bilinear")
