"""Propagation computes with threads that suit a busy machine, and leaves everyone else's as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator

import pytest
import torch
from engine_helpers import clip_of_moving_discs, inputs_for
from stand_in_networks import BrightNetwork
from torch import Tensor

from UltrasoundLesionSegLib.cine import Anchor
from UltrasoundLesionSegLib.engine import threads
from UltrasoundLesionSegLib.engine.network_api import FrameCode
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.engine.tracker import TrackerSettings


class CountingNetwork(BrightNetwork):
    """Keeps how many threads there were when it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def encode(self, frames: Tensor) -> FrameCode:
        self.threads.add(torch.get_num_threads())
        return super().encode(frames)


@pytest.fixture(autouse=True)
def three_threads() -> Generator[None, None, None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("policy", "wanted"), [("PASSIVE", 3), ("passive", 3), ("ACTIVE", 1), (None, 1)])
def test_threads_that_would_spin_are_not_used(monkeypatch: pytest.MonkeyPatch, policy: str | None, wanted: int) -> None:
    if policy is None:
        monkeypatch.delenv(threads.VARIABLE, raising=False)
    else:
        monkeypatch.setenv(threads.VARIABLE, policy)
    cine, truth = clip_of_moving_discs(frames=4)
    network = CountingNetwork()
    inferer = PropagationInferer(TrackerSettings(input_size=64), torch.device("cpu"))
    for _ in inferer(inputs_for(cine, [Anchor(0, 0, truth[0, 0])]), network):
        assert torch.get_num_threads() == 3  # whoever iterates has their own back between the frames
    assert network.threads == {wanted}
    assert torch.get_num_threads() == 3


def test_the_number_is_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    seen = []

    def failing() -> None:
        with threads.threads_for_inference():
            seen.append(torch.get_num_threads())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert seen == [1]
    assert torch.get_num_threads() == 3


def test_the_choice_is_left_to_whoever_chose_and_is_not_claimed_once_torch_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    threads.let_waiting_threads_sleep()  # too late: torch is loaded
    assert not threads.waiting_threads_sleep()
    monkeypatch.setenv(threads.VARIABLE, "ACTIVE")
    monkeypatch.delitem(sys.modules, "torch")
    threads.let_waiting_threads_sleep()
    assert os.environ[threads.VARIABLE] == "ACTIVE"


def test_before_torch_is_loaded_sleeping_threads_are_chosen() -> None:
    script = (
        "from UltrasoundLesionSegLib.engine.threads import let_waiting_threads_sleep, waiting_threads_sleep\n"
        "let_waiting_threads_sleep(); import sys; assert 'torch' not in sys.modules; print(waiting_threads_sleep())"
    )
    environment = {name: value for name, value in os.environ.items() if name != threads.VARIABLE}
    said = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "True"
