"""Model bundles from elsewhere are data: nothing of them runs, and what they ask for has bounds."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from UltrasoundLesionSegLib.engine import bundles, weight_storage
from UltrasoundLesionSegLib.engine.bundle_writing import save_weights, write_bundle
from UltrasoundLesionSegLib.engine.bundles import list_bundles, read_bundle
from UltrasoundLesionSegLib.errors import ModelError

BAS = "UltrasoundLesionSegLib.engine.networks.bas.Bas"
TINY: dict[str, Any] = {"channels": [8, 12, 16], "blocks": [1, 1, 1], "token_grid": [2, 2]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound bundle with weights."""
    folder = tmp_path / "foreign"
    write_bundle(folder, {"_target_": BAS, **TINY}, "Foreign", "A small network.")
    save_weights(folder, read_bundle(folder).build_network())
    return folder


def edit(folder: Path, configuration: str, **changes: Any) -> None:
    file = folder / "configs" / f"{configuration}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.fixture
def no_small_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 8 bits hold tensors of any size: those of the small network are small."""
    monkeypatch.setattr(weight_storage, "SMALL", 0)


def vouch_for(folder: Path, content: bytes) -> None:
    """Put weights into a bundle as somebody would who wants them loaded: with the right SHA-256."""
    (folder / "models" / "model.safetensors").write_bytes(content)
    edit(folder, "metadata", weights={"sha256": hashlib.sha256(content).hexdigest()})


@pytest.mark.parametrize("name", ["metadata", "inference"])
@pytest.mark.parametrize("depth", [400, 900, 100_000])
def test_descriptions_nested_without_end_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, depth: int
) -> None:
    nested = "[" * depth + "]" * depth
    (folder / "configs" / f"{name}.json").write_text(
        f'{{"network_def": {{"_target_": "{BAS}", "channels": {nested}}}, "suggestion": {nested}}}'
    )
    with pytest.raises(ModelError):
        read_bundle(folder)
    monkeypatch.setenv(bundles.FOLDERS_VARIABLE, str(folder.parent))
    assert "foreign" not in {bundle.name for bundle in list_bundles()}


@pytest.mark.parametrize(
    "arguments",
    [
        {"channels": [10**9, 10**9, 10**9]},
        {"blocks": [1, 2**31, 1]},
        {"blocks": [1, 65, 1]},
        {"channels": [4096, 4096, 4096]},
        {"token_grid": [4096, 4096]},
        {"channels": list(range(5000))},
        {"dropout": 1e308},
    ],
)
def test_networks_larger_than_any_are_refused_before_they_take_memory(folder: Path, arguments: dict[str, Any]) -> None:
    edit(folder, "inference", network_def={"_target_": BAS, **TINY, **arguments})
    started = time.process_time()
    with pytest.raises(ModelError, match=r"huge numbers|cannot be built"):
        read_bundle(folder).load_network()
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "arguments", [{"channels": [0, 12, 16]}, {"token_grid": []}, {"blocks": {}}, {"dropout": None}]
)
def test_whatever_a_layer_raises_is_a_model_error(folder: Path, arguments: dict[str, Any]) -> None:
    edit(folder, "inference", network_def={"_target_": BAS, **TINY, **arguments})
    with pytest.raises(ModelError):
        read_bundle(folder).load_network()


@pytest.mark.parametrize("size", [2**20, True, 1e9, -16, None])
def test_inputs_larger_than_any_are_refused(folder: Path, size: object) -> None:
    edit(folder, "metadata", suggestion={"input_size": size})
    with pytest.raises(ModelError, match="input size"):
        read_bundle(folder)


@pytest.mark.parametrize(
    "settings",
    [
        {"window_margin": float("inf")},
        {"window_margin": float("nan")},
        {"smallest_side": float("inf")},
        {"memory": {"policy": "bounded", "capacity": 10**9}},
        {"memory": {"policy": []}},
        {"memory": 3},
        {"__class__": 1},
    ],
)
def test_settings_out_of_bounds_are_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    folder = tmp_path / "foreign"
    options = {"input_size": 64, "window_margin": 2.0, "smallest_side": 16} | settings
    write_bundle(folder, {"_target_": f"{BAS}Propagate", **TINY}, "Foreign", "A small network.")
    edit(folder, "metadata", propagation=options)
    with pytest.raises(ModelError, match="propagation settings"):
        read_bundle(folder).tracker_settings()


def test_expressions_elsewhere_in_a_foreign_description_are_never_evaluated(folder: Path, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    expression = f"$__import__('pathlib').Path({str(touched)!r}).touch()"
    component = {"_target_": "pathlib.Path.touch", "self": str(touched)}
    edit(folder, "inference", imports=[expression], initialize=expression, inferer=component, device=expression)
    edit(folder, "metadata", name=expression, description=expression, version=expression)
    bundle = read_bundle(folder)
    bundle.load_network()
    assert bundle.title == expression
    assert not touched.exists()


def loaded(folder: Path) -> nn.Module | None:
    """Return the network, or None when its weights are refused as they should be; any other error is the test's."""
    try:
        return read_bundle(folder).load_network()
    except ModelError:
        return None


