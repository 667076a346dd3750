"""Image trunks to stride 16, under torchvision's parameter names, so that ImageNet weights load by name.

Sources: ResNet, He et al., arXiv 1512.03385; MobileNetV2, Sandler et al., arXiv 1801.04381.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from UltrasoundLesionSegLib.errors import ModelError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Trunk(nn.Module, ABC):
    """Features at strides 4, 8 and 16 of frames in [0, 1].

    Parameters
    ----------
    channels : tuple of int, length 3
        Widths of the features at strides 4, 8 and 16.
    with_mask : bool
        Whether a mask goes in beside the frame: a convolution of its own, added to the first one's result (as in STM's
        memory encoder), so that ImageNet weights still fit.
    frozen_norm : bool
        Keep BatchNorm at its stored statistics in training too, as STM does: for small batches, and for a trunk that
        sees whole and masked frames in turn.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: tuple[int, int, int], with_mask: bool, frozen_norm: bool) -> None:
        super().__init__()
        self.channels = channels
        self.with_mask = with_mask
        self.frozen_norm = frozen_norm
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def train(self, mode: bool = True) -> Trunk:
        """Switch training mode; BatchNorm stays in evaluation mode when it is frozen."""
        super().train(mode)
        if self.frozen_norm:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, frames: Tensor, masks: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Encode frames.

        Parameters
        ----------
        frames : Tensor, shape (B, 3, h, w)
            RGB in [0, 1]; h and w multiples of 16.
        masks : Tensor, shape (B, 1, h, w), or None
            Given exactly when the trunk was made with a mask input.

        Returns
        -------
        tuple of Tensor
            Features at strides 4, 8 and 16, of ``channels`` channels.

        Raises
        ------
        ValueError
            When h or w is no multiple of 16, or ``masks`` is given to a trunk without a mask input or missing for one
            with it.
        """
        if frames.shape[2] % 16 or frames.shape[3] % 16:
            raise ValueError(f"height and width must be multiples of 16, not {frames.shape[2]} x {frames.shape[3]}")
        if (masks is not None) != self.with_mask:
            raise ValueError(
                f"a trunk made with_mask={self.with_mask} must {'' if self.with_mask else 'not '}get masks"
            )
        return self.encode((frames - self.mean) / self.std, masks)

    @abstractmethod
    def encode(self, normalized: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Encode frames that are normalised already.

        Parameters
        ----------
        normalized : Tensor, shape (B, 3, h, w)
        masks : Tensor, shape (B, 1, h, w), or None

        Returns
        -------
        tuple of Tensor
            Features of shape (B, channels, h / s, w / s) for the strides s of 4, 8 and 16.
        """


def _mask_convolution(beside: nn.Conv2d) -> nn.Conv2d:
    """Return a convolution of one channel whose result can be added to that of ``beside``."""
    size, stride, padding = beside.kernel_size[0], beside.stride[0], int(beside.padding[0])
    return nn.Conv2d(1, beside.out_channels, size, stride, padding, bias=False)


class Bottleneck(nn.Module):
    """ResNet's 1x1, 3x3, 1x1 block; ``stride_on_first`` puts the stride on the first 1x1 (V1) instead of the 3x3."""

    def __init__(self, channels_in: int, width: int, stride: int, stride_on_first: bool) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_on_first else (1, stride)
        self.conv1 = nn.Conv2d(channels_in, width, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _shortcut(channels_in, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) to (B, 4 * width, H / stride, W / stride)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class BasicBlock(nn.Module):
    """ResNet's block of two 3x3 convolutions."""

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) to (B, width, H / stride, W / stride)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    if stride == 1 and channels_in == channels_out:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))


