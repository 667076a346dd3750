"""BaS against a plain reference of its equations, its published sizes, and the propagating variant."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from UltrasoundLesionSegLib.engine.network_api import MemoryRead, PreviousFrame
from UltrasoundLesionSegLib.engine.networks.bas import BLOCKS_L, BLOCKS_S, Bas, BasClick, BasPropagate
from UltrasoundLesionSegLib.engine.networks.bas_checkpoint import bas_from_public_state
from UltrasoundLesionSegLib.errors import ModelError

SMALL = (8, 12, 16)


def public_state(channels: tuple[int, int, int], blocks: tuple[int, int, int], tokens: int) -> dict[str, Tensor]:
    """Random weights under the public repository's names."""
    generator = torch.Generator().manual_seed(3)
    state: dict[str, Tensor] = {}

    def normal(name: str, *shape: int) -> None:
        state[name] = torch.randn(shape, generator=generator) * 0.3

    def norm(name: str, width: int) -> None:
        state[f"{name}.weight"] = torch.rand(width, generator=generator) + 0.5
        state[f"{name}.bias"] = torch.randn(width, generator=generator) * 0.1

    def batch_norm(name: str, width: int) -> None:
        norm(name, width)
        state[f"{name}.running_mean"] = torch.randn(width, generator=generator) * 0.1
        state[f"{name}.running_var"] = torch.rand(width, generator=generator) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def block(name: str, width: int) -> None:
        normal(f"{name}.cpe1.conditional_positional_encoding.weight", width, 1, 3, 3)
        batch_norm(f"{name}.LocalAgg.bn", width)
        normal(f"{name}.LocalAgg.pointwise_conv_0.weight", width, width, 1, 1)
        normal(f"{name}.LocalAgg.depthwise_conv.weight", width, 1, 3, 3)
        batch_norm(f"{name}.LocalAgg.pointwise_prenorm_1", width)
        normal(f"{name}.LocalAgg.pointwise_conv_1.weight", width, width, 1, 1)
        normal(f"{name}.mlp2.mlp_layer_0.weight", 4 * width, width, 1, 1)
        normal(f"{name}.mlp2.mlp_layer_1.weight", width, 4 * width, 1, 1)

    one, two, three = channels
    for name, inside, outside, factor in (("conv1", 3, one, 4), ("conv2", one, two, 2), ("conv3", two, three, 2)):
        normal(f"Encoder.{name}.downsample.weight", outside, inside, factor, factor)
        normal(f"Encoder.{name}.downsample.bias", outside)
        norm(f"Encoder.{name}.norm", outside)
    for name, inside, outside, factor in (("conv3", three, two, 2), ("conv2", two, one, 2), ("conv1", one, 1, 4)):
        normal(f"Decoder.{name}.downsample.weight", inside, outside, factor, factor)
        normal(f"Decoder.{name}.downsample.bias", outside)
        norm(f"Decoder.{name}.norm", outside)
    normal("Encoder.position_embeddings", 1, tokens, three)
    stages = (("Encoder.block2", two, blocks[1]), ("Encoder.block3", three, blocks[2]))
    for stage, width, count in (*stages, ("Decoder.block1", one, blocks[0]), ("Decoder.block2", two, blocks[1])):
        for number in range(count):
            block(f"{stage}.{number}", width)
    return state