def mutated(tensor: Tensor, random: torch.Generator) -> Tensor:
    """Return a tensor of another type, shape or content."""
    types = (torch.int8, torch.uint8, torch.int64, torch.bool, torch.float16, torch.bfloat16, torch.float32)
    numbers = (float("nan"), float("inf"), -float("inf"), 0.0, -1.0, 3e38, 1e-45)
    kind, pick = (int(torch.randint(high, (), generator=random)) for high in (6, 7))
    if kind == 0:
        return tensor.to(types[pick])
    if kind == 1:
        return tensor.flatten()
    if kind == 2:
        return tensor.flatten()[:pick].clone()
    if kind == 3:
        return tensor[None].contiguous()
    if kind == 4:
        return torch.full_like(tensor.float(), numbers[pick])
    return tensor.flatten()[0].clone()


@pytest.mark.parametrize("dtype", [torch.int8, torch.float16])
@pytest.mark.parametrize("seed", range(40))
@pytest.mark.usefixtures("no_small_tensors")
def test_mutated_tensors_load_or_are_a_model_error(folder: Path, dtype: torch.dtype, seed: int) -> None:
    """Tensors lost, renamed and changed: the file has what the network has, or there is no network."""
    bundle = read_bundle(folder)
    save_weights(folder, bundle.build_network(), dtype)
    tensors = load((folder / "models" / "model.safetensors").read_bytes())
    random = torch.Generator().manual_seed(seed)
    names = sorted(tensors)
    for _ in range(1 + seed % 2):
        name, other = (names[int(torch.randint(len(names), (), generator=random))] for _ in range(2))
        tensor = tensors.pop(name, torch.ones(1))
        kind = int(torch.randint(8, (), generator=random))
        if kind == 1:
            tensors[other + "..scale"] = tensor
        elif kind > 1:
            tensors[name] = mutated(tensor, random)
    vouch_for(folder, save(tensors))
    if network := loaded(folder):
        # torch itself forgives that the counters of norms are missing
        unlike = network.state_dict().keys() ^ {name for name in tensors if not name.endswith("..scale")}
        assert all(name.endswith("num_batches_tracked") for name in unlike)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.usefixtures("no_small_tensors")
def test_mutated_bytes_of_8_bit_weights_load_or_are_a_model_error(folder: Path, seed: int) -> None:
    save_weights(folder, read_bundle(folder).build_network(), torch.int8)
    content = bytearray((folder / "models" / "model.safetensors").read_bytes())
    random = torch.Generator().manual_seed(seed)
    end = 8 + int.from_bytes(content[:8], "little")  # of the header, which says what the rest is
    for _ in range(1 + seed % 3):
        place = int(torch.randint(end, (), generator=random))
        content[place] = int(torch.randint(256, (), generator=random))
    vouch_for(folder, bytes(content))
    network = loaded(folder)
    assert network is None or all(one.dtype == torch.float32 for one in network.parameters())


@pytest.mark.parametrize(
    "state",
    [
        {"a": torch.ones(2, 2, dtype=torch.int8)},
        {"a": torch.ones(2, 2, dtype=torch.int8), "a..scale": [1.0, 1.0]},
        {"a": 3, "a..scale": torch.ones(2)},
        {"a": None},
        {1: torch.ones(2, 2, dtype=torch.int8), 2: torch.ones(2)},
        {b"a": torch.ones(2, 2)},
        {"a": torch.ones(2, 2, dtype=torch.int8).to_sparse(), "a..scale": torch.ones(2)},
        {"a": torch.ones(2, 2, dtype=torch.int8), "a..scale": torch.ones(2).to_sparse()},
        {"a": torch.ones(2, 2, dtype=torch.int8), "a..scale": torch.ones(2, device="meta")},
    ],
)
def test_state_dicts_that_are_no_8_bit_weights_are_refused(folder: Path, state: dict[Any, Any]) -> None:
    (folder / "models" / "model.safetensors").unlink()
    file = folder / "models" / "model.pt"
    torch.save(state, file)
    edit(folder, "metadata", weights={"sha256": hashlib.sha256(file.read_bytes()).hexdigest()})
    with pytest.raises(ModelError, match="weights of the model 'foreign'"):
        read_bundle(folder).load_network()
