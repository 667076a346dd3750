"""The targets, as ratios within one run, and whether they were met."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EAGER, OURS, OPENVINO = "PyTorch eager, as installed", "ours", "ours, OpenVINO"
PAIR = "ours, two frames at once"
BESIDE_THE_NETWORK = ("preprocess", "postprocess", "MRML", "measure")


@dataclass(frozen=True)
class Target:
    """One target.

    Parameters
    ----------
    aim : str
    value, limit : float
        What was found, nan where it was not measured; what it is held against.
    at_most : bool
        Whether the limit is an upper one.
    unit : str
    """

    aim: str
    value: float
    limit: float
    at_most: bool
    unit: str = ""

    @property
    def verdict(self) -> str:
        """``met``, ``missed`` or ``not measured``."""
        if math.isnan(self.value):
            return "not measured"
        return "met" if (self.value <= self.limit) == self.at_most else "missed"


def floor_ms(network: Mapping[str, Any], model: str) -> float:
    """Return the time of a network's operations at the highest convolution rate measured in the same run, in ms."""
    return float(network["gflop"][model]) / max(network["peak_gflops"].values()) * 1000


def median(network: Mapping[str, Any], subject: str, state: str, variant: str) -> float:
    """Return a variant's median in ms; nan where it is missing."""
    return float(network["times"][subject][state].get(variant, {}).get("median", math.nan))


def network_targets(network: Mapping[str, Any]) -> list[Target]:
    """Judge network.py's results. "Ours" is the default form."""
    found = []
    for way, name in ((OURS, ""), (PAIR, ", two frames at once"), (OPENVINO, ", device openvino")):
        quiet, busy = (median(network, "bas_s", state, way) for state in ("quiet", "busy"))
        found.append(Target(f"BaS-S on the CPU against its floor{name}", quiet / floor_ms(network, "bas_s"), 2.0, True))
        found.append(Target(f"BaS-S, busy machine against quiet{name}", busy / quiet, 2.5, True))
    steps = "propagate:bas_s_propagate"
    ratio = median(network, steps, "busy", EAGER) / median(network, steps, "busy", OURS)
    return [*found, Target("propagation with BaS against eager PyTorch, busy machine", ratio, 3.0, False)]


def direction_targets(found: Mapping[str, Any]) -> list[Target]:
    """Judge directions.py's results: the gain from both cores, and that nothing is lost on a busy machine."""
    targets = []
    for model, states in found["times"].items():
        for state, name, limit in (("quiet", "", 1.3), ("busy", ", busy machine", 0.95)):
            ratio = states[state]["one after the other"]["median"] / states[state]["side by side"]["median"]
            aim = f"both directions side by side against one after the other, {model}{name}"
            targets.append(Target(aim, ratio, limit, False))
    return targets


def memory_targets(configurations: Sequence[Mapping[str, Any]]) -> list[Target]:
    """Judge memory_policies.py's results: the bounded memory of the shipped STPFNet."""
    shipped = next(one for one in configurations if one["network"] == "STPFNet" and one["policy"] == "bounded")
    times, grown = shipped["times"], shipped["grown_mb"]
    first, last = min(times, key=int), max(times, key=int)
    return [
        Target(
            f"STPFNet at frame {last} against frame {first}", times[last]["median"] / times[first]["median"], 1.15, True
        ),
        Target(f"STPFNet, memory grown from frame {first} to {last}", grown[last] - grown[first], 10.0, True, " MB"),
    ]


def stage_targets(stages: Mapping[str, Any]) -> list[Target]:
    """Judge stages.py's results: everything beside the network against the network, decoding and SEG apart."""
    return [
        Target(f"beside the network, {model}, of the network's time", beside_the_network(rounds), limit, True)
        for (model, rounds), limit in zip(stages["rounds"].items(), (1.0, 0.2), strict=True)
    ]


def beside_the_network(rounds: Sequence[Mapping[str, float]]) -> float:
    """Return the time of pre- and postprocessing, MRML and measuring over the network's, over all rounds."""
    beside = sum(one[stage] for one in rounds for stage in BESIDE_THE_NETWORK)
    return beside / sum(one["network"] for one in rounds)


def peer_targets(peers: Mapping[str, Any]) -> list[Target]:
    """Judge peers.py's results: the faster form of SAM 2.1 counts."""
    times = {name: spread["median"] for name, spread in peers["times"].items()}
    theirs = min((time for name, time in times.items() if name.startswith("SAM")), default=math.nan)
    return [Target("STPFNet against SAM 2.1 tiny", theirs / times["ours, stpfnet_light"], 10.0, False)]


def startup_targets(startup: Mapping[str, Any]) -> list[Target]:
    """Judge startup.py's results; Python's own start is taken off the import."""
    imports = {name: spread["median"] for name, spread in startup["imports"].items()}
    importing = (imports["UltrasoundLesionSegLib"] - imports["nothing"]) / 1000
    first = max(spread["median"] for spread in startup["first_result_s"].values())
    return [
        Target("import UltrasoundLesionSegLib", importing, 0.2, True, " s"),
        Target("first frame from a cold process", first, 5.0, True, " s"),
    ]
