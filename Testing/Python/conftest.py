"""Fixtures shared by all tests: the data folder, one real MRML scene a process, a model whose answers are known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# the networks of the tests are tiny: handing them to a second thread costs more than they do, most of all when busy
os.environ.setdefault("OMP_NUM_THREADS", "1")


def data_folder() -> Path:
    """Where the shared data is: ULS_DATA or the folder `data` in it, or ../shared/data beside the checkout."""
    named = Path(os.environ.get("ULS_DATA") or Path(__file__).resolve().parents[3] / "shared")
    return named if (named / "cine").is_dir() else named / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; the test is skipped where it is absent, and fails if ULS_REQUIRE_DATA is set."""
    folder = data_folder()
    if not (folder / "cine").is_dir():
        reason = "the real data is not here: put it in ../shared/data or name its folder in ULS_DATA"
        if os.environ.get("ULS_REQUIRE_DATA"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture
def logic() -> Iterator[Any]:
    """A workflow on an empty scene."""
    import slicer

    from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

    workflow = UltrasoundLesionWorkflow()
    slicer.mrmlScene.Clear(0)
    yield workflow
    workflow.release()
    slicer.mrmlScene.Clear(0)


@pytest.fixture
def bright_model(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let every model be the network that calls bright pixels lesion; its counters tell what was computed."""
    from stand_in_networks import BrightNetwork

    from UltrasoundLesionSegLib.engine.bundles import Bundle

    network = BrightNetwork()
    settings: dict[str, Any] = {"input_size": 64}
    described = Bundle(
        "bright", "Bright", "stand-in", "propagate", 64, "1", "0" * 64, Path(), {"_target_": "stand-in"}, settings
    )
    monkeypatch.setattr("UltrasoundLesionSegLib.engine.bundles.default_bundle", lambda role: described)
    monkeypatch.setattr(Bundle, "load_network", lambda self, device: network)
    return network


@pytest.fixture
def pointed_model(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let clicks be answered by the network that follows them, and other roles by the one that sees bright pixels."""
    from stand_in_networks import BrightNetwork, PointedNetwork

    from UltrasoundLesionSegLib.engine.bundles import Bundle

    networks = {"click": PointedNetwork(), "propagate": BrightNetwork()}

    def described(role: str) -> Bundle:
        settings: dict[str, Any] = {"input_size": 64} if role == "propagate" else {}
        return Bundle(role, role, "stand-in", role, 64, "1", role[0] * 64, Path(), {"_target_": "stand-in"}, settings)

    monkeypatch.setattr("UltrasoundLesionSegLib.engine.bundles.default_bundle", described)
    monkeypatch.setattr(Bundle, "load_network", lambda self, device: networks[self.role])
    return networks["click"]
