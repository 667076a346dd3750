"""Join the parts' results into Docs/results/speed.md and speed.png: python Testing/Benchmarks/speed/report.py"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import ROOT, load
from startup import CPU
from targets import (
    BESIDE_THE_NETWORK,
    Target,
    beside_the_network,
    direction_targets,
    floor_ms,
    median,
    memory_targets,
    network_targets,
    peer_targets,
    stage_targets,
    startup_targets,
)

TARGET = ROOT / "Docs" / "results" / "speed.md"
NOTES = Path(__file__).with_name("notes.md")  # what the figures mean, written by hand; follows the tables
PARTS = ("network", "directions", "profiles", "memory_policies", "stages", "peers", "startup", "gpu")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(one: Mapping[str, float] | None) -> str:
    """Return a median in ms with its quartiles."""
    if one is None:
        return ""
    digits = 0 if one["median"] >= 100 else 1
    return f"{one['median']:.{digits}f} ({one['low']:.{digits}f} to {one['high']:.{digits}f})"


def machines(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """Say where and when each part ran."""
    rows = []
    for name, found in parts.items():
        where = found["machine"]
        rows.append([name, where["date"], f"{where['cores_used_by_others']} of {where['cores']}"])
    last = next(reversed(parts.values()))["machine"]
    versions = ", ".join(f"{package} {version}" for package, version in last["versions"].items())
    return (
        f"{last['cores']} cores of {last['processor']}, {last['memory_gb']} GB; Python {last['python']}, {versions}."
        "\n\n" + table(["part", "date", "cores that other programs used as it ended"], rows)
    )


def targets_table(targets: Sequence[Target]) -> str:
    """Return every target with what was found."""
    rows = []
    for one in targets:
        sign = "at most" if one.at_most else "at least"
        found = "" if one.verdict == "not measured" else f"{one.value:.2f}{one.unit}"
        rows.append([one.aim, f"{sign} {one.limit:g}{one.unit}", found, one.verdict])
    return table(["target", "aimed at", "found", "verdict"], rows)


def network_section(network: Mapping[str, Any]) -> str:
    """Return floors and the variants' times."""
    peaks = ", ".join(f"{shape} {value:.0f}" for shape, value in network["peak_gflops"].items())
    lines = [
        "## Networks",
        f"Large convolutions in the same run, GFLOP/s on the quiet machine: {peaks}. The floor is a network's"
        " operations at the highest of these. One frame; ms, median (quartiles).",
    ]
    rows = []
    for subject, states in network["times"].items():
        model = subject.removeprefix("propagate:")
        what = f"{model}, a step of propagation" if model != subject else f"{model}, forward"
        for variant in (name for name in states["quiet"] if not name.startswith("convolution")):
            quiet, busy = median(network, subject, "quiet", variant), median(network, subject, "busy", variant)
            floor = f"{quiet / floor_ms(network, model):.2f}" if subject in network["gflop"] else ""
            row = [what, variant, spread(states["quiet"][variant]), floor, spread(states["busy"][variant])]
            rows.append([*row, f"{busy / quiet:.1f}"])
    head = ["what", "how", "quiet", "over the floor", "both cores kept busy", "busy over quiet"]
    floors = [
        f"{model}: {network['gflop'][model]:.2f} GFLOP a frame (2 for a multiply-add), floor "
        f"{floor_ms(network, model):.1f} ms."
        for model in network["gflop"]
    ]
    return "\n\n".join([*lines, " ".join(floors), table(head, rows)])


def directions_section(found: Mapping[str, Any]) -> str:
    """Return both directions side by side and one after the other."""
    rows = []
    for model, states in found["times"].items():
        for way in states["quiet"]:
            quiet, busy = states["quiet"][way], states["busy"][way]
            rows.append([model, way, spread(quiet), spread(busy), f"{1000 / quiet['median']:.0f}"])
    words = (
        f"{found['frames']} frames of 600 x 800 in memory, a seed on the one in the middle, carried to both ends; from"
        " frame to mask, without a scene. ms a frame, median of whole runs (quartiles). Side by side is what the"
        " package does: a thread for each direction, one core each; one after the other is the same work in the"
        " caller's thread, each operation of the network with as many threads as there are cores."
    )
    head = ["model", "directions", "quiet", "both cores kept busy", "frames a second, quiet"]
    return "\n\n".join(["## Both directions from a seed in the middle", words, table(head, rows)])


