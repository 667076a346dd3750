"""Networks run by OpenVINO on a CPU, where the package is installed and the device ``openvino`` is asked for.

It takes a fifth to a quarter less of the processor's time than the fused PyTorch form, and half a second to a second
of it to get ready, so it pays for long cines and many of them (Docs/results/speed.md). A network is traced and compiled
in memory; nothing is written, and nothing leaves the machine: OpenVINO's telemetry is never loaded by us, and its
converter that reports to it is not used.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from UltrasoundLesionSegLib.engine.network_api import (
    FrameCode,
    MemoryItem,
    MemoryRead,
    PreviousFrame,
    PropagationNetwork,
)
from UltrasoundLesionSegLib.engine.networks.bas import Bas, BasClick, BasPropagate
from UltrasoundLesionSegLib.engine.networks.fused import fuse
from UltrasoundLesionSegLib.engine.networks.stpfnet import STPFNet

TELEMETRY = "openvino_telemetry"
# without the first setting, processors with bfloat16 use it: masks would differ between machines
_SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


def is_installed() -> bool:
    """Tell whether OpenVINO can be imported, without importing it."""
    return importlib.util.find_spec("openvino") is not None


def compiled(network: nn.Module) -> nn.Module:
    """Return a network that gives the same results to within float32 rounding, computed by OpenVINO.

    Parameters
    ----------
    network : Bas, BasClick, BasPropagate or STPFNet
        Used up: it is fused in place.

    Raises
    ------
    TypeError
        When it is another network.
    """
    network = fuse(network)
    if isinstance(network, Bas | BasClick | BasPropagate):
        network.trunk = _CompiledTrunk(network.trunk)  # type: ignore[assignment]
        return network
    if isinstance(network, STPFNet):
        return _CompiledSTPFNet(network)
    raise TypeError(f"network must be Bas, BasClick, BasPropagate or STPFNet, not {type(network).__name__}")


def is_compiled(network: nn.Module) -> bool:
    """Tell whether OpenVINO computes a network."""
    return any(isinstance(module, _CompiledTrunk | _CompiledSTPFNet) for module in network.modules())


class _Compiled:
    """A module of tensors to tensors, compiled when it first meets inputs of a shape.

    Parameters
    ----------
    module : Module
        Takes and returns tensors, positionally.
    growing : dict of int to int
        Input number -> axis whose length changes from call to call and is no reason to compile again.
    """

    def __init__(self, module: nn.Module, growing: dict[int, int] | None = None) -> None:
        self._module = module
        self._growing = growing or {}
        self._requests: dict[tuple[tuple[int, ...], ...], tuple[Any, list[int]]] = {}

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        shapes = tuple(self._shape(number, tensor) for number, tensor in enumerate(tensors))
        if shapes not in self._requests:
            self._requests[shapes] = self._compile(tensors, shapes)
        request, used = self._requests[shapes]
        arrays = [tensors[number].contiguous().numpy() for number in used]
        results = request.infer(arrays, share_inputs=True)  # the results are copies: the next call does not change them
        return tuple(torch.from_numpy(results[place]) for place in range(len(results)))

    def _shape(self, number: int, tensor: Tensor) -> tuple[int, ...]:
        growing = self._growing.get(number)
        return tuple(-1 if axis == growing else length for axis, length in enumerate(tensor.shape))

    def _compile(self, tensors: tuple[Tensor, ...], shapes: tuple[tuple[int, ...], ...]) -> tuple[Any, list[int]]:
        """Return what runs the module for these shapes, and the numbers of the inputs that it needs."""
        with without_telemetry():
            import openvino
            from openvino.frontend import FrontEndManager
            from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # checks of shapes become constants, which they are here
            # inference tensors cannot be traced
            traced = torch.jit.trace(self._module, tuple(tensor.clone() for tensor in tensors), check_trace=False)
            frontend = FrontEndManager().load_by_framework("pytorch")
            decoder = TorchScriptPythonDecoder(traced, shared_memory=False)  # must outlive the conversion
            model = frontend.convert(frontend.load(decoder))
        names = [value.debugName() for value in traced.inlined_graph.inputs()][1:]
        used = [next(number for number, name in enumerate(names) if name in one.get_names()) for one in model.inputs]
        model.reshape({place: openvino.PartialShape(list(shapes[number])) for place, number in enumerate(used)})
        settings = {**_SETTINGS, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        return openvino.Core().compile_model(model, "CPU", settings).create_infer_request(), used


@contextmanager
def without_telemetry() -> Generator[None, None, None]:
    """Let OpenVINO be imported as if its telemetry package were not installed."""
    loaded = TELEMETRY in sys.modules
    if not loaded:
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not loaded:
            del sys.modules[TELEMETRY]


class _CompiledTrunk(nn.Module):
    """``BasTrunk``."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self._run = _Compiled(trunk)

    def forward(self, x: Tensor, previous_stem: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See ``BasTrunk``."""
        logits, stem = self._run(x) if previous_stem is None else self._run(x, previous_stem)
        return logits, stem


class _Encode(nn.Module):
    """``STPFNet.encode`` from tensors to tensors."""

    def __init__(self, network: STPFNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        code = self.network.encode(frames)
        return (code.key, *code.features)


class _Memorize(nn.Module):
    """``STPFNet.memorize`` from tensors to tensors."""

    def __init__(self, network: STPFNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, masks: Tensor, key: Tensor, *features: Tensor) -> tuple[Tensor, ...]:
        item = self.network.memorize(frames, FrameCode(key, features), masks)
        return item.key, item.value


class _Segment(nn.Module):
    """``STPFNet.segment`` from tensors to tensors."""

    def __init__(self, network: STPFNet) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        frames: Tensor,
        masks: Tensor,
        previous_key: Tensor,
        memory_keys: Tensor,
        memory_values: Tensor,
        key: Tensor,
        *features: Tensor,
    ) -> tuple[Tensor, ...]:
        previous = PreviousFrame(frames, FrameCode(previous_key), masks)
        # STPFNet reads only keys and values of the memory, and the key and mask of the previous frame
        memory = MemoryRead(memory_keys, memory_values, (), ())
        return (self.network.segment(frames, FrameCode(key, features), previous, memory),)


class _CompiledSTPFNet(PropagationNetwork):
    """``STPFNet`` in three parts."""

    def __init__(self, network: STPFNet) -> None:
        super().__init__()
        self._encode = _Compiled(_Encode(network))
        self._memorize = _Compiled(_Memorize(network))
        self._segment = _Compiled(_Segment(network), growing={3: 1, 4: 1})

    def encode(self, frames: Tensor) -> FrameCode:
        """See ``STPFNet``."""
        key, *features = self._encode(frames)
        return FrameCode(key, tuple(features))

    def appearance(self, code: FrameCode) -> Tensor:
        """See ``STPFNet``."""
        return code.key

    def memorize(self, frames: Tensor, code: FrameCode, masks: Tensor) -> MemoryItem:
        """See ``STPFNet``."""
        return MemoryItem(*self._memorize(frames, masks, code.key, *code.features))

    def segment(self, frames: Tensor, code: FrameCode, previous: PreviousFrame, memory: MemoryRead) -> Tensor:
        """See ``STPFNet``."""
        present = (code.key, *code.features)
        past = (previous.masks, previous.code.key, memory.keys, memory.values)
        return self._segment(frames, *past, *present)[0]
