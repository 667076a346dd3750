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
    last = list(parts.values())[-1]["machine"]
    versions = ", ".join(f"{package} {version}" for package, version in last["versions"].items())
    return (
        f"{last['cores']} cores of {last['processor']}, {last['memory_gb']} GB; Python {last['python']}, {versions}."
        "\n\n" + table(["part", "date", "cores used by other programs at its end"], rows)
    )


def targets_table(targets: Sequence[Target]) -> str:
    """Return every target with what was found."""
    rows = []
    for one in targets:
        sign = "at most" if one.at_most else "at least"
        found = "" if one.verdict == "not measured" else f"{one.value:.2f}{one.unit}"
        rows.append([one.aim, f"{sign} {one.limit:g}{one.unit}", found, one.verdict])
    return table(["target", "limit", "measured", "result"], rows)


def network_section(network: Mapping[str, Any]) -> str:
    """Return floors and the variants' times."""
    peaks = ", ".join(f"{shape} {value:.0f}" for shape, value in network["peak_gflops"].items())
    lines = [
        "## Networks",
        f"Speed of large convolutions in the same run on the quiet machine, in GFLOP/s: {peaks}. The floor is the time"
        " that a network's operations would take at the highest of these speeds. Times are for one frame, in ms, median"
        " (quartiles).",
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
    head = ["what", "how", "quiet machine", "quiet / floor", "busy machine", "busy / quiet"]
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
        f"A clip of {found['frames']} frames of 600 x 800 in memory has a seed on its middle frame, which is propagated"
        " to both ends. The times are from frame to mask, without a scene: ms a frame, median of whole runs"
        ' (quartiles). "Side by side" is what the package does: each direction has a thread and a core. "One after'
        " the other\" is the same work in the caller's thread, where each operation of the network uses all cores."
    )
    head = ["model", "directions", "quiet machine", "busy machine", "frames a second, quiet machine"]
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
    head = [
        "network",
        "memory",
        "input",
        "frame 50",
        "frame 200",
        "frame 1,000",
        "last / first",
        "growth of peak memory, MB",
    ]
    words = (
        "The table gives the time of one step of propagation at frames 50, 200 and 1,000, in ms. These frames took"
        " turns. The growth of peak memory is counted from the fifth frame of another clip up to each of these frames."
        " The policy `all` keeps every past frame. It was measured at an input of 96 pixels, because a remembered frame"
        " takes 2.8 times as much memory at 160; the other policies are shown at 96 too, for comparison. STM and the"
        " ResNet-50 form have random weights. Every frame was accepted with its true mask."
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
        f"A DICOM clip of {stages['frames']} frames of 600 x 800 (JPEG Baseline) is loaded into the scene, seeded on"
        " frame 0, propagated, measured and exported as SEG. Times are in seconds; in brackets is the share of the"
        ' network\'s time. The column "beside the network" is the sum of '
        + ", ".join(BESIDE_THE_NETWORK)
        + '. "MRML" includes loading the frames into the scene and writing the masks. Masks are computed while earlier'
        " ones are written, so the whole job can take less time than all stages together."
    )
    return "\n\n".join(["## The whole job by stage", words, table(head, rows)])


def peers_section(peers: Mapping[str, Any]) -> str:
    """Return the methods side by side."""
    own = peers["times"]["ours, stpfnet_light"]["median"]
    rows = [
        [name, spread(time), f"{1000 / time['median']:.2g}", f"{time['median'] / own:.1f}"]
        for name, time in peers["times"].items()
    ]
    words = (
        "The same clip of 600 x 800 on the CPU. The methods took turns frame by frame. Times are from frame to mask."
    )
    if not any(name.startswith("SAM") for name in peers["times"]):
        words += " SAM 2.1 was not installed (`pip install '.[bench]'`)."
    head = ["method", "ms a frame", "frames a second", "time / stpfnet_light's"]
    return "\n\n".join(["## Other programs", words, table(head, rows)])


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
            "Each run is a new process. Files are cached by the system.",
            table(["process", "ms"], imports),
            "The next table divides the time from the start of Python to the first frame's mask in the scene into parts"
            " (the median run). The CPU time is what an idle machine with one core would take, both frames included.",
            table(head, rows),
            f"Seconds spent on importing, by library (with `-X importtime`, which slows it): {libraries}.",
        ]
    )


def profiles_section(profiles: Mapping[str, Any]) -> str:
    """Return where the networks' time goes."""
    lines = [
        "## Where the time goes",
        "The largest operations of the default form of each network: ms a frame and calls a frame, with one thread and"
        " PyTorch's profiler, which slows small operations.",
    ]
    for name, found in profiles["subjects"].items():
        rows = [[f"`{key}`", f"{time:.2f}", f"{calls:.0f}"] for key, time, calls in found["operations"]]
        rows.append(["all other operations", f"{found['other_operations_ms']:.2f}", ""])
        lines.append(f"{name}: {found['whole_ms']:.1f} ms of CPU time without the profiler.")
        lines.append(table(["operation", "ms", "calls"], rows))
    lines.append(
        f"The same BaS-S on 32 x 32 pixels takes {profiles['calling_ms']:.1f} ms. It has almost nothing to compute"
        " there, so this is the time that the calls of PyTorch and oneDNN themselves take."
    )
    lines.append("### Beside the network")
    lines.append(
        "The steps around the networks, in ms of CPU time a frame: a cine of 600 x 800 in the scene is propagated from"
        " a seed on its middle frame and then measured, with one thread, one frame after the other. Loading the cine"
        " and exporting are not included."
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
        "This page shows how long each part of the work takes on the CPU and where the time is spent. It also compares"
        " the program with others.",
        "Written by `make bench` (`Testing/Benchmarks/speed`). The times were measured on one machine on one day. The"
        " ratios compare variants that took turns in one run, so they depend less on the machine and the day.",
        machines(parts),
        "## Targets",
        "Quiet and busy machine: without and with other programs on its cores. The floor is the shortest time in which"
        " this machine could do a network's operations ([below](#networks)). A target such as \"against its floor, at"
        ' most 2" means: at most twice that time.',
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
