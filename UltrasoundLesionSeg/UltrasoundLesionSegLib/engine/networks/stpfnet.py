"""STPFNet, and with its modules switched off STM, STM + MSFF and STM + SFM.

Sources: arXiv 2403.11699 (STPFNet), arXiv 1904.00607 (STM). Its modules are in ``trunks``, ``mask_encoders``,
``fusion`` and ``decoder``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from UltrasoundLesionSegLib.engine.network_api import (
    FrameCode,
    MemoryItem,
    MemoryRead,
    PreviousFrame,
    PropagationNetwork,
)
from UltrasoundLesionSegLib.engine.networks.decoder import Decoder
from UltrasoundLesionSegLib.engine.networks.fusion import (
    CoarseFeature,
    Concatenation,
    MultiScaleFusion,
    SpatialFusion,
    TemporalFusion,
)
from UltrasoundLesionSegLib.engine.networks.mask_encoders import FusedMaskEncoder
from UltrasoundLesionSegLib.engine.networks.trunks import Trunk, build_trunk

PRIORS = ("multiplied", "concatenated")
MASK_ENCODERS = ("trunk", "fused")


@dataclass(frozen=True)
class _Widths:
    """Defaults that go with a trunk; every one can be given to the constructor instead."""

    key: int
    value: int
    decoder: tuple[int, int, int]
    mask_encoder: str
    frozen_norm: bool


_WIDTHS = {
    # as published: C = 1024, C / 8 and C / 2
    "resnet50": _Widths(128, 512, (256, 256, 256), "trunk", True),
    # C = 256, C / 8 and C / 2
    "resnet18": _Widths(32, 128, (128, 128, 64), "trunk", True),
    # C = 96: C / 8 would be 12 numbers to tell 225 places apart by. 64 and 192 cost under 0.1 GMAC a remembered-frame
    # read; the decoder narrows as it refines, since each halving of the stride quadruples the price of a channel
    "mobilenet_v2": _Widths(64, 192, (128, 64, 48), "fused", False),
}


class STPFNet(PropagationNetwork):
    """Spatial-temporal progressive fusion: memory (TFM), prior of the previous mask (SFM), channel weights (MSFF).

    STM is ``spatial_fusion=False, multi_scale_fusion=False``; STM + MSFF and STM + SFM switch one of them on.

    Parameters
    ----------
    trunk : str
        ``resnet50`` (published), ``resnet18`` or ``mobilenet_v2`` (for CPUs).
    spatial_fusion : bool
        SFM (Table II).
    multi_scale_fusion : bool
        MSFF (Table II). Without it the features are concatenated, as STM does.
    prior : str
        SFM's prior (Table III): ``multiplied``, the frame times the previous probability map, or ``concatenated``.
    pooling : str
        MSFF's pooling (Table III): ``average``, ``max`` or ``both``.
    coarse_stages : sequence of int
        Encoder stages that feed w (Table III): some of 2, 3, 4. Without MSFF, w is the frame's own value V_C.
    key_channels, value_channels : int or None
        Widths of keys and values; None takes the trunk's default.
    decoder_channels : sequence of 3 int or None
        Decoder widths at strides 16, 8, 4; None takes the trunk's default.
    mask_encoder : str or None
        ``trunk``: frames with masks go through whole trunks, as published: the memory's has a mask input of its own;
        a multiplied prior goes through the frame's trunk, a concatenated one through the memory's.
        ``fused``: through ``FusedMaskEncoder``, for CPUs. None takes the trunk's default.
    frozen_norm : bool or None
        See ``Trunk``; None takes the trunk's default.
    stride_on_first : bool
        ResNet-50 "V1" strides; must be as the trunk's weights were trained.

    Raises
    ------
    ValueError
        When an option is none of the values listed.
    """

    def __init__(
        self,
        trunk: str = "resnet50",
        spatial_fusion: bool = True,
        multi_scale_fusion: bool = True,
        prior: str = "multiplied",
        pooling: str = "both",
        coarse_stages: Sequence[int] = (4,),
        key_channels: int | None = None,
        value_channels: int | None = None,
        decoder_channels: Sequence[int] | None = None,
        mask_encoder: str | None = None,
        frozen_norm: bool | None = None,
        stride_on_first: bool = False,
    ) -> None:
        super().__init__()
        _check_choice("trunk", trunk, _WIDTHS)
        _check_choice("prior", prior, PRIORS)
        defaults = _WIDTHS[trunk]
        mask_encoder = defaults.mask_encoder if mask_encoder is None else mask_encoder
        _check_choice("mask_encoder", mask_encoder, MASK_ENCODERS)
        frozen = defaults.frozen_norm if frozen_norm is None else frozen_norm
        keys = key_channels or defaults.key
        values = value_channels or defaults.value
        self.prior = prior

        self.trunk = build_trunk(trunk, False, frozen, stride_on_first)
        channels4, channels8, channels16 = self.trunk.channels
        self.key = nn.Conv2d(channels16, keys, 3, padding=1)
        self.coarse = CoarseFeature(self.trunk.channels, coarse_stages, values)

        self.memory_encoder: Trunk | FusedMaskEncoder
        self.prior_encoder: FusedMaskEncoder | None = None
        if mask_encoder == "trunk":
            encoded = channels16
            self.memory_encoder = build_trunk(trunk, True, frozen, stride_on_first)
        else:
            encoded = values
            self.memory_encoder = FusedMaskEncoder(channels16, encoded, with_mask=True)
            if spatial_fusion:
                self.prior_encoder = FusedMaskEncoder(channels16, encoded, with_mask=prior == "concatenated")
        self.memory_key = nn.Conv2d(encoded, keys, 3, padding=1)
        self.memory_value = nn.Conv2d(encoded, values, 3, padding=1)

        self.temporal = TemporalFusion()
        self.spatial = SpatialFusion(encoded, values) if spatial_fusion else None
        sources = 3 if spatial_fusion else 2
        self.fusion = MultiScaleFusion(sources, values, pooling) if multi_scale_fusion else Concatenation()
        wide, middle, narrow = decoder_channels or defaults.decoder
        fused = values if multi_scale_fusion else sources * values
        self.decoder = Decoder(fused, (channels4, channels8), (wide, middle, narrow))

    def encode(self, frames: Tensor) -> FrameCode:
        """Encode frames without a mask: K_C as the key; beside it w and the features at strides 4, 8 and 16.

        Parameters
        ----------
        frames : Tensor, shape (B, 3, h, w)
            RGB in [0, 1]; h and w multiples of 16.
        """
        features = self.trunk(frames)
        return FrameCode(self.key(features[2]), (self.coarse(features), *features))

    def appearance(self, code: FrameCode) -> Tensor:
        """Return the key: it is trained to be alike where frames show the same structure."""
        return code.key

    def memorize(self, frames: Tensor, code: FrameCode, masks: Tensor) -> MemoryItem:
        """Encode frames with their masks: K_P (B, Ck, h / 16, w / 16) and V_P (B, Cv, h / 16, w / 16)."""
        if isinstance(self.memory_encoder, FusedMaskEncoder):
            encoded = self.memory_encoder(frames, masks, code.features[3])
        else:
            encoded = self.memory_encoder(frames, masks)[2]
        return MemoryItem(self.memory_key(encoded), self.memory_value(encoded))

    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
        """Segment the present frame; returns logits (B, 1, h, w)."""
        coarse, stride4, stride8, _ = code.features
        features = [self.temporal(code.key, memory.keys, memory.values)]
        if self.spatial is not None:
            prior = self._encode_prior(frames, code, previous.masks)
            features.append(self.spatial(code.key, previous.code.key, prior))
        features.append(coarse)
        return self.decoder(self.fusion(features), stride4, stride8)

    def _encode_prior(self, frames: Tensor, code: FrameCode, masks: Tensor) -> Tensor:
        """Encode the present frame under the previous probability map, shape (B, C, h / 16, w / 16)."""
        multiplied = self.prior == "multiplied"
        seen, given = (frames * masks, None) if multiplied else (frames, masks)
        if self.prior_encoder is not None:
            return self.prior_encoder(seen, given, code.features[3])
        encoder = self.trunk if multiplied else self.memory_encoder
        return encoder(seen, given)[2]


def _check_choice(option: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        raise ValueError(f"{option} must be one of {', '.join(choices)}, not {value!r}")
