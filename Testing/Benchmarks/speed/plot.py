"""The picture of speed.md: forward passes quiet and busy, cost against length, stages, peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from targets import floor_ms

QUIET, BUSY = "#4c72b0", "#dd8452"


def draw(parts: Mapping[str, Mapping[str, Any]], target: Path) -> None:
    """Draw what was measured; a part that has not run leaves no panel."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels: dict[str, Callable[[Any, Mapping[str, Any]], None]] = {
        "network": _networks,
        "memory_policies": _memory,
        "stages": _stages,
        "peers": _peers,
    }
    drawn = [name for name in panels if name in parts]
    figure, axes = pyplot.subplots(2, 2, figsize=(13, 8.5), layout="constrained")
    for name, axis in zip(drawn, axes.flat, strict=False):
        panels[name](axis, parts[name])
    for axis in axes.flat[len(drawn) :]:
        axis.axis("off")
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


def _networks(axis: Any, network: Mapping[str, Any]) -> None:
    names = [name for name in network["times"]["bas_s"]["quiet"] if not name.startswith("convolution")]
    for offset, (state, colour) in enumerate((("quiet", QUIET), ("busy", BUSY))):
        times = network["times"]["bas_s"][state]
        middles = [times[name]["median"] for name in names]
        errors = [
            [times[name]["median"] - times[name]["low"] for name in names],
            [times[name]["high"] - times[name]["median"] for name in names],
        ]
        places = [place + (offset - 0.5) * 0.38 for place in range(len(names))]
        axis.barh(places, middles, height=0.36, xerr=errors, color=colour, label=state)
    axis.axvline(floor_ms(network, "bas_s"), color="black", linestyle="--", linewidth=1, label="floor")
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlim(left=1)
    axis.set_xlabel("ms a frame, median and quartiles")
    axis.set_title("BaS-S, forward")
    axis.legend(loc="lower right")


def _memory(axis: Any, found: Mapping[str, Any]) -> None:
    for one in found["configurations"]:
        lengths = [int(length) for length in one["times"]]
        style = {"bounded": "-", "every_n": "--", "all": ":"}[one["policy"]]
        label = f"{one['network']}, {one['policy']}, {one['input_size']} px"
        axis.plot(lengths, [time["median"] for time in one["times"].values()], style, marker="o", label=label)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_ylim(1, 40 * axis.get_ylim()[1])  # room for the legend
    axis.set_xlabel("frames since the seed")
    axis.set_ylabel("ms a frame")
    axis.set_title("Cost of a frame against the clip's length")
    axis.legend(fontsize="small")


def _stages(axis: Any, stages: Mapping[str, Any]) -> None:
    models = list(stages["rounds"])
    start = [0.0] * len(models)
    for stage in (one for one in stages["rounds"][models[0]][0] if one != "elapsed"):
        seconds = [
            sum(one[stage] for one in stages["rounds"][model]) / len(stages["rounds"][model]) for model in models
        ]
        axis.barh(models, seconds, left=start, label=stage)
        start = [before + more for before, more in zip(start, seconds, strict=True)]
    axis.set_xlabel("s")
    axis.set_title(f"The whole job, {stages['frames']} frames of 600 x 800")
    axis.legend(fontsize="small", ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.12))


def _peers(axis: Any, peers: Mapping[str, Any]) -> None:
    names = list(peers["times"])
    axis.barh(names, [peers["times"][name]["median"] for name in names], color=QUIET)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlim(left=1)
    axis.set_xlabel("ms a frame")
    axis.set_title("Peers, the same clip")
