"""Bundles: found by name, read as data, refused when damaged or not ours, and sound to MONAI's own tools."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, verify_metadata, verify_net_in_out

from UltrasoundLesionSegLib.engine import bundles
from UltrasoundLesionSegLib.engine.bundle_writing import DEFAULT_PROPAGATION, SCHEMA, save_weights, write_bundle
from UltrasoundLesionSegLib.engine.bundles import Bundle, find_bundle, list_bundles, models_folder, read_bundle
from UltrasoundLesionSegLib.engine.memory import MemoryPolicy, MemorySettings
from UltrasoundLesionSegLib.engine.network_api import (
    ClickNetwork,
    MemoryRead,
    PreviousFrame,
    PropagationNetwork,
    SuggestionNetwork,
)
from UltrasoundLesionSegLib.engine.networks.bas import Bas, BasPropagate
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.engine.tracker import TrackerSettings
from UltrasoundLesionSegLib.errors import ModelError
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine

NETWORKS = "UltrasoundLesionSegLib.engine.networks"
TINY = {"channels": [8, 12, 16], "blocks": [1, 1, 1], "token_grid": [2, 2]}
SHIPPED = {
    "bas_l": (bundles.SUGGEST, 1_001_427),
    "bas_l_propagate": (bundles.PROPAGATE, 1_004_497),
    "bas_s": (bundles.SUGGEST, 1_189_971),
    "bas_s_click": (bundles.CLICK, 1_193_041),
    "bas_s_propagate": (bundles.PROPAGATE, 1_193_041),
    "stpfnet_light": (bundles.PROPAGATE, 3_890_386),
}
# What meta_schema_20240725.json, the newest schema of MONAI's bundles, asks for, in our own words: the machine that
# tests need not reach the network, and verify_metadata takes a schema that is already where it would download it to.
TENSOR = {
    "type": "object",
    "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"],
    "properties": {
        "type": {"type": "string"},
        "format": {"type": "string"},
        "num_channels": {"type": "integer"},
        "spatial_shape": {"type": "array", "items": {"type": ["string", "integer"]}},
        "dtype": {"type": "string"},
        "value_range": {"type": "array", "items": {"type": "number"}},
        "is_patch_data": {"type": "boolean"},
        "channel_def": {"type": "object"},
    },
}
KINDS = {
    bundles.PROPAGATE: PropagationNetwork,
    bundles.SUGGEST: SuggestionNetwork,
    bundles.CLICK: ClickNetwork,
}
TEXTS = ("schema", "version", "monai_version", "pytorch_version", "numpy_version", "task", "description", "authors")
OPTIONAL_TEXTS = ("data_source", "data_type", "intended_use", "image_classes", "label_classes", "pred_classes")
METADATA_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2019-09/schema",
    "type": "object",
    "required": [*TEXTS, "copyright", "required_packages_version", "network_data_format"],
    "properties": {
        **{name: {"type": "string"} for name in (*TEXTS, *OPTIONAL_TEXTS, "copyright")},
        **{name: {"type": "object"} for name in ("changelog", "required_packages_version", "eval_metrics")},
        "references": {"type": "array", "items": {"type": "string"}},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {name: {"type": "object", "additionalProperties": TENSOR} for name in ("inputs", "outputs")},
        },
    },
}


def edit(folder: Path, name: str, **changes: Any) -> None:
    file = folder / "configs" / f"{name}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of a person's own models, named in the environment."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv(bundles.FOLDERS_VARIABLE, os.pathsep.join([str(tmp_path / "absent"), str(folder)]))
    return folder


@pytest.fixture
def tiny(models: Path) -> Path:
    """A sound bundle of a small BaS without weights."""
    write_bundle(models / "tiny", {"_target_": f"{NETWORKS}.bas.Bas", **TINY}, "Tiny", "A small network.")
    return models / "tiny"


@pytest.fixture
def tiny_click(models: Path) -> Path:
    """A sound bundle of a small BasClick without weights."""
    write_bundle(models / "tiny_click", {"_target_": f"{NETWORKS}.bas.BasClick", **TINY}, "Tiny", "A small network.")
    return models / "tiny_click"


@pytest.fixture
def tiny_propagate(models: Path) -> Path:
    """A sound bundle of a small BasPropagate with weights."""
    folder = models / "tiny_propagate"
    write_bundle(folder, {"_target_": f"{NETWORKS}.bas.BasPropagate", **TINY}, "Tiny", "A small network.")
    save_weights(folder, read_bundle(folder).build_network())
    return folder


def test_shipped_bundles_describe_their_networks() -> None:
    described = {folder.name for folder in models_folder().iterdir() if (folder / "configs").is_dir()}
    assert set(SHIPPED) <= described
    for name in sorted(described):
        bundle = find_bundle(name)
        network = bundle.build_network()
        assert isinstance(network, KINDS[bundle.role])
        assert bundle.input_size % 16 == 0
        # BaS has 15 x 15 position embeddings; the one that answers clicks was trained on smaller windows
        assert bundle.input_size == 240 or "bas" not in name or bundle.role == bundles.CLICK
        if name in SHIPPED:
            assert (bundle.role, sum(one.numel() for one in network.parameters())) == SHIPPED[name]
        assert (bundle.folder / "LICENSE").is_file()
        assert bundle.title in (bundle.folder / "docs" / "README.md").read_text(encoding="utf-8")


def test_a_click_model_is_no_propagation_and_has_its_own_options(tiny_click: Path) -> None:
    bundle = read_bundle(tiny_click)
    assert (bundle.role, bundle.input_size, bundle.propagation) == (bundles.CLICK, 160, {})
    with pytest.raises(ModelError, match="is made to click, not to propagate"):
        bundle.tracker_settings()
    metadata = json.loads((tiny_click / "configs" / "metadata.json").read_text())
    edit(tiny_click, "metadata", suggestion=metadata["clicking"], clicking={})
    with pytest.raises(ModelError, match="metadata of the model 'tiny_click'"):
        read_bundle(tiny_click)


def test_shipped_weights_load() -> None:
    for bundle in list_bundles():
        network = bundle.load_network()
        assert not network.training
        assert all(one.dtype == torch.float32 and bool(one.isfinite().all()) for one in network.parameters())


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.startswith("stpfnet")])
def test_the_memory_of_every_stpfnet_bundle_is_alive(name: str) -> None:
    """A memory encoder can die in training: a model with one follows the previous frame alone."""
    simulated = simulate_cine(SimulationSettings(seed=4, frames=8, height=200, width=200))
    frames = [torch.from_numpy(np.stack([simulated.cine.frames[at]] * 3)[None]).float() / 255 for at in (0, 6, 7)]
    truths = [torch.from_numpy(simulated.truth[at])[None].float() for at in (0, 6, 7)]
    anchor, before, now = (torch.nn.functional.interpolate(frame, (160, 160), mode="bilinear") for frame in frames)
    drawn, at_before, truth = (torch.nn.functional.interpolate(mask, (160, 160)) for mask in truths)
    network = find_bundle(name).load_network("cpu")
    assert isinstance(network, PropagationNetwork)

    def overlap(remembered: torch.Tensor, believed: torch.Tensor) -> float:
        codes = [network.encode(frame) for frame in (anchor, before, now)]
        item = network.memorize(anchor, codes[0], remembered)
        memory = MemoryRead(item.key[:, None], item.value[:, None], (True,), (7,))
        found = network.segment(now, codes[2], PreviousFrame(before, codes[1], believed), memory) > 0
        return float(2 * (found * truth).sum() / (found.sum() + truth.sum()))

    with torch.inference_mode():
        assert overlap(drawn, at_before) > overlap(torch.zeros_like(drawn), at_before) + 0.05
        # where the previous mask is wrong the memory puts it right
        wrong = torch.roll(at_before, 24, dims=3)
        assert overlap(drawn, wrong) > overlap(torch.zeros_like(drawn), wrong) + 0.05


def test_saved_weights_come_back_to_half_precision(tiny: Path) -> None:
    network = Bas((8, 12, 16), (1, 1, 1), token_grid=(2, 2)).train()
    for _ in range(3):
        network(torch.rand(2, 3, 32, 32) * 900)  # running variances beyond the range of float16
    digest = save_weights(tiny, network, further={"version": "0.2.0", "eval_metrics": {"dice": 0.5}})
    bundle = find_bundle("tiny")
    assert bundle.version == "0.2.0"
    assert bundle.sha256 == digest == hashlib.sha256((tiny / "models" / "model.safetensors").read_bytes()).hexdigest()
    loaded = bundle.load_network("cpu")
    assert not loaded.training
    for name, saved in network.state_dict().items():
        back = loaded.state_dict()[name]
        assert back.dtype == saved.dtype
        assert torch.equal(back, saved.half().float() if saved.ndim > 1 else saved)


def test_a_state_dict_is_as_good_as_safetensors(tiny: Path) -> None:
    network = read_bundle(tiny).build_network()
    (tiny / "models").mkdir()
    torch.save(network.state_dict(), tiny / "models" / "model.pt")
    digest = hashlib.sha256((tiny / "models" / "model.pt").read_bytes()).hexdigest()
    edit(tiny, "metadata", weights={"sha256": digest.upper()})
    loaded = find_bundle("tiny").load_network().state_dict()
    assert all(torch.equal(loaded[name], saved) for name, saved in network.state_dict().items())


class Payload:
    """Makes a folder when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize(
    "content", [b"", b"no weights", pickle.dumps(Payload(), protocol=2), "zip", "object", "number"]
)
def test_weights_that_are_no_tensors_are_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | str
) -> None:
    monkeypatch.chdir(tmp_path)
    if isinstance(content, str):
        buffer = io.BytesIO()
        torch.save({"zip": {"a": Payload()}, "object": {"a": object()}, "number": 3}[content], buffer)
        content = buffer.getvalue()
    (tiny / "models").mkdir()
    for name in bundles.WEIGHT_FILES:
        for file in (tiny / "models").iterdir():
            file.unlink()
        (tiny / "models" / name).write_bytes(content)
        edit(tiny, "metadata", weights={"sha256": hashlib.sha256(content).hexdigest()})
        with pytest.raises(ModelError, match=r"the weights of the model 'tiny' (are no plain tensors|do not fit)"):
            find_bundle("tiny").load_network()
    assert not (tmp_path / "unpickled").exists()