def reference(state: dict[str, Tensor], x: Tensor, blocks: tuple[int, int, int], legacy: bool) -> Tensor:
    """BaS written out from the equations, reading the public names."""

    def whole_norm(name: str, x: Tensor) -> Tensor:
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        variance = x.var(dim=(1, 2, 3), keepdim=True, unbiased=False)
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return (x - mean) / torch.sqrt(variance + 1e-5) * weight[:, None, None] + bias[:, None, None]

    def batch_norm(name: str, x: Tensor) -> Tensor:
        mean, variance, weight, bias = (
            state[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(variance + 1e-5) * weight + bias

    def patches(name: str, x: Tensor, factor: int) -> Tensor:
        weight = state[f"{name}.downsample.weight"]
        cut = x.unflatten(2, (-1, factor)).unflatten(4, (-1, factor))  # B, C, rows, factor, columns, factor
        y = torch.einsum("bcrpsq,ocpq->bors", cut, weight) + state[f"{name}.downsample.bias"][:, None, None]
        return whole_norm(f"{name}.norm", y)

    def unpatch(name: str, x: Tensor) -> Tensor:
        y = torch.einsum("bcrs,copq->borpsq", x, state[f"{name}.downsample.weight"]).flatten(4).flatten(2, 3)
        return whole_norm(f"{name}.norm", y + state[f"{name}.downsample.bias"][:, None, None])

    def pointwise(name: str, x: Tensor) -> Tensor:
        return torch.einsum("bchw,oc->bohw", x, state[name][:, :, 0, 0])

    def depthwise(name: str, x: Tensor) -> Tensor:
        padded = functional.pad(x, (1, 1, 1, 1))
        rows, columns = x.shape[2:]
        weight = state[name][:, 0]
        parts = [
            padded[:, :, i : i + rows, j : j + columns] * weight[:, i, j, None, None]
            for i in range(3)
            for j in range(3)
        ]
        return torch.stack(parts).sum(dim=0)

    def block(name: str, x: Tensor, shallow: bool) -> Tensor:
        x = x + depthwise(f"{name}.cpe1.conditional_positional_encoding.weight", x)
        y = pointwise(f"{name}.LocalAgg.pointwise_conv_0.weight", batch_norm(f"{name}.LocalAgg.bn", x))
        y = batch_norm(f"{name}.LocalAgg.pointwise_prenorm_1", depthwise(f"{name}.LocalAgg.depthwise_conv.weight", y))
        x = x + pointwise(f"{name}.LocalAgg.pointwise_conv_1.weight", y)
        y = pointwise(f"{name}.mlp2.mlp_layer_0.weight", x)
        y = 0.5 * y * (1 + torch.erf(y / 2**0.5)) if shallow else y * torch.sigmoid(y)
        return x + pointwise(f"{name}.mlp2.mlp_layer_1.weight", y)

    def stage(name: str, x: Tensor, count: int, shallow: bool) -> Tensor:
        for number in range(count):
            x = block(f"{name}.{number}", x, shallow)
        return x

    skip1 = patches("Encoder.conv1", x, 4)
    skip2 = stage("Encoder.block2", patches("Encoder.conv2", skip1, 2), blocks[1], True)
    deep = stage("Encoder.block3", patches("Encoder.conv3", skip2, 2), blocks[2], False)
    size = deep.shape
    tokens = deep.flatten(2).transpose(1, 2) + state["Encoder.position_embeddings"]
    deep = tokens.reshape(size) if legacy else tokens.transpose(1, 2).reshape(size)
    x = stage("Decoder.block2", unpatch("Decoder.conv3", deep) + skip2, blocks[1], False)
    x = stage("Decoder.block1", unpatch("Decoder.conv2", x) + skip1, blocks[0], True)
    return unpatch("Decoder.conv1", x)


@pytest.mark.parametrize(("blocks", "parameters"), [(BLOCKS_S, 1_189_971), (BLOCKS_L, 1_001_427)])
def test_published_parameter_counts(blocks: tuple[int, int, int], parameters: int) -> None:
    assert sum(one.numel() for one in Bas(blocks=blocks).parameters()) == parameters


@pytest.mark.parametrize("blocks", [(1, 2, 3), (2, 1, 1)])
@pytest.mark.parametrize("legacy", [True, False])
def test_equals_the_equations_through_the_public_names(blocks: tuple[int, int, int], legacy: bool) -> None:
    state = public_state(SMALL, blocks, 6)
    network = bas_from_public_state({f"module.{name}": values for name, values in state.items()}, token_grid=(2, 3))
    assert network.trunk.legacy_token_layout
    network.trunk.legacy_token_layout = legacy
    x = torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        difference = (network(x) - reference(state, x, blocks, legacy)).abs().max()
    assert difference < 1e-5


def test_the_two_token_layouts_differ() -> None:
    state = public_state(SMALL, (1, 1, 1), 4)
    x = torch.rand(1, 3, 32, 32)
    assert (reference(state, x, (1, 1, 1), True) - reference(state, x, (1, 1, 1), False)).abs().max() > 0.01


def test_checkpoint_of_another_network_is_refused() -> None:
    state = public_state(SMALL, (1, 1, 1), 4)
    with pytest.raises(ModelError, match="BaS"):
        bas_from_public_state({"conv1.weight": torch.zeros(3)})
    with pytest.raises(ModelError, match="BaS"):
        bas_from_public_state(state | {"extra.weight": torch.zeros(3)}, (2, 2))
    with pytest.raises(ModelError, match="BaS"):
        bas_from_public_state(state, (3, 3))


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (240, 240)])
def test_any_size_in_multiples_of_16(size: tuple[int, int]) -> None:
    network = Bas(SMALL, (1, 1, 1)).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, *size)).shape == (1, 1, *size)


def test_other_sizes_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="multiples of 16, not 40 x 32"):
        Bas(SMALL, (1, 1, 1))(torch.rand(1, 3, 40, 32))


def test_position_embedding_interpolates_to_itself_scaled() -> None:
    network = Bas(SMALL, (1, 1, 1), token_grid=(4, 4)).eval()
    ramp = torch.arange(4.0)[None, :].expand(4, 4)
    with torch.no_grad():
        network.trunk.position.copy_(ramp)
        placed = network.trunk._place(torch.zeros(1, 16, 8, 8))
    assert torch.allclose(placed[0, 0, :, 2:6], torch.tensor([0.75, 1.25, 1.75, 2.25]))


