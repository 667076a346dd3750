"""Which device computes."""

from __future__ import annotations

import torch

from UltrasoundLesionSegLib.errors import DeviceError

CHOICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device for a name.

    Parameters
    ----------
    name : str
        ``auto`` (CUDA, then Apple MPS, then CPU), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises
    ------
    DeviceError
        When the name is unknown or the device is not on this machine.
    """
    has_cuda = torch.cuda.is_available()
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if has_cuda else "mps" if has_mps else "cpu")
    kind, _, index = name.partition(":")
    if kind not in CHOICES or (index and not (kind == "cuda" and index.isdigit())):
        raise DeviceError(f"the device '{name}' is unknown; choose one of {', '.join(CHOICES)}")
    if kind == "cuda" and (not has_cuda or int(index or 0) >= torch.cuda.device_count()):
        raise DeviceError(f"the device '{name}' is not on this machine; choose 'auto' or 'cpu'")
    if kind == "mps" and not has_mps:
        raise DeviceError("the device 'mps' is not on this machine; choose 'auto' or 'cpu'")
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Return a device's name for people, e.g. ``cpu (2 threads)`` or ``cuda (NVIDIA H200)``."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu ({threads} thread{'s' if threads > 1 else ''})"
    return device.type
