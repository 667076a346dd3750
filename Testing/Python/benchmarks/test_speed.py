"""The speed benchmarks' own reckoning: fair turns, nested stages, targets, the report."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SPEED = Path(__file__).resolve().parents[2] / "Benchmarks" / "speed"


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import one of the benchmark scripts, which find each other in their own folder."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(SPEED))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(SPEED) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_variants_take_turns_and_warming_up_is_not_counted(part: Callable[[str], ModuleType]) -> None:
    order: list[str] = []

    def variant(name: str) -> Callable[[], list[float]]:
        def work() -> list[float]:
            order.append(name)
            return [float(len(order))]

        return work

    times = part("common").interleaved({"a": variant("a"), "b": variant("b")}, rounds=2, warm_up=1)

    assert order == ["a", "b", "b", "a", "a", "b"]
    assert times == {"a": [4.0, 5.0], "b": [3.0, 6.0]}


def test_a_spread_is_the_median_and_the_quartiles(part: Callable[[str], ModuleType]) -> None:
    spread = part("common").Spread.of([5.0, 1.0, 2.0, 3.0, 4.0])
    assert (spread.low, spread.median, spread.high, spread.count) == (2.0, 3.0, 4.0, 5)


def test_a_stage_inside_another_stops_the_outer_clock(
    part: Callable[[str], ModuleType],
) -> None:
    clock = part("stages").StageClock(iter([0.0, 1.0, 11.0, 111.0]).__next__)

    class Reader:
        def read(self) -> int:
            return 7

    clock.watch(Reader, "read", "decode")
    with clock.stage("measure"):
        assert Reader().read() == 7

    assert dict(clock.seconds) == {"measure": 101.0, "decode": 10.0}
    assert dict(clock.calls) == {"measure": 1, "decode": 1}


def test_threads_have_clocks_of_their_own(part: Callable[[str], ModuleType]) -> None:
    clock = part("stages").StageClock(iter(range(100)).__next__)

    def elsewhere() -> None:
        with clock.stage("network"):
            pass

    with clock.stage("waiting"):  # from 0 to 3
        thread = threading.Thread(target=elsewhere)  # from 1 to 2
        thread.start()
        thread.join()

    assert dict(clock.seconds) == {"waiting": 3, "network": 1}


def test_operations_are_those_of_the_paper(part: Callable[[str], ModuleType]) -> None:
    network = part("network")
    assert network.operations("bas_s") / 1e9 == pytest.approx(1.51, abs=0.01)
    assert network.operations("bas_l") / 1e9 == pytest.approx(1.18, abs=0.01)


def spread_of(median: float) -> dict[str, float]:
    return {"median": median, "low": 0.9 * median, "high": 1.2 * median, "count": 5}


def found_parts() -> dict[str, dict[str, Any]]:
    """Figures that miss some targets and meet others; SAM 2 and the GPU are not there."""
    machine = {
        "processor": "one (AVX2)",
        "cores": 2,
        "memory_gb": 8,
        "python": "3.11",
        "versions": {"torch": "2"},
        "date": "2026-11-22",
        "cores_used_by_others": 1.5,
    }
    eager, ours = "PyTorch eager, as installed", "ours"
    forward = {
        state: {eager: spread_of(100 * slow), ours: spread_of(30 * slow), "convolution 3x3": spread_of(20)}
        for state, slow in (("quiet", 1), ("busy", 2))
    }
    stage = {"decode": 1.0, "preprocess": 1, "network": 10, "postprocess": 1, "MRML": 1, "measure": 1, "SEG": 1}
    bounded = {
        "network": "STPFNet",
        "policy": "bounded",
        "input_size": 160,
        "grown_mb": {"50": 10.0, "1000": 12.0},
        "times": {"50": spread_of(20), "1000": spread_of(21)},
    }
    parts: dict[str, dict[str, Any]] = {
        "network": {
            "times": {"bas_s": forward, "propagate:bas_s_propagate": forward},
            "peak_gflops": {"3x3": 75.0, "1x1": 100.0},
            "gflop": {"bas_s": 1.0},
        },
        "directions": {
            "frames": 200,
            "times": {
                model: {
                    "quiet": {"side by side": spread_of(10), "one after the other": spread_of(slow)},
                    "busy": {"side by side": spread_of(40), "one after the other": spread_of(40)},
                }
                for model, slow in (("bas_s_propagate", 15), ("stpfnet_light", 12))
            },
        },
        "profiles": {
            "subjects": {"bas_s": {"whole_ms": 9.0, "operations": [["conv", 8.0, 2]], "other_operations_ms": 1}},
            "calling_ms": 2.25,
            "beside": {
                "bas_s_propagate": [["network", 9.0], ["pasted", 2.0]],
                "stpfnet_light": [["network", 8.0], ["measured", 1.0], ["pasted", 0.5]],
            },
        },
        "memory_policies": {"configurations": [bounded]},
        "stages": {"frames": 200, "rounds": {"bas_s_propagate": [stage], "stpfnet_light": [stage]}},
        "peers": {"times": {"ours, stpfnet_light": spread_of(20), "DIS optical flow": spread_of(50)}},
        "gpu": {"device": None},
    }
    return {name: {"machine": machine, **found} for name, found in parts.items()}


def test_targets_are_judged_by_ratios_of_one_run(part: Callable[[str], ModuleType]) -> None:
    targets, parts = part("targets"), found_parts()
    against_floor, under_load, *others, against_eager = targets.network_targets(parts["network"])
    assert (against_floor.value, against_floor.verdict) == (pytest.approx(3.0), "missed")  # 30 ms, floor 1 / 100 s
    assert (under_load.value, under_load.verdict) == (2.0, "met")
    assert [one.verdict for one in others] == ["not measured"] * 4  # and without two frames at once
    assert (against_eager.value, against_eager.verdict) == (pytest.approx(100 / 30), "met")
    assert [one.verdict for one in targets.memory_targets(parts["memory_policies"]["configurations"])] == ["met"] * 2
    beside_bas, beside_stpfnet = targets.stage_targets(parts["stages"])
    assert (beside_bas.value, beside_bas.verdict, beside_stpfnet.verdict) == (0.4, "met", "missed")
    assert targets.peer_targets(parts["peers"])[0].verdict == "not measured"
    both = targets.direction_targets(parts["directions"])
    assert [one.value for one in both] == pytest.approx([1.5, 1.0, 1.2, 1.0])
    assert [one.verdict for one in both] == ["met", "met", "missed", "met"]


def test_the_report_says_what_is_missing(part: Callable[[str], ModuleType], tmp_path: Path) -> None:
    parts = found_parts()
    text = part("report").compose(parts, "## Notes\n\nBy hand.\n")
    assert "| BaS-S on the CPU against its floor | at most 2 | 3.00 | missed |" in text
    assert "SAM 2.1 was not installed" in text
    assert "no CUDA device" in text
    assert "| bas_s_propagate | one after the other | 15.0 (13.5 to 18.0) | 40.0 (36.0 to 48.0) | 67 |" in text
    assert "takes 2.2 ms. It has almost nothing to compute there" in text
    assert "| pasted | 2.00 | 0.50 |\n| measured | 0.00 | 1.00 |\n| all beside the network | 2.00 | 1.50 |" in text
    assert "1.5 of 2" in text
    assert text.endswith("By hand.\n")
    part("plot").draw(parts, tmp_path / "speed.png")
    assert (tmp_path / "speed.png").stat().st_size > 10_000
