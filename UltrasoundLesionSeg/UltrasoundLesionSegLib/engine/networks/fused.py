"""Networks in the form they are run in: norms folded into convolutions, activations and sums done on the way.

On CPUs with oneDNN (x86 builds of PyTorch) a convolution, its activation and the sum that follows run as one operation
over weights that were laid out for the processor beforehand; elsewhere the same modules run as ordinary PyTorch
operations.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from UltrasoundLesionSegLib.engine.networks.bas_blocks import BasBlock, Upsample
from UltrasoundLesionSegLib.engine.networks.decoder import ResidualBlock
from UltrasoundLesionSegLib.engine.networks.trunks import BasicBlock, Bottleneck, InvertedResidual, MobileNetV2, ResNet

AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)

# what may follow a convolution: module -> (plain operation, oneDNN's name, its numbers, its algorithm)
_ACTIVATIONS: dict[type[nn.Module], tuple[Callable[[Tensor], Tensor], str, list[float], str]] = {
    nn.Identity: (nn.Identity(), "none", [], ""),
    nn.ReLU: (torch.relu, "relu", [], ""),
    nn.ReLU6: (functional.relu6, "hardtanh", [0.0, 6.0], ""),
    nn.GELU: (functional.gelu, "gelu", [], "none"),
    nn.SiLU: (functional.silu, "swish", [], ""),
}


@cache
def has_onednn() -> bool:
    """Tell whether this PyTorch has oneDNN's fused convolutions and they compute what they should."""
    try:
        ones = torch.ones(1, 1, 1, 1)
        layout = (_laid_out(ones, [0, 0], [1, 1], 1, ones.shape), ones[0, 0, 0], [0, 0], [1, 1], [1, 1], 1)
        operation = torch.ops.mkldnn._convolution_pointwise
        alone = operation.default(-ones, *layout, "relu", [], "")
        with_sum = operation.binary(ones, ones, *layout, "add", 1.0, None, [], None)
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):  # not public operations of PyTorch
        return False
    return float(alone) == 0 and float(with_sum) == 3


def _laid_out(weight: Tensor, padding: list[int], stride: list[int], groups: int, shape: torch.Size) -> Tensor:
    """Return a convolution's weights in the order the processor wants for inputs of a shape."""
    laid_out: Tensor = torch.ops.mkldnn._reorder_convolution_weight(weight, padding, stride, [1, 1], groups, shape)
    return laid_out


class FusedConvolution(nn.Module):
    """A convolution with everything that follows it until the next one.

    Weights are laid out on the first call with a shape on the CPU, so that ``to`` works as for any module. Weights laid
    out for another shape would give the same results, but be laid out again inside every call, at up to ten times the
    convolution's own cost.

    Parameters
    ----------
    convolution : Conv2d
        With zero padding.
    norm : BatchNorm2d or None
        What follows it; folded in at its stored statistics.
    activation : type
        ``nn.Identity``, ``nn.ReLU``, ``nn.ReLU6``, ``nn.GELU`` or ``nn.SiLU``; applied last.
    """

    def __init__(
        self, convolution: nn.Conv2d, norm: nn.BatchNorm2d | None = None, activation: type[nn.Module] = nn.Identity
    ) -> None:
        super().__init__()
        weight = convolution.weight.detach()
        bias = None if convolution.bias is None else convolution.bias.detach()
        if norm is not None:
            scale, shift = scale_and_shift(norm)
            weight = weight * scale[:, None, None, None]
            bias = shift if bias is None else bias * scale + shift
        self.weight = nn.Parameter(weight.clone(memory_format=torch.contiguous_format), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.clone(), requires_grad=False)
        self.stride = list(cast(tuple[int, int], convolution.stride))
        self.padding = list(cast(tuple[int, int], convolution.padding))
        self.groups = convolution.groups
        self.activation = activation
        self._laid_out: dict[torch.Size, Tensor] = {}

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """Return ``activation(convolution(x) + added)``.

        Parameters
        ----------
        x : Tensor, shape (B, channels_in, H, W)
        added : Tensor of the result's shape, or None
        """
        plain, name, numbers, algorithm = _ACTIVATIONS[self.activation]
        ordinary = x.device.type != "cpu" or x.dtype != torch.float32 or torch.jit.is_tracing() or not has_onednn()
        if ordinary:
            # frames come in channels_last, the layout of oneDNN; other backends were not measured
            y = functional.conv2d(x.contiguous(), self.weight, self.bias, self.stride, self.padding, 1, self.groups)
            return plain(y if added is None else y + added)
        weight = self._laid_out.get(x.shape)
        if weight is None:
            weight = self._laid_out[x.shape] = _laid_out(self.weight, self.padding, self.stride, self.groups, x.shape)
        layout = (weight, self.bias, self.padding, self.stride, [1, 1], self.groups)
        operation = torch.ops.mkldnn._convolution_pointwise
        if added is None:
            return cast(Tensor, operation.default(x, *layout, name, numbers, algorithm))
        after = None if self.activation is nn.Identity else name
        return cast(Tensor, operation.binary(x, added, *layout, "add", 1.0, after, numbers, algorithm or None))


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return what a BatchNorm at its stored statistics multiplies by and adds, each of shape (channels,)."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight.detach() / torch.sqrt(variance + norm.eps)
    return scale, norm.bias.detach() - mean * scale