def test_damaged_missing_and_foreign_weights_are_refused(tiny_propagate: Path, tiny: Path) -> None:
    with pytest.raises(ModelError, match="the model 'tiny' has no weights"):
        find_bundle("tiny").load_network()
    file = tiny_propagate / "models" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError, match="damaged or not its own"):
        find_bundle("tiny_propagate").load_network()
    save_weights(tiny, BasPropagate((8, 12, 16), (1, 1, 1), token_grid=(2, 2)))
    with pytest.raises(ModelError, match="do not fit the network it describes"):
        find_bundle("tiny").load_network()


@pytest.mark.parametrize(
    "network_def",
    [
        None,
        "@network",
        {},
        {"_target_": "os.system", "command": "true"},
        {"_target_": f"{NETWORKS}.bas.BasTrunk"},
        {"_target_": ["a"]},
        {"_target_": f"{NETWORKS}.bas.Bas", "dropout": "$__import__('os').getpid()"},
        {"_target_": f"{NETWORKS}.bas.Bas", "channels": [8, "@width", 16]},
        {"_target_": f"{NETWORKS}.bas.Bas", "channels": {"_target_": "builtins.eval"}},
        {"_target_": f"{NETWORKS}.bas.Bas", "_mode_": "debug"},
    ],
)
def test_foreign_networks_and_expressions_are_refused(tiny: Path, network_def: object) -> None:
    edit(tiny, "inference", network_def=network_def)
    with pytest.raises(ModelError, match=r"the model 'tiny' (does not name one of|has expressions)"):
        read_bundle(tiny)


