"""The choice of the device that computes."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

from UltrasoundLesionSegLib.engine.openvino_backend import is_compiled, is_installed
from UltrasoundLesionSegLib.errors import DeviceError

logger = logging.getLogger(__name__)

OPENVINO = "openvino"
CHOICES = ("auto", "cpu", "cuda", "mps", OPENVINO)


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device for a name.

    Parameters
    ----------
    name : str
        ``auto`` (CUDA, then Apple MPS, then CPU), ``cpu``, ``cuda``, ``cuda:N``, ``mps``, or ``openvino``, which is the
        CPU too: ``Bundle.load_for_inference`` gives a network that OpenVINO computes. ``auto`` never chooses it, so
        that the same cine gives the same masks whatever else is installed.

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
    if kind == OPENVINO:
        if not is_installed():
            raise DeviceError("OpenVINO is not installed; install the package openvino, or choose 'cpu'")
        return torch.device("cpu")
    if kind == "mps" and not has_mps:
        raise DeviceError("the device 'mps' is not on this machine; choose 'auto' or 'cpu'")
    return torch.device(name)


def describe_device(device: torch.device, network: nn.Module | None = None) -> str:
    """Return a name for people of the device, and of what computes a network there if that is not PyTorch.

    For example ``cpu (2 threads)``, ``openvino, cpu (2 threads)`` or ``cuda (NVIDIA H200)``.
    """
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        backend = f"{OPENVINO}, " if network is not None and is_compiled(network) else ""
        return f"{backend}cpu ({threads} thread{'s' if threads > 1 else ''})"
    return device.type


def one_answer(network: nn.Module, stacked: Tensor, device: torch.device, what: str) -> Tensor:
    """Return a network's answer for one frame, from the CPU where the GPU's memory does not suffice.

    Parameters
    ----------
    network : Module
        In evaluation mode on ``device``; it is there afterwards, too.
    stacked : Tensor, shape (1, C, h, w)
        On the CPU.
    device : torch.device
    what : str
        What is computed, for the warning: ``the suggestion is``.

    Returns
    -------
    Tensor, shape (h, w)
        Logits, float32, on the CPU.
    """
    try:
        logits: Tensor = network(stacked.to(device))
        return logits[0, 0].float().cpu()
    except torch.cuda.OutOfMemoryError:
        logger.warning("the GPU ran out of memory; %s computed on the CPU, which is slower", what)
        try:
            return network.cpu()(stacked)[0, 0].float()
        finally:
            network.to(device)  # its owner expects it on the device
