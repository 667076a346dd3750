"""Tasks computed in threads of their own: order, look-ahead, errors, an end at any moment."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_helpers import clip_of_moving_discs, inputs_for
from numpy.typing import NDArray
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.cine import Anchor, Cine, FrameResult
from UltrasoundLesionSegLib.engine import propagation
from UltrasoundLesionSegLib.engine.ahead import AHEAD, computed_ahead
from UltrasoundLesionSegLib.engine.bundles import find_bundle
from UltrasoundLesionSegLib.engine.network_api import PropagationNetwork
from UltrasoundLesionSegLib.engine.networks.fused import fuse
from UltrasoundLesionSegLib.engine.propagation import PropagationInferer
from UltrasoundLesionSegLib.engine.tracker import TrackerSettings

SMALL = TrackerSettings(input_size=64)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def numbers(name: str, count: int, seen: list[str] | None = None) -> Iterator[Callable[[], str]]:
    for number in range(count):
        if seen is not None:
            seen.append(f"{name}{number}")
        yield lambda number=number: f"{name}{number}"  # type: ignore[misc]


def test_sources_take_turns_and_the_longer_one_goes_on() -> None:
    found = list(computed_ahead([numbers("a", 4), numbers("b", 2)], 2))
    assert found == ["a0", "b0", "a1", "b1", "a2", "a3"]
    assert list(computed_ahead([numbers("a", 0), numbers("b", 2)], 2)) == ["b0", "b1"]
    assert list(computed_ahead([], 2)) == []


def test_no_source_is_read_further_ahead_than_said() -> None:
    seen: list[str] = []
    steps = computed_ahead([numbers("a", 9, seen), numbers("b", 9, seen)], 2)
    for taken in range(1, 6):
        next(steps)
        assert len(seen) <= 2 * AHEAD + taken - 1
    steps.close()


def test_sources_are_read_here_and_tasks_run_side_by_side_elsewhere() -> None:
    here, read_in, ran_in = threading.current_thread(), set(), []
    together = threading.Barrier(2, timeout=10)  # nobody passes it alone

    def source() -> Iterator[Callable[[], None]]:
        for _ in range(3):
            read_in.add(threading.current_thread())
            yield task

    def task() -> None:
        ran_in.append((threading.current_thread(), torch.get_num_threads()))
        together.wait()

    assert len(list(computed_ahead([source(), source()], 2))) == 6
    assert read_in == {here}
    assert len({thread for thread, _ in ran_in} - {here}) == 2
    assert {count for _, count in ran_in} == {1}  # two threads shared by two
    assert torch.get_num_threads() == 2
    assert not any(thread.is_alive() for thread, _ in ran_in)


def test_an_error_comes_after_the_results_before_it() -> None:
    def failing_task() -> Iterator[Callable[[], str]]:
        yield lambda: "fine"
        yield lambda: str(1 // 0)

    def failing_source() -> Iterator[Callable[[], str]]:
        yield lambda: "fine"
        raise ZeroDivisionError

    for source in (failing_task(), failing_source()):
        steps = computed_ahead([source], 1)
        assert next(steps) == "fine"
        with pytest.raises(ZeroDivisionError):
            next(steps)


def test_closing_waits_for_what_runs_and_drops_the_rest() -> None:
    ran: list[int] = []

    def source() -> Iterator[Callable[[], None]]:
        for number in range(100):
            yield lambda number=number: (ran.append(number), time.sleep(0.05))  # type: ignore[misc]

    before = threading.active_count()
    steps = computed_ahead([source(), source()], 2)
    next(steps)
    start = time.perf_counter()
    steps.close()
    assert time.perf_counter() - start < 0.5
    assert threading.active_count() == before
    ended_with = len(ran)
    time.sleep(0.1)
    assert len(ran) == ended_with <= 4


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_put_back(enabled: bool) -> None:
    if not enabled:
        gc.disable()
    try:
        steps = computed_ahead([numbers("a", 3)], 1)
        next(steps)
        assert not gc.isenabled()
        steps.close()
        assert gc.isenabled() == enabled
    finally:
        gc.enable()


class Watched:
    """Frames, and the threads they were read in."""

    def __init__(self, cine: Cine) -> None:
        self.frames = cine.frames
        self.readers: set[threading.Thread] = set()

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        self.readers.add(threading.current_thread())
        return self.frames[index]


class WatchedNetwork(BrightNetwork):
    """Keeps the threads it was called in."""

    def __init__(self) -> None:
        super().__init__()
        self.callers: set[threading.Thread] = set()

    def encode(self, frames):
        self.callers.add(threading.current_thread())
        return super().encode(frames)


def test_two_directions_run_side_by_side_and_only_the_caller_reads() -> None:
    cine, truth = clip_of_moving_discs(frames=11)
    frames, asked = Watched(cine), set()
    inputs = inputs_for(replace(cine, frames=frames), [Anchor(0, 4, truth[4][0])])

    def known(index: int) -> NDArray[np.bool_]:
        asked.add(threading.current_thread())
        return inputs.known(index)

    network = WatchedNetwork()
    results = list(PropagationInferer(SMALL, CPU)(replace(inputs, known=known), network))
    assert [result.frame for result in results] == [5, 3, 6, 2, 7, 1, 8, 0, 9, 10]
    assert frames.readers == asked == {threading.current_thread()}
    assert len(network.callers) == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_one_thread_or_frames_in_common_keep_one_direction_after_the_other(threads: int) -> None:
    torch.set_num_threads(threads)
    cine, truth = clip_of_moving_discs(frames=7)
    anchors = [Anchor(0, 2, truth[2][0])] + ([Anchor(0, 4, truth[4][0])] if threads == 2 else [])
    results = list(PropagationInferer(SMALL, CPU)(inputs_for(cine, anchors), BrightNetwork()))
    expected = [3, 4, 5, 6, 1, 0] if threads == 1 else [3, 5, 6, 3, 1, 0]
    assert [result.frame for result in results] == expected


def test_an_unreadable_frame_is_named_in_its_place_in_either_direction() -> None:
    cine, truth = clip_of_moving_discs(frames=9, broken=(2, 6))
    results = {
        r.frame: r
        for r in PropagationInferer(SMALL, CPU)(inputs_for(cine, [Anchor(0, 4, truth[4][0])]), BrightNetwork())
    }
    assert sorted(results) == [0, 1, 2, 3, 5, 6, 7, 8]
    for index, result in results.items():
        assert (f"frame {index} cannot be read" in result.error) == (index in (2, 6))
        assert result.computed.all() != (index in (2, 6))


def sequential(sources, threads):
    """Do what ``computed_ahead`` does, one task after the other in this thread."""
    for source in sources:
        for task in source:
            yield task()


@pytest.mark.parametrize("model", ["bas_s_propagate", "stpfnet_light"])
@pytest.mark.parametrize("lesions", [1, 2])
def test_side_by_side_gives_the_masks_of_one_after_the_other(
    model: str, lesions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cine, truth = clip_of_moving_discs(frames=13, shape=(200, 300), lesions=lesions, noise=30)
    bundle = find_bundle(model)
    network = fuse(bundle.load_network())
    assert isinstance(network, PropagationNetwork)
    inputs = inputs_for(cine, [Anchor(k, 6, truth[6][k]) for k in range(lesions)])

    def results() -> list[FrameResult]:
        inferer = PropagationInferer(bundle.tracker_settings(), CPU)
        return sorted(inferer(inputs, network), key=lambda one: one.frame)

    torch.set_num_threads(1)
    monkeypatch.setattr(propagation, "computed_ahead", sequential)
    one_by_one = results()
    monkeypatch.undo()
    torch.set_num_threads(2)
    together = results()
    assert [one.frame for one in together] == [one.frame for one in one_by_one]
    assert all(np.array_equal(a.masks, b.masks) for a, b in zip(together, one_by_one, strict=True))
    assert all(np.array_equal(a.confidence, b.confidence) for a, b in zip(together, one_by_one, strict=True))
    assert any(one.masks.any() for one in together)