@pytest.mark.parametrize("arguments", [{"nonsense": 1}, {"channels": [1, 2]}, {"temporal_share": 7}, {"channels": 3}])
def test_arguments_that_do_not_fit_are_refused(tiny: Path, arguments: dict[str, Any]) -> None:
    edit(tiny, "inference", network_def={"_target_": f"{NETWORKS}.bas.Bas", **arguments})
    with pytest.raises(ModelError, match="the model 'tiny' describes a network that cannot be built"):
        read_bundle(tiny).build_network()


@pytest.mark.parametrize(
    "changes",
    [
        {"suggestion": None},
        {"suggestion": {"input_size": 250}},
        {"suggestion": {"input_size": "240"}},
        {"suggestion": {"input_size": 0}},
        {"weights": None},
        {"weights": {}},
    ],
)
def test_metadata_that_says_too_little_is_refused(tiny: Path, changes: dict[str, Any]) -> None:
    edit(tiny, "metadata", **changes)
    with pytest.raises(ModelError, match="of the model 'tiny' is missing or not valid"):
        read_bundle(tiny)


@pytest.mark.parametrize("content", ["", "[1]", "{", "\x00"])
def test_a_broken_bundle_hides_no_other(
    tiny: Path, tiny_propagate: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tiny / "configs" / "metadata.json").write_text(content)
    listed = {bundle.name for bundle in list_bundles()}
    assert "tiny_propagate" in listed
    assert "tiny" not in listed
    assert "the model 'tiny'" in caplog.text
    assert str(tiny.parent) not in caplog.text
    with pytest.raises(ModelError, match="the metadata configuration of the model 'tiny'"):
        find_bundle("tiny")


