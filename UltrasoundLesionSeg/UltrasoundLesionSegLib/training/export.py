"""Put a run's averaged weights into its bundle.

``python -m UltrasoundLesionSegLib.training.export --run ... --bundle ...``
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from UltrasoundLesionSegLib.engine.bundle_writing import save_weights
from UltrasoundLesionSegLib.engine.bundles import read_bundle
from UltrasoundLesionSegLib.training.run_state import Checkpoint


def export_run(run: Path, bundle_folder: Path, dtype: torch.dtype = torch.float16) -> str:
    """Write the averaged weights of a run's last checkpoint into a bundle.

    Parameters
    ----------
    run : Path
        Folder given to the training as ``--output``.
    bundle_folder : Path
    dtype : torch.dtype
        Storage of weights with two or more dimensions, as ``save_weights`` takes it.

    Returns
    -------
    str
        The SHA-256 of the weights.
    """
    network = read_bundle(bundle_folder).build_network()
    network.load_state_dict(Checkpoint.load(run / "checkpoint.pt").average)
    return save_weights(bundle_folder, network, dtype)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--dtype", choices=["float32", "float16", "int8"], default="float16")
    chosen = parser.parse_args()
    print(export_run(chosen.run, chosen.bundle, getattr(torch, chosen.dtype)))


if __name__ == "__main__":
    main()
