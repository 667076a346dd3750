"""Weights in 8 bits: how far they are from what was stored, in which form they lie in a file, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from safetensors.torch import load_file
from torch import Tensor, nn

from UltrasoundLesionSegLib.engine import weight_storage
from UltrasoundLesionSegLib.engine.bundle_writing import save_weights, write_bundle
from UltrasoundLesionSegLib.engine.bundles import find_bundle, read_bundle
from UltrasoundLesionSegLib.engine.weight_storage import SCALE_SUFFIX, restored_state, stored_tensors
from UltrasoundLesionSegLib.errors import ModelError

STPFNET: dict[str, Any] = {
    "_target_": "UltrasoundLesionSegLib.engine.networks.stpfnet.STPFNet",
    "trunk": "mobilenet_v2",
}


@pytest.fixture
def no_small_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 8 bits hold tensors of any size, so that tests can use a few numbers."""
    monkeypatch.setattr(weight_storage, "SMALL", 0)


@pytest.fixture
def state(no_small_tensors: None) -> dict[str, Tensor]:
    """Tensors of every kind a network has; channels of very different size, one of zeros, one too small for a scale."""
    torch.manual_seed(0)
    weight = torch.randn(6, 5, 3, 3) * torch.tensor([1e-6, 1e-2, 1.0, 300.0, 0.0, 1.0]).view(-1, 1, 1, 1)
    weight[5] = 2.0**-149  # the smallest number of float32: a 127th of it is zero
    return {
        "conv.weight": weight,
        "linear.weight": torch.randn(4, 7, dtype=torch.float64).T,
        "conv.bias": torch.randn(6),
        "norm.running_var": torch.tensor([1e6, 1e-6]),
        "norm.num_batches_tracked": torch.tensor(2**40),
    }


def test_no_weight_moves_by_more_than_half_a_step(state: dict[str, Tensor]) -> None:
    stored = stored_tensors(state, torch.int8, "m")
    restored = restored_state(stored, "m")
    assert list(restored) == list(state)
    for name in ("conv.weight", "linear.weight"):
        scale = stored[name + SCALE_SUFFIX]
        largest = state[name].abs().flatten(1).amax(1).float()
        assert torch.equal(scale, (largest / 127).where(largest > 1e-40, 1))
        assert stored[name].min() >= -127
        half_step = scale.view(-1, *[1] * (state[name].ndim - 1)) / 2
        # one part in a million for the rounding of float32
        assert bool(((restored[name] - state[name]).abs() <= half_step * (1 + 1e-6)).all())
    assert not restored["conv.weight"][4:].any()
    for name in ("conv.bias", "norm.running_var", "norm.num_batches_tracked"):
        assert torch.equal(restored[name], state[name])


def test_the_file_holds_levels_scales_and_vectors(state: dict[str, Tensor]) -> None:
    stored = stored_tensors(state, torch.int8, "m")
    assert {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in stored.items()} == {
        "conv.weight": (torch.int8, (6, 5, 3, 3)),
        "conv.weight..scale": (torch.float32, (6,)),
        "linear.weight": (torch.int8, (7, 4)),
        "linear.weight..scale": (torch.float32, (7,)),
        "conv.bias": (torch.float32, (6,)),
        "norm.running_var": (torch.float32, (2,)),
        "norm.num_batches_tracked": (torch.int64, ()),
    }
    assert all(tensor.is_contiguous() for tensor in stored.values())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_floats_have_no_scales(state: dict[str, Tensor], dtype: torch.dtype) -> None:
    stored = stored_tensors(state, dtype, "m")
    assert stored.keys() == state.keys()
    restored = restored_state(stored, "m")
    for name, tensor in state.items():
        expected = tensor.to(dtype).float() if tensor.ndim > 1 else tensor
        assert restored[name].dtype == expected.dtype
        assert torch.equal(restored[name], expected)


def test_small_tensors_are_float16(state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_storage, "SMALL", 28)  # numbers in linear.weight
    stored = stored_tensors(state, torch.int8, "m")
    assert (stored["conv.weight"].dtype, stored["linear.weight"].dtype) == (torch.int8, torch.float16)
    assert stored.keys() - state.keys() == {"conv.weight..scale"}
    restored = restored_state(stored, "m")
    assert torch.equal(restored["linear.weight"], state["linear.weight"].half().float())