class ResNet(Trunk):
    """ResNet-18 or ResNet-50 to its third stage.

    Parameters
    ----------
    depth : int
        18 or 50.
    with_mask, frozen_norm : bool
        See ``Trunk``.
    stride_on_first : bool
        For depth 50: "V1", the stride on each stage's first 1x1 convolution. Must be as the weights were trained.
    """

    def __init__(
        self, depth: int, with_mask: bool = False, frozen_norm: bool = False, stride_on_first: bool = False
    ) -> None:
        if depth not in (18, 50):
            raise ValueError(f"depth must be 18 or 50, not {depth}")
        widths = (64, 128, 256)
        growth = 4 if depth == 50 else 1
        super().__init__((64 * growth, 128 * growth, 256 * growth), with_mask, frozen_norm)
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.conv1_mask = _mask_convolution(self.conv1) if with_mask else None
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = 64
        for stage, (width, count) in enumerate(zip(widths, (3, 4, 6) if depth == 50 else (2, 2, 2), strict=True)):
            blocks: list[nn.Module] = []
            for number in range(count):
                stride = 2 if number == 0 and stage > 0 else 1
                if depth == 50:
                    blocks.append(Bottleneck(channels, width, stride, stride_on_first))
                else:
                    blocks.append(BasicBlock(channels, width, stride))
                channels = width * growth
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))

    def encode(self, normalized: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Encode frames that are normalised already; shapes as in ``Trunk.encode``."""
        x = self.conv1(normalized)
        if self.conv1_mask is not None:
            x = x + self.conv1_mask(masks)
        stride4 = self.get_submodule("layer1")(self.maxpool(torch.relu(self.bn1(x))))
        stride8 = self.get_submodule("layer2")(stride4)
        return stride4, stride8, self.get_submodule("layer3")(stride8)


def _convolution_norm_relu6(channels_in: int, channels_out: int, size: int, stride: int, groups: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU6())


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand 1x1, depthwise 3x3, project 1x1 without activation."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.residual = stride == 1 and channels_in == channels_out
        hidden = channels_in * expansion
        expand = [_convolution_norm_relu6(channels_in, hidden, 1, 1, 1)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *expand,
            _convolution_norm_relu6(hidden, hidden, 3, stride, hidden),
            nn.Conv2d(hidden, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) to (B, channels_out, H / stride, W / stride)."""
        y = self.conv(x)
        return x + y if self.residual else y


class MobileNetV2(Trunk):
    """MobileNetV2 to its last block at stride 16 (``features.13``, 96 channels)."""

    # channels in, channels out, stride of the first block, expansion, number of blocks; each row ends a resolution
    # or widens one, as in the paper's Table 2
    _ROWS = ((32, 16, 1, 1, 1), (16, 24, 2, 6, 2), (24, 32, 2, 6, 3), (32, 64, 2, 6, 4), (64, 96, 1, 6, 3))
    # index in ``features`` after the last block at stride 4, at stride 8
    _END_OF_STRIDE4, _END_OF_STRIDE8 = 4, 7

    def __init__(self, with_mask: bool = False, frozen_norm: bool = False) -> None:
        super().__init__((24, 32, 96), with_mask, frozen_norm)
        first = _convolution_norm_relu6(3, 32, 3, 2, 1)
        blocks: list[nn.Module] = [first]
        for channels_in, channels_out, stride, expansion, count in self._ROWS:
            blocks.append(InvertedResidual(channels_in, channels_out, stride, expansion))
            blocks += [InvertedResidual(channels_out, channels_out, 1, expansion) for _ in range(count - 1)]
        self.features = nn.Sequential(*blocks)
        self.conv1_mask = nn.Conv2d(1, 32, 3, 2, 1, bias=False) if with_mask else None

    def encode(self, normalized: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Encode frames that are normalised already; shapes as in ``Trunk.encode``."""
        first = cast(nn.Sequential, self.features[0])
        x = first[0](normalized)
        if self.conv1_mask is not None:
            x = x + self.conv1_mask(masks)
        stride4 = self.features[1 : self._END_OF_STRIDE4](first[1:](x))
        stride8 = self.features[self._END_OF_STRIDE4 : self._END_OF_STRIDE8](stride4)
        return stride4, stride8, self.features[self._END_OF_STRIDE8 :](stride8)


def build_trunk(name: str, with_mask: bool = False, frozen_norm: bool = False, stride_on_first: bool = False) -> Trunk:
    """Build a trunk by name: ``resnet50``, ``resnet18`` or ``mobilenet_v2``.

    Parameters
    ----------
    name : str
    with_mask, frozen_norm : bool
        See ``Trunk``.
    stride_on_first : bool
        ResNet-50 "V1" strides.

    Raises
    ------
    ValueError
        When the name is none of these, or ``stride_on_first`` is asked of another trunk than ``resnet50``.
    """
    if stride_on_first and name != "resnet50":
        raise ValueError(f"stride_on_first is an option of resnet50, not of {name}")
    if name in ("resnet50", "resnet18"):
        return ResNet(int(name.removeprefix("resnet")), with_mask, frozen_norm, stride_on_first)
    if name == "mobilenet_v2":
        return MobileNetV2(with_mask, frozen_norm)
    raise ValueError(f"trunk must be 'resnet50', 'resnet18' or 'mobilenet_v2', not {name!r}")


def load_trunk_weights(trunk: Trunk, path: Path) -> None:
    """Load ImageNet weights in torchvision's names into a trunk.

    Layers beyond stride 16 in the file are left aside; the mask's convolution, which ImageNet knows nothing of, is left
    as it is.

    Parameters
    ----------
    trunk : Trunk
    path : Path
        A safetensors file, in any floating type.

    Raises
    ------
    ModelError
        When the file cannot be read or is of another trunk.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError("the trunk's weights cannot be read; give a safetensors file that is there") from error
    wanted = {name: values for name, values in trunk.state_dict().items() if not name.startswith("conv1_mask")}
    missing = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
    differing = [name for name in wanted if name in state and state[name].shape != wanted[name].shape]
    if missing or differing:
        raise ModelError(
            f"the trunk's weights lack or misshape {len(missing) + len(differing)} of the {len(wanted)} tensors of "
            f"{type(trunk).__name__}; give the weights of that trunk"
        )
    trunk.load_state_dict({name: _within_range(state[name]) for name in wanted if name in state}, strict=False)


def _within_range(values: Tensor) -> Tensor:
    """Return float32 values; what overflowed the type they were stored in has that type's largest value.

    A running variance of the first norm does in float16: an infinite one would switch its channel off, and become nan
    in averaged weights.
    """
    if not values.is_floating_point():
        return values
    return values.float().clamp(max=torch.finfo(values.dtype).max)