def test_unknown_names_are_answered_with_the_known_ones(tiny: Path, tiny_propagate: Path) -> None:
    with pytest.raises(ModelError, match=r"the model 'nobody' is unknown; choose one of: .*tiny_propagate") as error:
        find_bundle("nobody")
    assert " tiny," not in str(error.value)  # no weights: not to be chosen
    assert ", bas_s," in str(error.value)
    for asked in ("nobody", "bas_s"):
        with pytest.raises(ModelError, match="choose one of: ") as error:
            find_bundle(asked, bundles.PROPAGATE)
        named = str(error.value).split("choose one of: ")[1].split(", ")
        assert named == [one.name for one in list_bundles() if one.role == bundles.PROPAGATE]
    with pytest.raises(ModelError, match="unknown"):
        find_bundle("../tiny")


def test_a_name_given_twice_is_refused(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path / "more" / "tiny", {"_target_": f"{NETWORKS}.bas.Bas", **TINY}, "Tiny", "Another.")
    monkeypatch.setenv(bundles.FOLDERS_VARIABLE, os.pathsep.join([str(tiny.parent), str(tmp_path / "more")]))
    with pytest.raises(ModelError, match="there are 2 models named 'tiny'"):
        find_bundle("tiny")


def test_the_default_is_of_the_role_asked_for(
    tiny_propagate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "models_folder", lambda: tmp_path)
    assert bundles.default_bundle("propagate").name == "tiny_propagate"
    with pytest.raises(ModelError, match="no model that can suggest is installed"):
        bundles.default_bundle("suggest")
    monkeypatch.setitem(bundles.DEFAULT_MODELS, "propagate", "winner")
    write_bundle(
        tiny_propagate.parent / "winner", {"_target_": f"{NETWORKS}.bas.BasPropagate", **TINY}, "Winner", "Wins."
    )
    assert bundles.default_bundle("propagate").name == "tiny_propagate"
    save_weights(tiny_propagate.parent / "winner", find_bundle("winner").build_network())
    assert bundles.default_bundle("propagate").name == "winner"


def test_propagation_settings_are_the_metadata_s(tiny_propagate: Path, tiny: Path) -> None:
    bundle = read_bundle(tiny_propagate)
    memory = MemorySettings(MemoryPolicy.BOUNDED, capacity=8)
    assert bundle.tracker_settings() == TrackerSettings(240, 2.0, 48, memory)
    with pytest.raises(ModelError, match="the model 'tiny' is made to suggest, not to propagate"):
        read_bundle(tiny).tracker_settings()


