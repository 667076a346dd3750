"""Write model bundles: their description once, their weights after every training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from UltrasoundLesionSegLib.engine.bundles import (
    CLICK,
    NETWORK_ROLES,
    PROPAGATE,
    ROLE_OPTIONS,
    SUGGEST,
    checked_network_def,
)
from UltrasoundLesionSegLib.engine.weight_storage import stored_tensors
from UltrasoundLesionSegLib.errors import ModelError
from UltrasoundLesionSegLib.writers.atomic import atomic_path

# MONAI's newest schema of bundle metadata, for its verify_metadata
SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
DEFAULT_PROPAGATION: Mapping[str, Any] = {
    "input_size": 240,
    "window_margin": 2.0,
    "smallest_side": 48,
    "memory": {"policy": "bounded", "capacity": 8},
    "outline_correction": True,
}
DEFAULT_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    PROPAGATE: DEFAULT_PROPAGATION,
    SUGGEST: {"input_size": 240},
    CLICK: {"input_size": 160},
}
_ENGINE = "UltrasoundLesionSegLib.engine"


def write_bundle(
    folder: Path,
    network_def: Mapping[str, Any],
    title: str,
    description: str,
    options: Mapping[str, Any] | None = None,
    further: Mapping[str, Any] | None = None,
) -> None:
    """Write the description of a new model; its weights come with ``save_weights``.

    Parameters
    ----------
    folder : Path
        The bundle's folder; its name is the model's name. Made where it is not there.
    network_def : mapping
        ``_target_``, one of ``NETWORK_ROLES``, and the network's arguments.
    title, description : str
    options : mapping or None
        ``propagation``, ``suggestion`` or ``clicking`` of the metadata; None takes the defaults.
    further : mapping or None
        More metadata: version, changelog, data_source, references, ...

    Raises
    ------
    ModelError
        When the network is not one of this package or its arguments are not plain values.
    OutputError
        When a file cannot be written.
    """
    checked = checked_network_def(dict(network_def), folder.name)
    role = NETWORK_ROLES[checked["_target_"]]
    propagates = role == PROPAGATE
    metadata: dict[str, Any] = {
        "schema": SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": "first version"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch").partition("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {"safetensors": version("safetensors")},
        "name": title,
        "task": "Lesion segmentation in ultrasound cines" if propagates else "Lesion segmentation in ultrasound frames",
        "description": description,
        "authors": "UltrasoundLesionSeg contributors",
        "copyright": "Copyright UltrasoundLesionSeg contributors",
        "intended_use": "Research. Not a medical device: a person checks every mask.",
        "image_classes": "ultrasound frame, grey or RGB, values 0 to 1",
        "label_classes": "mask of the lesion: 1 is lesion, 0 is background",
        "pred_classes": "one channel, the logit of the lesion: above 0 is lesion",
    }
    metadata[ROLE_OPTIONS[role]] = dict(DEFAULT_OPTIONS[role] if options is None else options)
    metadata["network_data_format"] = _data_format(role)
    metadata["weights"] = {"sha256": ""}
    metadata.update(further or {})
    inference = {
        "bundle_root": ".",
        "device": {"_target_": "torch.device", "device": "cpu"},
        "network_def": checked,
        "inferer": _inferer(metadata["propagation"]) if propagates else {"_target_": "monai.inferers.SimpleInferer"},
        **run_section(role),
    }
    _replace(folder / "configs" / "inference.json", _json(inference))
    _replace(folder / "configs" / "metadata.json", _json(metadata))


def save_weights(
    folder: Path, network: nn.Module, dtype: torch.dtype = torch.float16, further: Mapping[str, Any] | None = None
) -> str:
    """Write a network's weights into its bundle and their SHA-256 into its metadata.

    Each file is replaced as a whole. A kill between the two leaves a bundle that refuses to load; saving again repairs
    it.

    Parameters
    ----------
    folder : Path
        A bundle that ``write_bundle`` has described.
    network : nn.Module
    dtype : torch.dtype
        Of weights with two or more dimensions: float32, float16, or int8 with a scale for each channel
        (``weight_storage``), where small tensors are float16. Vectors (biases, statistics) stay in float32: they are a
        hundredth of the size, and running variances can leave the range of float16.
    further : mapping or None
        Metadata to change at the same time: version, changelog, eval_metrics, ...

    Returns
    -------
    str
        The SHA-256, in hexadecimal digits.

    Raises
    ------
    ModelError
        When the bundle has no description, or weights that are not finite are to become int8.
    OutputError
        When a file cannot be written.
    """
    try:
        metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the model '{folder.name}' has no description to add weights to; write its bundle first"
        ) from error
    content = save(stored_tensors(network.state_dict(), dtype, folder.name))
    digest = hashlib.sha256(content).hexdigest()
    metadata.update(further or {})
    metadata["weights"] = {"sha256": digest}
    _replace(folder / "models" / "model.safetensors", content)
    _replace(folder / "configs" / "metadata.json", _json(metadata))
    return digest


def _data_format(role: str) -> dict[str, Any]:
    """Return MONAI's ``network_data_format``: what the network's ``forward`` takes and gives."""
    channels = ["red", "green", "blue"]
    if role == PROPAGATE:
        channels += [f"{color} of the frame before" for color in channels] + ["mask of the frame before"]
    if role == CLICK:
        channels += ["clicks inside", "clicks outside", "box", "mask so far"]
    is_patch = role != SUGGEST  # a window of the frame
    shared = {"type": "image", "modality": "US", "spatial_shape": ["16*n", "16*n"], "dtype": "float32"}
    image = {
        "format": "magnitude",
        "num_channels": len(channels),
        "value_range": [0, 1],
        "is_patch_data": is_patch,
        "channel_def": {str(number): name for number, name in enumerate(channels)},
    }
    prediction = {
        "format": "segmentation",
        "num_channels": 1,
        "value_range": [],
        "is_patch_data": is_patch,
        "channel_def": {"0": "logit of the lesion"},
    }
    return {"inputs": {"image": shared | image}, "outputs": {"pred": shared | prediction}}


def _inferer(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the propagation as MONAI's configuration parser builds it, its values taken from the metadata."""
    memory: dict[str, Any] = {"_target_": f"{_ENGINE}.memory.MemorySettings"}
    for name in options.get("memory", {}):
        memory[name] = f"@_meta_::propagation::memory::{name}"
    if "policy" in memory:
        memory["policy"] = {"_target_": f"{_ENGINE}.memory.MemoryPolicy", "value": memory["policy"]}
    settings: dict[str, Any] = {"_target_": f"{_ENGINE}.tracker.TrackerSettings", "memory": memory}
    for name in options:
        if name != "memory":
            settings[name] = f"@_meta_::propagation::{name}"
    return {"_target_": f"{_ENGINE}.propagation.PropagationInferer", "settings": settings, "device": "@device"}


def run_section(role: str) -> dict[str, Any]:
    """Return what ``python -m monai.bundle run`` runs, with the values that its command line may change.

    Parameters
    ----------
    role : str
        ``propagate``, ``suggest`` or ``click``.
    """
    values: dict[str, Any] = {"frames": "frames", "output": "output"}
    if role == PROPAGATE:
        values |= {"seed": "", "seed_frame": 0}
    elif role == CLICK:
        values |= {"point": [], "point_frame": 0}
    job = {name: f"@{name}" for name in ("bundle_root", "device", "inferer", *values)}
    return {
        **values,
        "job": {"_target_": "UltrasoundLesionSegLib.cli.monai_bundle.BundleRun", **job},
        "run": ["$@job.run()"],
    }


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def _replace(target: Path, content: bytes) -> None:
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)
