"""Put a run's averaged weights into its bundle.

``python -m UltrasoundLesionSegLib.training.export --run ... --bundle ...``

If ``--run`` is given more than once, for runs that continue each other, the bundle gets their mean: Izmailov et al.,
"Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from UltrasoundLesionSegLib.engine.bundle_writing import save_weights
from UltrasoundLesionSegLib.engine.bundles import read_bundle
from UltrasoundLesionSegLib.training.run_state import Checkpoint


def export_runs(runs: Sequence[Path], bundle_folder: Path, dtype: torch.dtype = torch.float16) -> str:
    """Write the averaged weights of a run's last checkpoint, or the mean over several runs, into a bundle.

    Parameters
    ----------
    runs : sequence of Path
        Folders given to the training as ``--output``; at least one.
    bundle_folder : Path
    dtype : torch.dtype
        Storage of weights with two or more dimensions, as ``save_weights`` takes it.

    Returns
    -------
    str
        The SHA-256 of the weights.
    """
    network = read_bundle(bundle_folder).build_network()
    states = [Checkpoint.load(run / "checkpoint.pt").average for run in runs]
    network.load_state_dict({name: _mean([state[name] for state in states]) for name in states[0]})
    return save_weights(bundle_folder, network, dtype)


def _mean(values: Sequence[Tensor]) -> Tensor:
    """Return the mean of floating tensors; of counters, which say nothing in use, the last one."""
    return torch.stack(list(values)).mean(dim=0) if values[0].is_floating_point() else values[-1]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, action="append", required=True, help="repeatable: the mean of all")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--dtype", choices=["float32", "float16", "int8"], default="float16")
    chosen = parser.parse_args()
    print(export_runs(chosen.run, chosen.bundle, getattr(torch, chosen.dtype)))


if __name__ == "__main__":
    main()
