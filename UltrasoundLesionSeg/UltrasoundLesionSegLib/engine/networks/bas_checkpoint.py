"""Read checkpoints in the key names of the authors' public BaS code (deepang-ai/BaS)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from torch import Tensor

from UltrasoundLesionSegLib.engine.networks.bas import Bas
from UltrasoundLesionSegLib.errors import ModelError

# public name -> ours, applied in this order to every key
_RENAMES = (
    (r"^module\.", ""),  # written by distributed training
    (r"^Encoder\.conv1\.", "trunk.stem."),
    (r"^Encoder\.conv([23])\.", r"trunk.down\1."),
    (r"^Encoder\.block([23])\.", r"trunk.encoder\1."),
    (r"^Encoder\.position_embeddings$", "trunk.position"),
    (r"^Decoder\.conv([123])\.", r"trunk.up\1."),
    (r"^Decoder\.block([12])\.", r"trunk.decoder\1."),
    (r"\.downsample\.", ".conv."),  # also inside the public up-sampling layers
    (r"\.cpe1\.conditional_positional_encoding\.", ".alignment."),
    (r"\.LocalAgg\.bn\.", ".context.norm_in."),
    (r"\.LocalAgg\.pointwise_conv_0\.", ".context.mix_in."),
    (r"\.LocalAgg\.depthwise_conv\.", ".context.depthwise."),
    (r"\.LocalAgg\.pointwise_prenorm_1\.", ".context.norm_out."),
    (r"\.LocalAgg\.pointwise_conv_1\.", ".context.mix_out."),
    (r"\.mlp2\.mlp_layer_0\.", ".enhancer.expand."),
    (r"\.mlp2\.mlp_layer_1\.", ".enhancer.project."),
)


def bas_from_public_state(state: Mapping[str, Tensor], token_grid: tuple[int, int] = (15, 15)) -> Bas:
    """Build the network a public checkpoint was made with, in evaluation mode, and load it.

    Widths and numbers of blocks are read off the checkpoint; the public token layout is switched on.

    Parameters
    ----------
    state : mapping of str to Tensor
        A ``state_dict`` of the public network.
    token_grid : tuple of int
        Rows and columns of the stride-16 grid it was trained at: 15 x 15 for the published 240 x 240 pixels.

    Raises
    ------
    ModelError
        When the checkpoint is not one of BaS.
    """
    renamed = {_our_name(name): values for name, values in state.items()}
    try:
        position = renamed["trunk.position"]
        renamed["trunk.position"] = position.transpose(1, 2).reshape(1, position.shape[2], *token_grid)
        widths = [renamed[f"trunk.{layer}.conv.weight"].shape[0] for layer in ("stem", "down2", "down3")]
        network = Bas(
            channels=cast(tuple[int, int, int], tuple(widths)),
            blocks=(
                _count(renamed, "trunk.decoder1"),
                _count(renamed, "trunk.encoder2"),
                _count(renamed, "trunk.encoder3"),
            ),
            token_grid=token_grid,
            legacy_token_layout=True,
        )
        network.load_state_dict(renamed)
    except (KeyError, IndexError, RuntimeError) as error:
        raise ModelError(
            "the checkpoint is not a state dict of the public BaS network; give the weights file its training wrote"
        ) from error
    return network.eval()


def _our_name(public: str) -> str:
    for pattern, replacement in _RENAMES:
        public = re.sub(pattern, replacement, public)
    return public


def _count(state: Mapping[str, Tensor], stage: str) -> int:
    """Return the number of blocks of a stage: one more than the largest block number in the names, 0 if none."""
    numbers = [int(found[1]) for name in state if (found := re.match(rf"{re.escape(stage)}\.(\d+)\.", name))]
    return max(numbers, default=-1) + 1
