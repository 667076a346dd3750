"""A model bundle so small that a test can train it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from UltrasoundLesionSegLib.engine.bundle_writing import save_weights, write_bundle
from UltrasoundLesionSegLib.engine.bundles import read_bundle

NETWORK = {
    "_target_": "UltrasoundLesionSegLib.engine.networks.bas.BasPropagate",
    "channels": [8, 8, 8],
    "blocks": [1, 1, 1],
    "token_grid": [2, 2],
    "dropout": 0.0,
}


def write_untrained_bundle(folder: Path, stages: list[dict[str, Any]]) -> Path:
    """Write a model without weights, and return its ``train.json``, which trains it in these stages."""
    write_bundle(folder, NETWORK, folder.name, "a network for tests")
    config = folder / "configs" / "train.json"
    config.write_text(json.dumps({"train": {"seed": 4, "learning_rate": 0.01, "warmup": 1, "stages": stages}}))
    return config


def write_tiny_bundle(folder: Path) -> None:
    """Write a model with random weights, which is called as its folder is."""
    write_bundle(
        folder,
        NETWORK,
        folder.name,
        "a network for tests",
        {"input_size": 48, "window_margin": 2.0, "smallest_side": 48},
    )
    torch.manual_seed(1)
    save_weights(folder, read_bundle(folder).build_network())
    (folder / "docs").mkdir()
    (folder / "docs" / "README.md").write_text(f"# {folder.name}\n")
