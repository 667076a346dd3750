"""Encoders of a frame together with a mask: for the memory, and for SFM's prior."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from UltrasoundLesionSegLib.engine.networks.decoder import ResidualBlock
from UltrasoundLesionSegLib.engine.networks.trunks import IMAGENET_MEAN, IMAGENET_STD


class FusedMaskEncoder(nn.Module):
    """A shallow path over frame and mask, joined with the frame's stride-16 features that are there already.

    A second trunk would double what cannot run ahead of the previous frame's mask, and spend it on finding again what
    the frame's encoding has found: 18 ms a MobileNetV2 at 240 x 240 on one CPU thread, most of them in depthwise layers
    at strides 2 and 4. Patches of 4 x 4 pixels and two strided dense convolutions say where the mask lies in 3 ms.

    Parameters
    ----------
    frame_channels : int
        Width of the frame's stride-16 features.
    channels : int
        Width of the result.
    with_mask : bool
        Whether the mask is an input of its own (memory; concatenated prior) or has been multiplied into the frame.
    """

    _WIDTHS = (32, 64, 96)

    def __init__(self, frame_channels: int, channels: int, with_mask: bool) -> None:
        super().__init__()
        first, second, third = self._WIDTHS
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)
        self.path = nn.Sequential(
            *_convolution_norm_relu(4 if with_mask else 3, first, 4, 4, 0),
            *_convolution_norm_relu(first, second, 3, 2, 1),
            *_convolution_norm_relu(second, third, 3, 2, 1),
        )
        self.join = ResidualBlock(frame_channels + third, channels)

    def forward(self, frames: Tensor, masks: Tensor | None, frame_features: Tensor) -> Tensor:
        """Encode.

        Parameters
        ----------
        frames : Tensor, shape (B, 3, h, w)
        masks : Tensor, shape (B, 1, h, w), or None
        frame_features : Tensor, shape (B, frame_channels, h / 16, w / 16)

        Returns
        -------
        Tensor, shape (B, channels, h / 16, w / 16)
        """
        normalized = (frames - cast(Tensor, self.mean)) / cast(Tensor, self.std)
        inputs = normalized if masks is None else torch.cat((normalized, masks), dim=1)
        return self.join(torch.cat((frame_features, self.path(inputs)), dim=1))


def _convolution_norm_relu(
    channels_in: int, channels_out: int, size: int, stride: int, padding: int
) -> list[nn.Module]:
    convolution = nn.Conv2d(channels_in, channels_out, size, stride, padding, bias=False)
    return [convolution, nn.BatchNorm2d(channels_out), nn.ReLU()]