@pytest.mark.parametrize(
    "changes",
    [
        {"window_margin": 0.5},
        {"smallest_side": 0},
        {"outline_correction": "often"},
        {"certainty_kept": 1.5},
        {"certainty_kept": "most"},
        {"window_margin": "wide"},
        {"colour": 1},
        {"memory": {"policy": "forgetful"}},
        {"memory": {"capacity": -1}},
        {"memory": 7},
    ],
)
def test_propagation_settings_that_are_none_are_refused(tiny_propagate: Path, changes: dict[str, Any]) -> None:
    edit(tiny_propagate, "metadata", propagation=dict(DEFAULT_PROPAGATION) | changes)
    with pytest.raises(ModelError):
        read_bundle(tiny_propagate).tracker_settings()


def test_writing_refuses_what_reading_would(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not name one of"):
        write_bundle(tmp_path / "bad", {"_target_": "torch.nn.Linear"}, "Bad", "No network of ours.")
    assert not (tmp_path / "bad").exists()
    with pytest.raises(ModelError, match="has no description"):
        save_weights(tmp_path / "bad", torch.nn.Linear(1, 1))


def test_an_interrupted_save_leaves_no_half_file(tiny_propagate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (tiny_propagate / "models" / "model.safetensors").read_bytes()

    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    network = read_bundle(tiny_propagate).build_network()
    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_weights(tiny_propagate, network)
    assert (tiny_propagate / "models" / "model.safetensors").read_bytes() == before
    assert [file.name for file in (tiny_propagate / "models").iterdir()] == ["model.safetensors"]
    read_bundle(tiny_propagate).load_network()


def parsed(folder: Path) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config(folder / "configs" / "inference.json")
    parser.read_meta(folder / "configs" / "metadata.json")
    return parser


def check_with_monai(folder: Path, bundle: Bundle, schema: Path) -> None:
    digest = hashlib.sha256(schema.read_bytes()).hexdigest()
    metadata = str(folder / "configs" / "metadata.json")
    verify_metadata(meta_file=metadata, filepath=str(schema), hash_val=digest, hash_type="sha256")
    files = {"meta_file": folder / "configs" / "metadata.json", "config_file": folder / "configs" / "inference.json"}
    verify_net_in_out("network_def", device="cpu", n=2, **{name: str(file) for name, file in files.items()})
    network = parsed(folder).get_parsed_content("network_def")
    assert type(network) is type(bundle.build_network())
    inferer = parsed(folder).get_parsed_content("inferer")
    if bundle.role == bundles.PROPAGATE:
        assert isinstance(inferer, PropagationInferer)
        assert inferer.settings == bundle.tracker_settings()


def test_every_bundle_is_sound_to_monai(tiny: Path, tiny_propagate: Path, tiny_click: Path, tmp_path: Path) -> None:
    pytest.importorskip("jsonschema", reason="MONAI's verify_metadata needs jsonschema")
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(METADATA_SCHEMA))
    for name in (*SHIPPED, "tiny", "tiny_propagate", "tiny_click"):
        bundle = find_bundle(name)
        assert json.loads((bundle.folder / "configs" / "metadata.json").read_text())["schema"] == SCHEMA
        check_with_monai(bundle.folder, bundle, schema)


def test_monai_refuses_metadata_without_its_fields(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("jsonschema", reason="MONAI's verify_metadata needs jsonschema")
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(METADATA_SCHEMA))
    edit(tiny, "metadata", monai_version=16)
    digest = hashlib.sha256(schema.read_bytes()).hexdigest()
    metadata = str(tiny / "configs" / "metadata.json")
    with pytest.raises(ValueError, match="Failed validating"):
        verify_metadata(meta_file=metadata, filepath=str(schema), hash_val=digest, hash_type="sha256")


def test_listing_models_does_not_import_torch() -> None:
    code = (
        "import sys; from UltrasoundLesionSegLib.engine.bundles import list_bundles; list_bundles(); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'monai', 'cv2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
