"""OpenVINO gives PyTorch's results, says nothing to anyone, and is used when it is asked for."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from engine_helpers import clip_of_moving_discs, inputs_for
from torch import nn

from UltrasoundLesionSegLib.cine import Anchor
from UltrasoundLesionSegLib.engine import device as device_module
from UltrasoundLesionSegLib.engine.bundles import find_bundle
from UltrasoundLesionSegLib.engine.device import describe_device, resolve_device
from UltrasoundLesionSegLib.engine.network_api import MemoryRead, PreviousFrame, PropagationNetwork
from UltrasoundLesionSegLib.engine.networks.bas import Bas, BasClick, BasPropagate
from UltrasoundLesionSegLib.engine.networks.stpfnet import STPFNet
from UltrasoundLesionSegLib.engine.openvino_backend import compiled, is_compiled
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.errors import DeviceError

pytest.importorskip("openvino")
TOLERANCE = 2e-5  # of the largest value
SMALL = (8, 16, 24)


def assert_same(got: torch.Tensor, wanted: torch.Tensor) -> None:
    assert got.shape == wanted.shape
    assert float((got - wanted).abs().max()) <= TOLERANCE * max(1.0, float(wanted.abs().max()))


@pytest.mark.parametrize("size", [(1, 64, 64), (2, 48, 96), (1, 240, 240)])
@torch.inference_mode()
def test_bas_gives_the_same_logits(size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    plain = Bas(SMALL, temporal_share=0.5).eval()
    quick = compiled(copy.deepcopy(plain))
    assert isinstance(quick, Bas)
    before, now = torch.rand(2, size[0], 3, *size[1:])
    wanted = plain.step(now, plain.step(before, None)[1])
    for got, one in zip(quick.step(now, quick.step(before, None)[1]), wanted, strict=True):
        assert_same(got, one)


@pytest.mark.parametrize("kind", [BasPropagate, BasClick])
@torch.inference_mode()
def test_prompted_bas_gives_the_same_logits(kind: type[BasPropagate] | type[BasClick]) -> None:
    torch.manual_seed(1)
    plain = kind(SMALL).eval()
    stacked = torch.rand(1, 7, 64, 96)
    assert_same(compiled(copy.deepcopy(plain))(stacked), plain(stacked))


@pytest.mark.parametrize(
    "options", [{"trunk": "mobilenet_v2"}, {"trunk": "resnet18", "spatial_fusion": False}], ids=str
)
@torch.inference_mode()
def test_stpfnet_gives_the_same_logits_however_much_it_remembers(options: dict[str, Any]) -> None:
    torch.manual_seed(2)
    plain = STPFNet(**options).eval()
    quick = compiled(copy.deepcopy(plain))
    assert isinstance(quick, PropagationNetwork)
    networks: tuple[PropagationNetwork, ...] = (plain, quick)
    for size in (64, 96):
        frames = torch.rand(4, 1, 3, size, 64)
        masks = torch.rand(4, 1, 1, size, 64)
        logits = []
        for network in networks:
            codes = [network.encode(frame) for frame in frames]
            items = [network.memorize(*one) for one in zip(frames, codes, masks, strict=True)]
            seen = []
            for count in (1, 3, 2):
                keys, values = (
                    torch.stack([getattr(i, name) for i in items[:count]], dim=1) for name in ("key", "value")
                )
                memory = MemoryRead(keys, values, (True,) * count, (1,) * count)
                seen.append(network.segment(frames[3], codes[3], PreviousFrame(frames[2], codes[2], masks[2]), memory))
            logits.append(torch.cat(seen))
        assert_same(logits[1], logits[0])


@torch.inference_mode()
def test_the_same_input_gives_the_same_bits_and_results_stay_as_they_are() -> None:
    quick = compiled(Bas(SMALL))
    frames = torch.rand(1, 3, 64, 64)
    first = quick(frames)
    kept = first.clone()
    quick(torch.rand(1, 3, 64, 64))
    assert torch.equal(first, kept)
    assert torch.equal(quick(frames), first)


def test_a_model_asked_for_with_openvino_gives_the_masks_it_gives_on_the_cpu() -> None:
    cine, truth = clip_of_moving_discs(frames=5, noise=20)
    bundle = find_bundle("bas_s_propagate")
    masks, names = [], []
    for name in ("cpu", "openvino"):
        device, network = resolve_device(name), bundle.load_for_inference(name)
        assert isinstance(network, PropagationNetwork)
        results = PropagationInferer(bundle.tracker_settings(), device)(
            inputs_for(cine, [Anchor(0, 0, truth[0, 0])]), network
        )
        masks.append(np.stack([result.masks for result in results]))
        names.append(describe_device(device, network))
    assert masks[0].any()
    assert np.count_nonzero(masks[0] != masks[1]) <= 1e-4 * masks[0].sum()
    assert names[0].startswith("cpu (")
    assert names[1] == f"openvino, {names[0]}"


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "is_installed", lambda: False)
    with pytest.raises(DeviceError, match="install the package openvino, or choose 'cpu'"):
        resolve_device("openvino")


def test_auto_does_not_depend_on_what_is_installed() -> None:
    if resolve_device("auto").type == "cpu":
        assert not is_compiled(find_bundle("bas_s").load_for_inference("auto"))


def test_other_networks_are_refused() -> None:
    with pytest.raises(TypeError, match="not Identity"):
        compiled(nn.Identity())


def test_it_neither_opens_a_connection_nor_loads_telemetry() -> None:
    script = """
import socket, sys
import torch
from UltrasoundLesionSegLib.engine.networks.stpfnet import STPFNet
from UltrasoundLesionSegLib.engine.openvino_backend import compiled, is_compiled
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.errors import DeviceError

def refused(*arguments, **options):
    raise AssertionError("a connection was asked for")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refused
with torch.inference_mode():
    print(tuple(compiled(STPFNet("mobilenet_v2"))(torch.rand(1, 7, 64, 64)).shape))
print(sorted(name for name in sys.modules if name.startswith("openvino_telemetry")))
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[:2] == ["(1, 1, 64, 64)", "[]"]
