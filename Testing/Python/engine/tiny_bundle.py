"""A model bundle so small that a test can train it."""

from __future__ import annotations

from pathlib import Path

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


def write_tiny_bundle(folder: Path) -> None:
    """Write an untrained model, which is called as its folder is."""
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
