"""STPFNet's three fusion modules: over time (TFM), over space (SFM), over scales (MSFF).

Source: "A Spatial-Temporal Progressive Fusion Network for Breast Lesion Segmentation in Ultrasound Videos",
arXiv 2403.11699; in the journal version (IEEE TMM 2025) MSFF is called MGFF.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

POOLINGS = ("average", "max", "both")


def attend(query_key: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Read values by similarity of keys: ``softmax(query . key / sqrt(Ck)) value``.

    The paper prints ``softmax(exp(.))``; one exponential is meant.

    Parameters
    ----------
    query_key : Tensor, shape (B, Ck, h', w')
    keys : Tensor, shape (B, M, Ck, h', w')
    values : Tensor, shape (B, M, Cv, h', w')
        The softmax runs over all M * h' * w' positions.

    Returns
    -------
    Tensor, shape (B, Cv, h', w')
    """
    batch, _, rows, columns = query_key.shape
    query = query_key.flatten(2).transpose(1, 2)[:, None]
    # memory may be stored in half precision
    flat_keys, flat_values = (
        stored.to(query_key.dtype).permute(0, 1, 3, 4, 2).flatten(1, 3)[:, None] for stored in (keys, values)
    )
    read = functional.scaled_dot_product_attention(query, flat_keys, flat_values)
    return read[:, 0].transpose(1, 2).reshape(batch, -1, rows, columns)


class TemporalFusion(nn.Module):
    """TFM: the present frame's key reads every remembered frame's value; no parameters of its own."""

    def forward(self, query_key: Tensor, memory_keys: Tensor, memory_values: Tensor) -> Tensor:
        """Return y; shapes as in ``attend``."""
        return attend(query_key, memory_keys, memory_values)


class SpatialFusion(nn.Module):
    """SFM: the present frame's key reads, through the previous frame's key, the value of the masked present frame.

    ``z = softmax(K_C . K_{t-1}^p) V_{t-1}^p`` with V the convolved encoding of "prior knowledge": the present frame
    multiplied by the previous frame's probability map (or the map concatenated, Table III).

    Parameters
    ----------
    encoded_channels : int
        Width of the prior's encoding.
    value_channels : int
    """

    def __init__(self, encoded_channels: int, value_channels: int) -> None:
        super().__init__()
        self.value = nn.Conv2d(encoded_channels, value_channels, 3, padding=1)

    def forward(self, query_key: Tensor, previous_key: Tensor, encoded_prior: Tensor) -> Tensor:
        """Return z.

        Parameters
        ----------
        query_key, previous_key : Tensor, shape (B, Ck, h', w')
            Of the present and of the previous frame, both from the frame alone.
        encoded_prior : Tensor, shape (B, encoded_channels, h', w')

        Returns
        -------
        Tensor, shape (B, value_channels, h', w')
        """
        return attend(query_key, previous_key[:, None], self.value(encoded_prior)[:, None])


class ChannelWeights(nn.Module):
    """Per-channel weights in (0, 1) from globally pooled features: two linear layers, ReLU between, sigmoid after.

    Parameters
    ----------
    channels : int
    pooling : str
        ``average``, ``max`` or ``both`` (concatenated, in that order; the paper's best).
    """

    # the paper does not give the hidden width; a quarter of the channels was chosen
    _SQUEEZE = 4

    def __init__(self, channels: int, pooling: str) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, not {pooling!r}")
        self.pooling = pooling
        hidden = max(1, channels // self._SQUEEZE)
        self.squeeze = nn.Linear(channels * (2 if pooling == "both" else 1), hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Return weights of shape (B, channels, 1, 1) for features of shape (B, channels, h', w')."""
        pooled = []
        if self.pooling != "max":
            pooled.append(features.mean(dim=(2, 3)))
        if self.pooling != "average":
            pooled.append(features.amax(dim=(2, 3)))
        hidden = torch.relu(self.squeeze(torch.cat(pooled, dim=1)))
        return torch.sigmoid(self.excite(hidden))[:, :, None, None]


class MultiScaleFusion(nn.Module):
    """MSFF: a sum of features weighted channel by channel, ``X = Y*y + Z*z + W*w``.

    Parameters
    ----------
    sources : int
        How many features are fused: y, z, w; without SFM only y and w.
    channels : int
    pooling : str
        See ``ChannelWeights``.
    """

    def __init__(self, sources: int, channels: int, pooling: str) -> None:
        super().__init__()
        self.weights = nn.ModuleList(ChannelWeights(channels, pooling) for _ in range(sources))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Fuse ``sources`` tensors of shape (B, channels, h', w') into one."""
        weighted = [weight(one) * one for weight, one in zip(self.weights, features, strict=True)]
        return torch.stack(weighted).sum(dim=0)


class Concatenation(nn.Module):
    """What STM does in MSFF's place: all features side by side."""

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Concatenate tensors of shape (B, channels, h', w') along the channels."""
        return torch.cat(tuple(features), dim=1)


class CoarseFeature(nn.Module):
    """w: chosen encoder stages averaged down to stride 16, convolved to the values' width, summed.

    For the last stage alone (the paper's best) this is also V_C, the present frame's own value in STM.

    Parameters
    ----------
    stage_channels : tuple of int, length 3
        The encoder's widths at strides 4, 8, 16: stages 2, 3, 4.
    stages : sequence of int
        Which of 2, 3, 4 to use.
    value_channels : int

    Raises
    ------
    ValueError
        When a stage is none of 2, 3, 4, or none is given.
    """

    def __init__(self, stage_channels: tuple[int, int, int], stages: Sequence[int], value_channels: int) -> None:
        super().__init__()
        if not stages or not set(stages) <= {2, 3, 4}:
            raise ValueError(f"coarse_stages must be some of 2, 3, 4, not {tuple(stages)}")
        self.stages = tuple(stages)
        self.projections = nn.ModuleList(
            nn.Conv2d(stage_channels[stage - 2], value_channels, 3, padding=1) for stage in self.stages
        )

    def forward(self, features: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Return w of shape (B, value_channels, h / 16, w / 16) from features at strides 4, 8 and 16."""
        parts = []
        for stage, projection in zip(self.stages, self.projections, strict=True):
            shrink = 2 ** (4 - stage)
            feature = features[stage - 2]
            parts.append(projection(functional.avg_pool2d(feature, shrink) if shrink > 1 else feature))
        return torch.stack(parts).sum(dim=0)