class FusedBasBlock(nn.Module):
    """``BasBlock`` as six convolutions.

    The alignment's residual is a 1 at the kernel's centre. LCI's first norm is folded into the pointwise convolution
    after it, where the depthwise one then pads with zeros as before; its second norm into the depthwise one before it.
    """

    def __init__(self, block: BasBlock) -> None:
        super().__init__()
        alignment = copy.deepcopy(block.alignment)
        with torch.no_grad():
            alignment.weight[:, :, 1, 1] += 1
        self.alignment = FusedConvolution(alignment)
        context = block.context
        self.mix_in = FusedConvolution(_after_norm(context.norm_in, context.mix_in))
        self.depthwise = FusedConvolution(context.depthwise, context.norm_out)
        self.mix_out = FusedConvolution(context.mix_out)
        self.expand = FusedConvolution(block.enhancer.expand, None, type(block.enhancer.activation))
        self.project = FusedConvolution(block.enhancer.project)

    def forward(self, x: Tensor) -> Tensor:
        """Map features of shape (B, channels, H, W) to the same shape."""
        x = self.alignment(x)
        x = self.mix_out(self.depthwise(self.mix_in(x)), x)
        return cast(Tensor, self.project(self.expand(x), x))


def _after_norm(norm: nn.BatchNorm2d, pointwise: nn.Conv2d) -> nn.Conv2d:
    """Return the 1x1 convolution that does what the norm and then the given one, without a bias, do."""
    scale, shift = scale_and_shift(norm)
    both = nn.Conv2d(pointwise.in_channels, pointwise.out_channels, 1)
    weight = pointwise.weight.detach()
    both.weight = nn.Parameter(weight * scale[:, None, None])
    both.bias = nn.Parameter(weight[:, :, 0, 0] @ shift)
    return both


class FusedUpsample(nn.Module):
    """``Upsample`` as a 1x1 convolution to ``factor ** 2`` times the channels, which are then laid out as pixels.

    The kernel is as large as the stride, so every output pixel comes from one input pixel. The norm over everything
    comes before the pixels are laid out: on a single channel in channels_last PyTorch's takes 0.7 ms at 240 x 240,
    forty times as long.
    """

    def __init__(self, upsample: Upsample) -> None:
        super().__init__()
        transposed = upsample.conv
        self.factor = int(transposed.stride[0])
        places = self.factor**2
        pixels = nn.Conv2d(transposed.in_channels, places * transposed.out_channels, 1)
        assert transposed.bias is not None
        pixels.weight = nn.Parameter(transposed.weight.detach().permute(2, 3, 1, 0).reshape(pixels.weight.shape))
        pixels.bias = nn.Parameter(transposed.bias.detach().repeat(places))
        self.pixels = FusedConvolution(pixels)
        norm = getattr(upsample, "norm", None)
        self.norm: nn.Module = nn.Identity()
        if norm is not None:
            self.norm = nn.GroupNorm(1, pixels.out_channels, norm.eps).requires_grad_(False)
            self.norm.weight.copy_(norm.weight.repeat(places))
            self.norm.bias.copy_(norm.bias.repeat(places))

    def forward(self, x: Tensor) -> Tensor:
        """Map features of shape (B, channels_in, H, W) to (B, channels_out, factor * H, factor * W)."""
        x = self.norm(self.pixels(x))
        batch, _, height, width = x.shape
        factor = self.factor
        # the channels of a pixel stay side by side, as in channels_last
        x = x.permute(0, 2, 3, 1).reshape(batch, height, width, factor, factor, -1).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(batch, factor * height, factor * width, -1).permute(0, 3, 1, 2)


