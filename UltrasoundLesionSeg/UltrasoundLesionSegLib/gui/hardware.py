"""What this computer offers for computing, told without importing PyTorch."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil

from UltrasoundLesionSegLib.gui.messages import Tone

# of the default model, from a seed at one end of the cine to one in the middle (Docs/results/speed.md). README and
# tutorial say the same: Testing/Python/documents/test_figures.py
CPU_SPEED = "30 to 60 frames a second"


def describe_hardware() -> tuple[str, Tone]:
    """Return a sentence on the computing device and what to expect of it."""
    version = _torch_version()
    if version is None:
        return "", Tone.PLAIN
    if shutil.which("nvidia-smi"):
        if "+cpu" in version:
            return (
                "This computer has an NVIDIA GPU, but PyTorch was installed without CUDA: reinstall it in the module "
                "PyTorch Utils to compute many times faster.",
                Tone.CAUTION,
            )
        return "An NVIDIA GPU was found.", Tone.PLAIN
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "The Apple GPU (MPS) is used.", Tone.PLAIN
    return (
        f"No CUDA GPU was found: the processor computes {CPU_SPEED} on two cores, fewer while frames are shown.",
        Tone.PLAIN,
    )


def _torch_version() -> str | None:
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None
