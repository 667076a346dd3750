"""STPFNet's four configurations: shapes, wiring, what each module sees, gradients, determinism."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from UltrasoundLesionSegLib.engine.network_api import MemoryRead, PreviousFrame
from UltrasoundLesionSegLib.engine.networks.stpfnet import STPFNet

SMALL: dict[str, Any] = {
    "trunk": "mobilenet_v2",
    "key_channels": 8,
    "value_channels": 12,
    "decoder_channels": (16, 12, 8),
}
CONFIGURATIONS = [(False, False), (False, True), (True, False), (True, True)]


def propagate(network: STPFNet, frames: Tensor, masks: Tensor, remembered: int = 2) -> Tensor:
    """Segment the last of (B, T, 3, h, w) frames; the ``remembered`` first ones with masks are the memory."""
    codes = [network.encode(frames[:, t]) for t in range(frames.shape[1])]
    items = [network.memorize(frames[:, t], codes[t], masks[:, t]) for t in range(remembered)]
    memory = MemoryRead(
        torch.stack([item.key for item in items], 1),
        torch.stack([item.value for item in items], 1),
        (True,) + (False,) * (remembered - 1),
        tuple(range(remembered, 0, -1)),
    )
    previous = PreviousFrame(frames[:, -2], codes[-2], masks[:, -2])
    return network.segment(frames[:, -1], codes[-1], previous, memory)


def clip(batch: int = 1, length: int = 4, size: tuple[int, int] = (32, 48)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.rand(batch, length, 3, *size, generator=generator), torch.rand(
        batch, length, 1, *size, generator=generator
    )


def build(seed: int = 0, **options: Any) -> STPFNet:
    torch.manual_seed(seed)
    return STPFNet(**(SMALL | options))


@pytest.mark.parametrize(
    ("trunk", "parameters"), [("resnet50", 43_053_634), ("resnet18", 8_013_410), ("mobilenet_v2", 3_890_386)]
)
def test_parameter_counts(trunk: str, parameters: int) -> None:
    assert sum(one.numel() for one in STPFNet(trunk).parameters()) == parameters


def test_published_widths() -> None:
    network = STPFNet("resnet50")
    assert network.key.out_channels == network.memory_key.out_channels == 1024 // 8
    assert network.memory_value.out_channels == 1024 // 2
    assert network.decoder.head.in_channels == 256


@pytest.mark.parametrize(("spatial", "multi_scale"), CONFIGURATIONS)
@pytest.mark.parametrize("mask_encoder", ["trunk", "fused"])
def test_every_configuration_segments_and_trains_every_parameter(
    spatial: bool, multi_scale: bool, mask_encoder: str
) -> None:
    network = build(spatial_fusion=spatial, multi_scale_fusion=multi_scale, mask_encoder=mask_encoder)
    frames, masks = clip(batch=2)
    logits = propagate(network, frames, masks)
    assert logits.shape == (2, 1, 32, 48)
    (logits**3).sum().backward()
    assert [name for name, one in network.named_parameters() if one.grad is None or not one.grad.any()] == []


@pytest.mark.parametrize("trunk", ["resnet50", "resnet18"])
@pytest.mark.parametrize("prior", ["multiplied", "concatenated"])
def test_residual_trunks_and_both_priors(trunk: str, prior: str) -> None:
    network = build(trunk=trunk, prior=prior).eval()
    with torch.no_grad():
        assert propagate(network, *clip(size=(32, 32))).shape == (1, 1, 32, 32)


def test_stm_has_none_of_the_new_modules_and_each_adds_its_own() -> None:
    names = {
        options: {
            name.split(".")[0] for name in build(spatial_fusion=options[0], multi_scale_fusion=options[1]).state_dict()
        }
        for options in CONFIGURATIONS
    }
    assert names[True, False] - names[False, False] == {"spatial", "prior_encoder"}
    assert names[False, True] - names[False, False] == {"fusion"}
    assert names[True, True] == names[True, False] | names[False, True]


@pytest.mark.parametrize(("spatial", "multi_scale"), CONFIGURATIONS)
def test_previous_mask_matters_only_through_spatial_fusion(spatial: bool, multi_scale: bool) -> None:
    network = build(spatial_fusion=spatial, multi_scale_fusion=multi_scale).eval()
    frames, masks = clip()
    changed = masks.clone()
    changed[:, 2] = 1 - changed[:, 2]
    with torch.no_grad():
        same = torch.equal(propagate(network, frames, masks), propagate(network, frames, changed))
    assert same is not spatial


def test_remembered_masks_matter_and_their_order_does_not() -> None:
    network = build().eval()
    frames, masks = clip(length=5)
    swapped = [1, 0, 2, 3, 4]
    changed = masks.clone()
    changed[:, 0] = 1 - changed[:, 0]
    with torch.no_grad():
        plain = propagate(network, frames, masks)
        assert torch.allclose(plain, propagate(network, frames[:, swapped], masks[:, swapped]), atol=1e-5)
        assert not torch.allclose(plain, propagate(network, frames, changed), atol=1e-6)


@pytest.mark.parametrize("mask_encoder", ["trunk", "fused"])
@pytest.mark.parametrize("prior", ["multiplied", "concatenated"])
def test_multiplied_prior_sees_nothing_outside_the_mask(mask_encoder: str, prior: str) -> None:
    network = build(mask_encoder=mask_encoder, prior=prior).eval()
    frames, masks = clip()
    mask = (masks[:, 0] > 0.5).float()
    hidden = frames[:, 0] + (1 - mask) * 0.3
    with torch.no_grad():
        code = network.encode(frames[:, 0])
        same = torch.equal(network._encode_prior(frames[:, 0], code, mask), network._encode_prior(hidden, code, mask))
    assert same is (prior == "multiplied")


def test_prior_takes_the_probability_not_a_threshold() -> None:
    network = build().eval()
    frames, masks = clip()
    with torch.no_grad():
        code = network.encode(frames[:, 0])
        faint, clear = (network._encode_prior(frames[:, 0], code, masks[:, 0] * share) for share in (0.6, 0.9))
    assert not torch.allclose(faint, clear)


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (240, 240)])
def test_any_size_in_multiples_of_16(size: tuple[int, int]) -> None:
    network = build().eval()
    with torch.no_grad():
        frames, masks = clip(length=3, size=size)
        assert propagate(network, frames, masks, remembered=1).shape == (1, 1, *size)


def test_result_does_not_depend_on_the_batch_and_repeats() -> None:
    network = build().eval()
    frames, masks = clip(batch=3)
    with torch.no_grad():
        together = propagate(network, frames, masks)
        assert torch.equal(together, propagate(network, frames, masks))
        apart = torch.cat([propagate(network, frames[i : i + 1], masks[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, apart, atol=1e-5)


def test_the_same_seed_builds_the_same_network() -> None:
    first, second = build(seed=4).state_dict(), build(seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_logit_is_lesion_minus_background() -> None:
    network = build().eval()
    with torch.no_grad():
        network.decoder.head.weight.zero_()
        network.decoder.head.bias.copy_(torch.tensor([0.5, 2.0]))
        assert torch.allclose(propagate(network, *clip()), torch.tensor(1.5))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"trunk": "vgg"}, "trunk must be one of resnet50, resnet18, mobilenet_v2, not 'vgg'"),
        ({"prior": "added"}, "prior must be one of multiplied, concatenated, not 'added'"),
        ({"mask_encoder": "none"}, "mask_encoder must be one of trunk, fused, not 'none'"),
        ({"pooling": "median"}, "pooling must be one of"),
        ({"coarse_stages": (5,)}, "coarse_stages must be some of"),
    ],
)
def test_unknown_options_are_refused_by_name(option: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**option)