class FusedInvertedResidual(nn.Module):
    """``InvertedResidual`` with its norms and activations folded and its sum done by the last convolution."""

    def __init__(self, block: InvertedResidual) -> None:
        super().__init__()
        layers = [*_fused_sequence(block.conv).children()]
        self.first = nn.Sequential(*layers[:-1])
        self.last = layers[-1]
        self.residual = block.residual

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) to (B, channels_out, H / stride, W / stride)."""
        return cast(Tensor, self.last(self.first(x), x if self.residual else None))


class FusedResNetBlock(nn.Module):
    """``Bottleneck`` or ``BasicBlock``: norms and activations folded, the sum done by the last convolution."""

    def __init__(self, block: Bottleneck | BasicBlock) -> None:
        super().__init__()
        pairs = [(block.conv1, block.bn1), (block.conv2, block.bn2)]
        if isinstance(block, Bottleneck):
            pairs.append((block.conv3, block.bn3))
        self.layers = nn.ModuleList(FusedConvolution(convolution, norm, nn.ReLU) for convolution, norm in pairs)
        self.downsample = _fused(block.downsample)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) to (B, channels_out, H / stride, W / stride)."""
        shortcut = self.downsample(x)
        *first, last = self.layers
        for layer in first:
            x = layer(x)
        return cast(Tensor, last(x, shortcut))


class FusedResidualBlock(nn.Module):
    """``ResidualBlock`` of the decoder with its second activation and its sum done by the convolutions."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.first = FusedConvolution(block.first, None, nn.ReLU)
        self.second = FusedConvolution(block.second)
        self.shortcut = _fused(block.shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) to (B, channels_out, H, W)."""
        return cast(Tensor, self.second(self.first(torch.relu(x)), self.shortcut(x)))


def fuse(network: AnyNetwork) -> AnyNetwork:
    """Turn a network into its inference form, in place: same results to within float32 rounding, in evaluation mode.

    It cannot be trained afterwards, and its parameters have other names.
    """
    return cast(AnyNetwork, _fused(network.eval().requires_grad_(False)))


def _fused(module: nn.Module) -> nn.Module:
    """Return what takes a module's place: a fused block where there is one, else the module with its parts fused."""
    if isinstance(module, nn.Conv2d):
        return FusedConvolution(module)
    if isinstance(module, BasBlock):
        return FusedBasBlock(module)
    if isinstance(module, InvertedResidual):
        return FusedInvertedResidual(module)
    if isinstance(module, Bottleneck | BasicBlock):
        return FusedResNetBlock(module)
    if isinstance(module, ResidualBlock):
        return FusedResidualBlock(module)
    if isinstance(module, Upsample):
        return FusedUpsample(module)
    if type(module) is nn.Sequential:
        return _fused_sequence(module)
    # the mask's convolution is added between the first convolution and its norm, so these are not merged
    if isinstance(module, ResNet) and not module.with_mask:
        setattr(module, "conv1", FusedConvolution(module.conv1, module.bn1))  # noqa: B010
        setattr(module, "bn1", nn.Identity())  # noqa: B010
    masked_stem = module.features[0] if isinstance(module, MobileNetV2) and module.with_mask else None
    for name, child in module.named_children():
        setattr(module, name, _fused(child))
    if masked_stem is not None:
        cast(nn.Sequential, module.features)[0] = masked_stem
    return module


def _fused_sequence(sequence: nn.Sequential) -> nn.Sequential:
    """Return a sequence with each convolution, and the norm and activation after it, in one."""
    waiting = list(sequence)
    layers: list[nn.Module] = []
    while waiting:
        layer = waiting.pop(0)
        if isinstance(layer, nn.Conv2d):
            norm = waiting.pop(0) if waiting and isinstance(waiting[0], nn.BatchNorm2d) else None
            activation = type(waiting.pop(0)) if waiting and type(waiting[0]) in _ACTIVATIONS else nn.Identity
            layers.append(FusedConvolution(layer, cast("nn.BatchNorm2d | None", norm), activation))
        else:
            layers.append(_fused(layer))
    return nn.Sequential(*layers)