def test_prefetch_shifts_channels_in_time_and_off_is_the_published_network() -> None:
    torch.manual_seed(0)
    still = Bas(SMALL, (1, 1, 1)).eval()
    moving = Bas(SMALL, (1, 1, 1), temporal_share=0.5).eval()
    moving.load_state_dict(still.state_dict())
    first, second = torch.rand(2, 1, 3, 32, 32)
    with torch.no_grad():
        logits, stem = moving.step(first, None)
        assert torch.equal(logits, still(first))
        mixed = moving.trunk.prefetch(moving.trunk.stem(second), stem)
        assert torch.equal(mixed[:, :4], stem[:, :4])
        assert torch.equal(mixed[:, 4:], moving.trunk.stem(second)[:, 4:])
        assert not torch.allclose(moving.step(second, stem)[0], still(second))
        assert torch.equal(moving.step(second, second_stem := moving.trunk.stem(second))[0], still(second))
        assert torch.equal(still.step(second, stem)[0], still(second))
    assert second_stem.shape == (1, 8, 8, 8)


def propagate_once(network: BasPropagate, frames: Tensor, seeds: Tensor, values_shift: float = 0.0) -> Tensor:
    """Segment ``frames[2]`` from previous ``frames[1]`` and two remembered frames, the second an anchor."""
    present, before, past, anchor = (one[None] for one in frames)
    items = [network.memorize(one, network.encode(one), seeds[None]) for one in (past, anchor)]
    values = torch.stack([item.value for item in items], 1)
    values[:, 0] += values_shift
    memory = MemoryRead(torch.stack([item.key for item in items], 1), values, (False, True), (1, 9))
    previous = PreviousFrame(before, network.encode(before), seeds[None])
    return network.segment(present, network.encode(present), previous, memory)


def test_propagation_reads_the_nearest_anchor_and_the_previous_frame() -> None:
    torch.manual_seed(0)
    network = BasPropagate(SMALL, (1, 1, 1)).eval()
    frames, mask = torch.rand(4, 3, 32, 32), (torch.rand(1, 32, 32) > 0.5).float()
    with torch.no_grad():
        plain = propagate_once(network, frames, mask)
        assert plain.shape == (1, 1, 32, 32)
        assert torch.equal(plain, propagate_once(network, frames, mask, values_shift=0.3))
        for changed in (0, 1, 3):
            other = frames.clone()
            other[changed] = 1 - other[changed]
            assert not torch.allclose(plain, propagate_once(network, other, mask))
        assert not torch.allclose(plain, propagate_once(network, frames, 1 - mask))


def test_propagation_adds_only_the_prompt_to_the_published_network() -> None:
    published = sum(one.numel() for one in Bas().parameters())
    prompted = sum(one.numel() for one in BasPropagate().parameters())
    assert prompted == published + 48 * 4 * 16 - 2  # four channels in the stem; no norm on the output


def test_propagating_network_can_answer_empty() -> None:
    network = BasPropagate(SMALL, (1, 1, 1)).eval()
    with torch.no_grad():
        network.trunk.up1.conv.weight.zero_()
        network.trunk.up1.conv.bias.fill_(-4.0)
        logits = propagate_once(network, torch.rand(4, 3, 32, 32), torch.ones(1, 32, 32))
    assert (logits < 0).all()


def test_every_channel_of_a_click_network_s_prompt_counts() -> None:
    torch.manual_seed(0)
    network = BasClick(SMALL, (1, 1, 1)).eval()
    stacked = torch.rand(1, 7, 32, 32)
    with torch.no_grad():
        plain = network(stacked)
        assert plain.shape == (1, 1, 32, 32)
        for channel in range(7):
            other = stacked.clone()
            other[:, channel] = 1 - other[:, channel]
            assert not torch.allclose(plain, network(other))


def test_gradients_reach_every_parameter() -> None:
    for network in (Bas(SMALL, (1, 1, 1), temporal_share=0.25), BasPropagate(SMALL, (1, 1, 1)), BasClick(SMALL)):
        if isinstance(network, Bas | BasClick):
            logits = network(torch.rand(2, 3 if isinstance(network, Bas) else 7, 32, 32))
        else:
            logits = propagate_once(network, torch.rand(4, 3, 32, 32), torch.ones(1, 32, 32))
        (logits**3).sum().backward()
        missing = [name for name, one in network.named_parameters() if one.grad is None or not one.grad.any()]
        assert missing == []


def test_result_does_not_depend_on_the_batch_and_repeats() -> None:
    torch.manual_seed(0)
    network = Bas(SMALL, (1, 1, 1)).eval()
    frames = torch.rand(3, 3, 48, 32)
    with torch.no_grad():
        together = network(frames)
        assert torch.equal(together, network(frames))
        apart = torch.cat([network(one[None]) for one in frames])
    assert torch.allclose(together, apart, atol=1e-5)
