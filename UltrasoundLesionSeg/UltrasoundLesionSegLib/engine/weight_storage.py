"""How a bundle's file holds a network's weights: floats as they are, or 8 bits with a scale for each channel.

In 8 bits, ``NAME`` is an int8 tensor and ``NAME..scale`` a float32 vector with one number for each entry of the
tensor's first axis, the output channel of linear layers and convolutions (of transposed ones, the input channel). The
weights are their product. Small tensors stay in float16.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from UltrasoundLesionSegLib.errors import ModelError

# torch allows no empty names and no dots in names of parameters, so no tensor of a network has such a name
SCALE_SUFFIX = "..scale"
# First and depthwise convolutions are among these tensors: few weights (150,000 of stpfnet_light's 3,870,000), with
# which 8 bits change its logits most.
SMALL = 2**14
_LARGEST = 127  # -128 is not used, so that positive and negative weights are treated alike


def stored_tensors(state: Mapping[str, Tensor], dtype: torch.dtype, model: str) -> dict[str, Tensor]:
    """Return the tensors that a weights' file holds for a network's state; shapes stay as they are.

    Parameters
    ----------
    state : mapping of str to Tensor
        A network's ``state_dict()``.
    dtype : torch.dtype
        Of floating tensors with two or more dimensions. ``torch.int8`` adds scales, and is float16 for tensors of
        up to ``SMALL`` numbers. Vectors (biases, statistics) become float32, and whole numbers stay what they are.
    model : str
        The model's name, for messages.

    Returns
    -------
    dict of str to Tensor
        On the CPU and contiguous.

    Raises
    ------
    ModelError
        When weights are to become 8 bits and are not finite.
    """
    tensors = {}
    for name, value in state.items():
        tensor = value.detach().cpu()
        if not tensor.is_floating_point():
            pass
        elif tensor.ndim < 2:
            tensor = tensor.float()
        elif dtype != torch.int8:
            tensor = tensor.to(dtype)
        elif tensor.numel() <= SMALL:
            tensor = tensor.half()
        elif tensor.isfinite().all():
            tensor, tensors[name + SCALE_SUFFIX] = _to_8_bits(tensor.float())
        else:
            raise ModelError(f"the weights of the model '{model}' are not finite; train it again")
        tensors[name] = tensor.contiguous()
    return tensors


def restored_state(tensors: Mapping[str, Tensor], model: str) -> dict[str, Tensor]:
    """Return the state of a network from what a file holds.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        As ``stored_tensors`` makes them, or with floating tensors of any other precision.
    model : str
        The model's name, for messages.

    Returns
    -------
    dict of str to Tensor
        Floating tensors in float32, the others as they are.

    Raises
    ------
    ModelError
        When an 8-bit tensor has no scale, a scale has no 8-bit tensor, or a scale is not a positive, finite float32
        number for each entry of the tensor's first axis.
    """
    scales = {
        name.removesuffix(SCALE_SUFFIX): tensor for name, tensor in tensors.items() if name.endswith(SCALE_SUFFIX)
    }
    state = {name: tensor for name, tensor in tensors.items() if not name.endswith(SCALE_SUFFIX)}
    in_8_bits = {name for name, tensor in state.items() if tensor.dtype == torch.int8}
    if in_8_bits != scales.keys() or not all(_is_scale_of(state[name], scale) for name, scale in scales.items()):
        raise ModelError(
            f"the 8-bit weights of the model '{model}' and their scales do not belong together; install it again"
        )
    for name, tensor in state.items():
        if name in scales:
            state[name] = tensor.float() * _along_first_axis(scales[name], tensor)
        elif tensor.is_floating_point():
            state[name] = tensor.float()
    return state


def _to_8_bits(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return float32 weights in 8 bits, and their scales."""
    scale = weights.abs().flatten(1).amax(1) / _LARGEST
    scale = scale.where(scale > 0, 1)
    levels = (weights / _along_first_axis(scale, weights)).round()
    return levels.clamp(-_LARGEST, _LARGEST).to(torch.int8), scale


def _is_scale_of(levels: Tensor, scale: Tensor) -> bool:
    if scale.dtype != torch.float32 or levels.ndim < 2 or scale.shape != levels.shape[:1]:
        return False
    # also catches NaN, because every comparison with NaN is false
    largest = scale * -torch.iinfo(torch.int8).min
    return bool(((scale > 0) & (largest < math.inf)).all())


def _along_first_axis(scale: Tensor, tensor: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (tensor.ndim - 1))
