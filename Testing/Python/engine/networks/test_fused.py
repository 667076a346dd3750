"""The form networks are run in computes what the trained form does."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from UltrasoundLesionSegLib.engine.network_api import MemoryRead, PreviousFrame
from UltrasoundLesionSegLib.engine.networks import fused
from UltrasoundLesionSegLib.engine.networks.bas import BLOCKS_L, BLOCKS_S, Bas, BasClick, BasPropagate
from UltrasoundLesionSegLib.engine.networks.stpfnet import STPFNet
from UltrasoundLesionSegLib.engine.networks.trunks import ResNet

SIZES = [(1, 240, 240), (2, 64, 96), (3, 16, 32)]


def with_statistics(network: fused.AnyNetwork) -> fused.AnyNetwork:
    """Give every norm statistics and weights as training would: far from 0 and 1, positive and negative."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            count = module.num_features
            module.running_mean = torch.randn(count, generator=generator)
            module.running_var = 0.3 + 2 * torch.rand(count, generator=generator)
            module.weight.data = 1 + 0.3 * torch.randn(count, generator=generator)
            module.bias.data = 0.5 * torch.randn(count, generator=generator)
        elif isinstance(module, nn.GroupNorm):
            module.weight.data = 1 + 0.3 * torch.randn(module.num_channels, generator=generator)
            module.bias.data = 0.5 * torch.randn(module.num_channels, generator=generator)
    for name, weight in network.named_parameters():
        if name == "trunk.position":
            weight.data = torch.randn(weight.shape, generator=generator)
    return network.eval()


def assert_same(got: Tensor, wanted: Tensor) -> None:
    """Equal to 1e-5 of the largest value: the logits of untrained networks are of any size."""
    assert got.shape == wanted.shape
    scale = max(1.0, float(wanted.abs().max()))
    assert float((got - wanted).abs().max()) / scale < 1e-5


@pytest.fixture(params=["onednn", "plain"], autouse=True)
def operations(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with oneDNN's fused convolutions where there are some, and as other processors do."""
    if request.param == "plain":
        monkeypatch.setattr(fused, "has_onednn", lambda: False)
    elif not fused.has_onednn():
        pytest.skip("this PyTorch has no oneDNN")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("blocks", [BLOCKS_S, BLOCKS_L])
@torch.inference_mode()
def test_bas_gives_the_same_logits(blocks: tuple[int, int, int], size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    plain = with_statistics(Bas(blocks=blocks))
    frames = torch.rand(size[0], 3, *size[1:])
    quick = fused.fuse(copy.deepcopy(plain))
    assert_same(quick(frames), plain(frames))
    assert_same(quick(frames.contiguous(memory_format=torch.channels_last)), plain(frames))


@pytest.mark.parametrize(
    "options", [{"legacy_token_layout": True}, {"output_norm": False}, {"temporal_share": 0.5}, {"token_grid": (4, 6)}]
)
@torch.inference_mode()
def test_options_of_bas_keep_working(options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    plain = with_statistics(Bas(channels=(8, 16, 24), **options))
    quick = fused.fuse(copy.deepcopy(plain))
    before, now = torch.rand(2, 1, 3, 64, 96)
    assert_same(quick.step(now, quick.step(before, None)[1])[0], plain.step(now, plain.step(before, None)[1])[0])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("blocks", [BLOCKS_S, BLOCKS_L])
@pytest.mark.parametrize("kind", [BasPropagate, BasClick])
@torch.inference_mode()
def test_prompted_bas_gives_the_same_logits(
    kind: type[BasPropagate] | type[BasClick], blocks: tuple[int, int, int], size: tuple[int, int, int]
) -> None:
    torch.manual_seed(2)
    plain = with_statistics(kind(blocks=blocks))
    stacked = torch.rand(size[0], 7, *size[1:])
    assert_same(fused.fuse(copy.deepcopy(plain))(stacked), plain(stacked))


STPF = [
    *({"trunk": trunk} for trunk in ("mobilenet_v2", "resnet18", "resnet50")),
    *({"trunk": trunk, "mask_encoder": "trunk", "prior": "concatenated"} for trunk in ("mobilenet_v2", "resnet18")),
    {"trunk": "mobilenet_v2", "prior": "concatenated"},
    {"trunk": "mobilenet_v2", "spatial_fusion": False, "multi_scale_fusion": False},
    {"trunk": "resnet18", "coarse_stages": (2, 3, 4)},
]


@pytest.mark.parametrize("options", STPF, ids=str)
@torch.inference_mode()
def test_stpfnet_gives_the_same_codes_memories_and_logits(options: dict[str, Any]) -> None:
    torch.manual_seed(3)
    plain = with_statistics(STPFNet(**options))
    quick = fused.fuse(copy.deepcopy(plain))
    before, now = torch.rand(2, 1, 3, 64, 96)
    masks = torch.rand(1, 1, 64, 96)
    results = []
    for network in (plain, quick):
        code = network.encode(before)
        item = network.memorize(before, code, masks)
        memory = MemoryRead(item.key[:, None], item.value[:, None], (True,), (1,))
        logits = network.segment(now, network.encode(now), PreviousFrame(before, code, masks), memory)
        results.append((code.key, *code.features, item.key, item.value, logits))
    for wanted, got in zip(*results, strict=True):
        assert_same(got, wanted)


@torch.inference_mode()
def test_results_do_not_depend_on_what_was_computed_before() -> None:
    quick = fused.fuse(with_statistics(Bas(channels=(8, 16, 24))))
    alone = copy.deepcopy(quick)
    frames = torch.rand(2, 3, 64, 96)
    quick(torch.rand(1, 3, 128, 32))
    assert torch.equal(quick(frames), alone(frames))


@torch.inference_mode()
def test_fusing_leaves_no_norm_that_could_be_folded() -> None:
    for network in (Bas(), BasPropagate(), STPFNet("mobilenet_v2"), STPFNet("resnet50")):
        masked_stems = 1 if isinstance(network, STPFNet) and isinstance(network.memory_encoder, ResNet) else 0
        left = [module for module in fused.fuse(network).modules() if isinstance(module, nn.BatchNorm2d)]
        assert len(left) == masked_stems