def memory_section(found: Mapping[str, Any]) -> str:
    """Return time and memory against the clip's length."""
    rows = []
    for one in found["configurations"]:
        cells = [spread(time) for time in one["times"].values()] + [""] * (3 - len(one["times"]))
        grown = [f"{value:.0f}" for value in one["grown_mb"].values()]
        lengths = [*one["times"]]
        ratio = one["times"][lengths[-1]]["median"] / one["times"][lengths[0]]["median"]
        rows.append([one["network"], one["policy"], str(one["input_size"]), *cells, f"{ratio:.2f}", ", ".join(grown)])
    head = ["network", "memory", "input", "frame 50", "frame 200", "frame 1,000", "last over first", "peak grown, MB"]
    words = (
        "A step of propagation at the frame named, ms; the frames take turns. The growth of peak memory is that since"
        " the fifth frame of another clip, up to each of these frames. Where every past frame is kept (`all`) the input"
        " is 96 pixels, and for comparison the other policies are shown at it too: at 160 a remembered frame takes 2.8"
        " times as much. STM and the ResNet-50 form have random weights; every frame is accepted with its true mask."
    )
    return "\n\n".join(["## Length of the clip and memory", words, table(head, rows)])


def stages_section(stages: Mapping[str, Any]) -> str:
    """Return the whole job by stage."""
    rows = []
    for model, rounds in stages["rounds"].items():
        for number, one in enumerate(rounds, 1):
            cells = [f"{seconds:.2f} ({seconds / one['network']:.0%})" for seconds in one.values()]
            rows.append([f"{model}, round {number}", *cells, f"{beside_the_network([one]):.0%}"])
    head = ["model", *next(iter(stages["rounds"].values()))[0], "beside the network"]
    words = (
        f"{stages['frames']} frames of 600 x 800, JPEG Baseline in DICOM, into the scene, seeded on frame 0,"
        " propagated, measured, exported as SEG. Seconds, and in brackets of the network's time. Beside the network: "
        + ", ".join(BESIDE_THE_NETWORK)
        + ". MRML holds putting the frames into the scene and writing the masks. Masks are computed while the ones"
        " before are written: the job need not take as long as its stages together."
    )
    return "\n\n".join(["## The whole job by stage", words, table(head, rows)])


def peers_section(peers: Mapping[str, Any]) -> str:
    """Return the methods side by side."""
    own = peers["times"]["ours, stpfnet_light"]["median"]
    rows = [
        [name, spread(time), f"{1000 / time['median']:.2g}", f"{time['median'] / own:.1f}"]
        for name, time in peers["times"].items()
    ]
    words = "The same clip of 600 x 800, frame by frame in turns, whole steps from frame to mask, on the CPU."
    if not any(name.startswith("SAM") for name in peers["times"]):
        words += " SAM 2.1 was not installed (`pip install '.[bench]'`)."
    head = ["method", "ms a frame", "frames a second", "over stpfnet_light"]
    return "\n\n".join(["## Peers", words, table(head, rows)])