def test_no_network_can_have_a_tensor_named_like_a_scale(no_small_tensors: None) -> None:
    module = nn.Module()
    with pytest.raises(KeyError):
        module.register_parameter("weight" + SCALE_SUFFIX, None)
    with pytest.raises(KeyError):
        module.register_buffer(SCALE_SUFFIX, None)
    with pytest.raises(KeyError):
        module.add_module("", nn.Identity())
    # a parameter that is called scale keeps its name, beside the scale of its neighbour
    state = {"mix.weight": torch.ones(2, 2), "mix.scale": torch.full((2, 2), 3.0), "mix.weight.scale": torch.ones(1)}
    restored = restored_state(stored_tensors(state, torch.int8, "m"), "m")
    assert restored.keys() == state.keys()
    assert all(torch.allclose(restored[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize(
    "changes",
    [
        {"w..scale": None},
        {"w": None},
        {"w": torch.ones(3, 2)},
        {"w": torch.ones(3, 2, dtype=torch.uint8)},
        {"w": torch.ones(3, dtype=torch.int8)},
        {"w": torch.tensor(1, dtype=torch.int8), "w..scale": torch.tensor(1.0)},
        {"w..scale": torch.ones(2)},
        {"w..scale": torch.ones(4)},
        {"w..scale": torch.ones(0)},
        {"w..scale": torch.tensor(1.0)},
        {"w..scale": torch.ones(3, 1)},
        {"w..scale": torch.ones(3, dtype=torch.float16)},
        {"w..scale": torch.ones(3, dtype=torch.int8)},
        {"w..scale": torch.tensor([1.0, float("nan"), 1.0])},
        {"w..scale": torch.tensor([1.0, float("inf"), 1.0])},
        {"w..scale": torch.tensor([1.0, 3e38, 1.0])},  # finite, its 127-fold is not
        {"w..scale": torch.tensor([1.0, 0.0, 1.0])},
        {"w..scale": torch.tensor([1.0, -1.0, 1.0])},
        {"w..scale..scale": torch.ones(3)},
        {"..scale": torch.ones(3)},
        {"b": torch.ones(3, dtype=torch.int8)},
        {"b..scale": torch.ones(3)},
    ],
)
def test_what_does_not_belong_together_is_refused(changes: dict[str, Tensor | None]) -> None:
    sound = {"w": torch.ones(3, 2, dtype=torch.int8), "w..scale": torch.ones(3), "b": torch.ones(3)}
    assert restored_state(sound, "m").keys() == {"w", "b"}
    tensors = {name: tensor for name, tensor in (sound | changes).items() if tensor is not None}
    with pytest.raises(ModelError, match="the 8-bit weights of the model 'm' and their scales do not belong together"):
        restored_state(tensors, "m")


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_not_stored(tmp_path: Path, wrong: float) -> None:
    folder = tmp_path / "tiny"
    write_bundle(folder, STPFNET, "Tiny", "A network.")
    network = read_bundle(folder).build_network()
    with torch.no_grad():
        max(network.parameters(), key=torch.numel).view(-1)[3] = wrong
    with pytest.raises(ModelError, match="the weights of the model 'tiny' are not finite"):
        save_weights(folder, network, torch.int8)
    assert read_bundle(folder).weights is None


def test_a_shipped_network_computes_the_same_in_8_bits(tmp_path: Path) -> None:
    shipped = find_bundle("stpfnet_light")
    network = shipped.load_network()
    folder = tmp_path / "light_8"
    write_bundle(folder, dict(shipped.network_def), "Light, 8 bits", "The same weights in 8 bits.")
    save_weights(folder, network, torch.int8)
    sizes = [bundle.weights.stat().st_size for bundle in (read_bundle(folder), shipped) if bundle.weights]
    assert sizes[0] < 0.6 * sizes[1]  # which is in float16
    loaded = read_bundle(folder).load_network()
    assert not loaded.training
    for name, tensor in network.state_dict().items():
        assert loaded.state_dict()[name].dtype == tensor.dtype
        assert loaded.state_dict()[name].shape == tensor.shape
    torch.manual_seed(0)
    frames = torch.nn.functional.interpolate(torch.rand(2, 7, 12, 12), size=(96, 96), mode="bilinear")
    with torch.inference_mode():
        exact, rounded = network(frames), loaded(frames)
    assert exact.std() > 1  # logits that say something
    difference = (exact.sigmoid() - rounded.sigmoid()).abs()
    assert difference.max() < 0.02  # of the lesion's probability, in the worst pixel; measured 0.0065
    assert difference.mean() < 0.002  # measured 0.0005


def test_monai_builds_the_network_and_one_line_gives_its_weights(tmp_path: Path) -> None:
    """What Docs/models.md tells those who load the weights without this package's reader."""
    folder = tmp_path / "light_8"
    write_bundle(folder, STPFNET, "Light", "A network.")
    save_weights(folder, read_bundle(folder).build_network(), torch.int8)
    parser = ConfigParser()
    parser.read_config(folder / "configs" / "inference.json")
    network = parser.get_parsed_content("network_def")
    file = load_file(folder / "models" / "model.safetensors")
    state = {
        n: t * file[n + "..scale"].view(-1, *[1] * (t.ndim - 1)) if n + "..scale" in file else t
        for n, t in file.items()
        if not n.endswith("..scale")
    }
    network.load_state_dict(state)
    expected = read_bundle(folder).load_network().state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in network.state_dict().items())