def startup_section(startup: Mapping[str, Any]) -> str:
    """Return imports and the parts of the first result."""
    labels = {"nothing": "Python alone"}
    imports = [[labels.get(name, f"import {name}"), spread(time)] for name, time in startup["imports"].items()]
    rows = []
    for model, runs in startup["parts"].items():
        middle = sorted(runs, key=lambda one: one[CPU])[len(runs) // 2]
        rows.append([model, *(f"{seconds:.2f}" for seconds in middle.values())])
    head = ["model, seconds", *next(iter(startup["parts"].values()))[0]]
    libraries = ", ".join(f"{name} {seconds:.2f}" for name, seconds in startup["libraries"].items())
    return "\n\n".join(
        [
            "## Start-up",
            "A new process each time, files cached by the system.",
            table(["process", "ms"], imports),
            "From starting Python to the first frame's mask in the scene, part by part; the run in the middle. The CPU"
            " time is what a machine with nothing else to do would take with one core, both frames included.",
            table(head, rows),
            f"Of these, importing takes, by library (s, with `-X importtime`, which slows it): {libraries}.",
        ]
    )


def profiles_section(profiles: Mapping[str, Any]) -> str:
    """Return where the networks' time goes."""
    lines = [
        "## Where the time goes",
        "One thread, PyTorch's own profiler (which slows small operations), ms a frame and calls a frame; the largest"
        " operations of the way that is on when a user chooses nothing.",
    ]
    for name, found in profiles["subjects"].items():
        rows = [[f"`{key}`", f"{time:.2f}", f"{calls:.0f}"] for key, time, calls in found["operations"]]
        rows.append(["all other operations", f"{found['other_operations_ms']:.2f}", ""])
        lines.append(f"{name}: {found['whole_ms']:.1f} ms of CPU time without the profiler.")
        lines.append(table(["operation", "ms", "calls"], rows))
    lines.append(
        f"The same BaS-S on 32 x 32 pixels takes {profiles['calling_ms']:.1f} ms, with next to nothing to compute: what"
        " PyTorch and oneDNN spend on being called."
    )
    lines.append("### Beside the network")
    lines.append(
        "A job in the scene, frames of 600 x 800, seeded in the middle, then measured; one thread, one frame after the"
        " other, ms of CPU time a frame. Loading the cine and exporting are not in it."
    )
    steps = sorted({name for found in profiles["beside"].values() for name, _ in found})
    by_model = {model: dict(found) for model, found in profiles["beside"].items()}
    steps.sort(key=lambda name: (name != "network", -sum(found.get(name, 0.0) for found in by_model.values())))
    rows = [[name, *(f"{found.get(name, 0.0):.2f}" for found in by_model.values())] for name in steps]
    beside = [sum(ms for name, ms in found.items() if name != "network") for found in by_model.values()]
    rows.append(["all beside the network", *(f"{ms:.2f}" for ms in beside)])
    lines.append(table(["step", *by_model], rows))
    return "\n\n".join(lines)


def gpu_section(gpu: Mapping[str, Any]) -> str:
    """Return the figures of a GPU, or that there was none."""
    if gpu["device"] is None:
        return (
            "## GPU\n\nNot measured: this machine has no CUDA device. `make bench` fills this section on one that has."
        )
    batches = [
        [
            row["model"],
            row["dtype"],
            str(row["batch"]),
            row["way"],
            f"{row['frames_per_second']:.0f}",
            f"{row['ready_s']:.1f}",
        ]
        for row in gpu["batches"]
    ]
    streaming = [[name, f"{rate:.0f}"] for name, rate in gpu["streaming"].items()]
    return "\n\n".join(
        [
            f"## GPU: {gpu['device']}",
            table(["model", "numbers", "batch", "how", "frames a second", "ready after, s"], batches),
            table(["propagation, streaming", "frames a second"], streaming),
        ]
    )


SECTIONS = {
    "network": (network_section, network_targets),
    "directions": (directions_section, direction_targets),
    "profiles": (profiles_section, lambda found: []),
    "memory_policies": (memory_section, lambda found: memory_targets(found["configurations"])),
    "stages": (stages_section, stage_targets),
    "peers": (peers_section, peer_targets),
    "startup": (startup_section, startup_targets),
    "gpu": (gpu_section, lambda found: []),
}


def compose(parts: Mapping[str, Mapping[str, Any]], notes: str) -> str:
    """Return the document for the parts that have run."""
    targets = [one for name, found in parts.items() for one in SECTIONS[name][1](found)]
    sections = [SECTIONS[name][0](found) for name, found in parts.items()]
    head = [
        "# Speed",
        "Written by `make bench` (`Testing/Benchmarks/speed`). Absolute times hold for one machine and one day; the"
        " ratios are of variants that took turns in one run.",
        machines(parts),
        "## Targets",
        targets_table(targets),
        "![Times per frame](speed.png)",
    ]
    return "\n\n".join([*head, *sections, notes.strip()]).rstrip() + "\n"


def main() -> None:
    """Write the document and its plot."""
    from plot import draw

    parts = {name: found for name in PARTS if (found := load(name)) is not None}
    TARGET.write_text(compose(parts, NOTES.read_text(encoding="utf-8") if NOTES.exists() else ""), encoding="utf-8")
    draw(parts, TARGET.with_suffix(".png"))


if __name__ == "__main__":
    main()
