"""Effort curves as tables, files and pictures, and the page of all sets.

``python -m UltrasoundLesionSegLib.evaluation.effort_tables RESULTS ... --output Docs/results/interactive.md`` makes one
page of the results of ``evaluate --interactive`` in ``RESULTS/SET``. Of a page that is there already, the tables of the
sets are replaced; what stands above "In one table", and sections with other names than a set's, are left alone.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np

from UltrasoundLesionSegLib.evaluation.effort import OFFERED, Effort, Worth, efforts, uncorrected, worth
from UltrasoundLesionSegLib.evaluation.interactive import SEED_FRAMES, Course, read_courses
from UltrasoundLesionSegLib.evaluation.people import FITTED, PEOPLE
from UltrasoundLesionSegLib.evaluation.tables import markdown_table
from UltrasoundLesionSegLib.measurement.printed import number_text
from UltrasoundLesionSegLib.report.wording import counted
from UltrasoundLesionSegLib.writers.atomic import atomic_path

matplotlib.use("Agg")  # no window, wherever this runs
from matplotlib import pyplot

STYLES = {OFFERED: "C3-o", "evenly spaced": "C0--s", "random": "C7:", "oracle": "C2-.", FITTED: "C1-^"}
HEAD = """# How much work a person has

After a propagation, a person corrects some frames and propagates again. This page shows how good the masks are after
each correction, if the person corrects the frames that the program offers, evenly spaced frames, or frames chosen at
random. It also shows how well the confidence (the [expected overlap](../models.md#confidence)) predicts the quality of
masks. The person is simulated: a correction replaces the mask of a frame by the true mask.

Made by `ultrasound-lesion-seg evaluate SET --interactive --model MODEL --output RESULTS/SET` for each set, then
`python -m UltrasoundLesionSegLib.evaluation.effort_tables RESULTS --output Docs/results/interactive.md`.
[How the clips are made, and what is simulated](../training.md#evaluate-how-much-work-a-person-has).
"""
WORDS = {
    "next frame, evenly spaced, random, oracle": "how the frame to correct is chosen: by the program; evenly spaced;"
    " at random (mean over several runs); the frame with the lowest true Dice, which is not always the best to correct",
    FITTED: "as next frame, and the model is fitted to all drawn frames before each propagation",
    "after 0, 1, ...": "mean Dice over all frames after so many corrections; drawn frames count as 1. In brackets, for"
    " a person who clicks: clicks so far",
    "area": "mean height of the curve through these Dice values (trapezoid rule)",
    "finished": "share of clips in which 95% of the frames reach a Dice of 0.9",
    "until finished": "corrections until then; for a clip that is not finished, one more than were offered",
    "area over evenly spaced": "area of the program's choice minus that of evenly spaced frames",
    "share of the oracle's lead": "gain of the program's choice over random frames, divided by the oracle's gain over"
    " random frames",
    "seed alone, all": "masks before the first correction; all masks, also those after corrections. After a correction"
    " the masks of a clip are more alike, and harder to rank",
    "rank": "rank correlation of expected overlap and Dice within a clip: 1 is perfect, 0 is none",
    "where seen": "the same for masks with a Dice between 0 and 1 only",
    "calibration error": "mean difference of expected overlap and Dice, in groups of masks",
    "below 0.8 told apart": "of all pairs of a mask with a Dice below 0.8 and a better one: how often the worse one has"
    " the lower expected overlap",
    "first in worst third": "how often the first frame offered is among the third of frames with the lowest Dice",
}
FITTED_ON = """The estimate of the expected overlap was fitted to `stpfnet_light`, on clips that are like `hard_apart`,
`simulated_apart` and `moving_stills` but have other patients and other seeds. Nothing was fitted on `phantom`.
"""
TABLES = "In one table"
Results = Mapping[str, Sequence[Course]]  # by model


def effort_text(results: Results) -> str:
    """Return the tables of one data set as Markdown."""
    lines = []
    for model, courses in results.items():
        found = efforts(courses)
        if not found:
            continue
        offered = len(found[0].curve) - 1
        heads = ["who chooses the frame", *(f"after {number}" for number in range(offered + 1)), "area", "finished"]
        heads += ["until finished", "drawn"]
        for seed, person in dict.fromkeys((one.seed, one.person) for one in found):
            alike = [one for one in found if (one.seed, one.person) == (seed, person)]
            rows = [_effort_row(one) for one in alike]
            who = f"seed on the {seed} frame, the person {PEOPLE[person].name}"
            lines += [f"**{model}**, {counted(alike[0].cases, 'clip')}; {who}", ""]
            lines += [*markdown_table(heads, rows), ""]
        if (told := worth(courses)) is not None:
            lines += [_worth_text(told), ""]
    return "\n".join(lines)


def _effort_row(effort: Effort) -> list[str]:
    curve = [number_text(value, 3) for value in effort.curve]
    if effort.clicks.any():
        curve = [f"{value} ({number_text(clicks, 1)})" for value, clicks in zip(curve, effort.clicks, strict=True)]
    return [
        effort.chooser,
        *curve,
        number_text(effort.area, 4),
        number_text(effort.finished, 0, percent=True),
        number_text(effort.until, 1),
        number_text(effort.drawn, 1),
    ]


def _worth_text(told: Worth) -> str:
    text = (
        f"Expected overlap, {counted(told.masks, 'mask')}: rank correlation inside a clip {_known(told.inside, 2)}"
        f" (where the lesion is seen {_known(told.inside_seen, 2)}), over all {_known(told.overall, 2)};"
        f" calibration error {_known(told.error, 3)}; "
    )
    if np.isnan(told.told_apart):
        text += "no pairs of a mask below 0.8 and a better one."
    else:
        poor = counted(told.poor, "mask")
        text += f"of {poor} below 0.8, less sure than a better one in {told.told_apart:.0%} of pairs."
    if np.isnan(told.gain_won):  # nothing was corrected
        return text
    return (
        text + f" First frame offered in the worst third: {told.first_in_worst_third:.0%}."
        f" Said that no further correction is needed: in {told.done:.0%} of the clips,"
        f" after {told.offered_until_done:.1f} frames, at Dice {_known(told.dice_when_done, 3)}."
        f" A correction was expected to gain {_known(told.gain_expected, 2)} (Dice summed over frames)"
        f" and gained {_known(told.gain_won, 2)}."
    )


def _known(value: float, digits: int) -> str:
    return number_text(value, digits, missing="unknown")


def write_effort(results: Results, output: Path) -> None:
    """Write ``effort.md``, ``effort.csv`` and ``effort.png`` of one data set.

    Parameters
    ----------
    results : mapping of str to sequence of Course
    output : Path
    """
    with atomic_path(output / "effort.md") as path:
        path.write_text(effort_text(results) + "\n", encoding="utf-8")
    with atomic_path(output / "effort.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "seed", "person", "chooser", "cases", "offered", "dice", "clicks"])
        for model, courses in results.items():
            for one in efforts(courses):
                way = [model, one.seed, one.person, one.chooser, one.cases]
                for number, (value, clicks) in enumerate(zip(one.curve, one.clicks, strict=True)):
                    writer.writerow([*way, number, f"{value:.5f}", f"{clicks:.2f}"])
    plot({output.name: results}, output / "effort.png")


def plot(sets: Mapping[str, Results], target: Path) -> None:
    """Plot effort curves and how reliable the expected overlap is.

    A row a model and a column a set, from a seed on the first frame; the reliability is in the last row.

    Parameters
    ----------
    sets : mapping of str to mapping of str to sequence of Course
        By data set, by model.
    target : Path
        A PNG file.
    """
    models = list(dict.fromkeys(model for results in sets.values() for model in results))
    size = 3.1 * len(sets) + 0.6, 2.5 * (len(models) + 1)
    figure, axes = pyplot.subplots(len(models) + 1, len(sets), figsize=size, dpi=110, squeeze=False)
    for column, (name, results) in enumerate(sets.items()):
        for row, model in enumerate(models):
            own = axes[row][column]
            for one in efforts(results.get(model, [])):
                if (one.seed, one.person) == (SEED_FRAMES[0], "draws"):
                    own.plot(range(len(one.curve)), one.curve, STYLES.get(one.chooser, ""), label=one.chooser, ms=4)
            own.set_title(f"{name}\n{model}" if row == 0 else model, fontsize=8)
            own.grid(alpha=0.3)
            own.tick_params(labelsize=7)
        last = axes[-1][column]
        last.plot([0.4, 1], [0.4, 1], "k:", lw=0.8)
        for model in models:
            if (told := worth(results.get(model, []))) is not None:
                pairs = [(one.expected, one.found) for one in told.bins]
                last.plot(*zip(*pairs, strict=True), "-o", ms=3, label=model)
        last.set_xlabel("expected overlap", fontsize=7)
        last.grid(alpha=0.3)
        last.tick_params(labelsize=7)
    axes[0][0].set_ylabel("mean Dice", fontsize=7)
    axes[-1][0].set_ylabel("Dice", fontsize=7)
    axes[0][0].legend(fontsize=6)
    axes[-1][0].legend(fontsize=6)
    figure.tight_layout()
    with atomic_path(target) as path:
        figure.savefig(path)
    pyplot.close(figure)


def lead(found: Sequence[Effort]) -> tuple[float, float]:
    """Return how far the product's curve lies above evenly spaced frames, and which share of the oracle's lead it has.

    Both of the curves' areas; the lead is over frames at random. nan where not all of them were simulated.
    """
    area = {one.chooser: one.area for one in found if one.person == "draws"}
    if not {OFFERED, "evenly spaced", "random", "oracle"} <= set(area):
        return float("nan"), float("nan")
    oracle, own = area["oracle"] - area["random"], area[OFFERED] - area["random"]
    return area[OFFERED] - area["evenly spaced"], own / oracle if oracle > 0 else float("nan")


def summary_text(sets: Mapping[str, Results]) -> str:
    """Return one table of the effort over all sets and models, and one of the expected overlap."""
    effort, overlap = [], []
    for name, results in sets.items():
        for model, courses in results.items():
            for seed in dict.fromkeys(course.seed for course in courses):
                own = [course for course in courses if course.seed == seed]
                effort += _summary_row([name, model, seed], own)
                overlap += _overlap_row([name, model, seed, "seed alone"], uncorrected(own))
                overlap += _overlap_row([name, model, seed, "all"], own)
    heads = ["set", "model", "seed", "clips", "area over evenly spaced", "share of the oracle's lead"]
    lines = markdown_table([*heads, "first in worst third"], effort)
    heads = ["set", "model", "seed", "masks", "rank", "where seen", "calibration error", "below 0.8 told apart"]
    return "\n".join([*lines, "", *markdown_table(heads, overlap)])


def _summary_row(names: list[str], courses: Sequence[Course]) -> list[list[str]]:
    """Return the row of a model's work from one seed; none without courses that follow the product's offers."""
    found, told = efforts(courses), worth(courses)
    if told is None:
        return []
    above, share = lead(found)
    numbers = [
        number_text(above, 4, signed=True),
        number_text(share, 0, percent=True),
        number_text(told.first_in_worst_third, 0, percent=True),
    ]
    return [[*names, str(found[0].cases), *numbers]]


def _overlap_row(names: list[str], courses: Sequence[Course]) -> list[list[str]]:
    """Return the row of a model's expected overlap; none without courses that follow the product's offers."""
    told = worth(courses)
    if told is None:
        return []
    numbers = [
        number_text(told.inside, 2),
        number_text(told.inside_seen, 2),
        number_text(told.error, 3),
        number_text(told.told_apart, 0, percent=True),
    ]
    return [[*names, *numbers]]


def merged(results: Sequence[Path]) -> dict[str, dict[str, list[Course]]]:
    """Return the courses of several results, by data set and model."""
    sets: dict[str, dict[str, list[Course]]] = {}
    for folder in sorted((one for root in results for one in root.iterdir()), key=lambda one: one.name):
        if (folder / "courses").is_dir():
            of_set = sets.setdefault(folder.name, {})
            for model, courses in read_courses(folder).items():
                of_set.setdefault(model, []).extend(courses)
    # case by case, as one run would have given them
    return {
        name: {model: sorted(of_set[model], key=lambda course: course.case) for model in sorted(of_set)}
        for name, of_set in sets.items()
    }


def page_text(sets: Mapping[str, Results], picture: str, page: str | None = None, note: str = "") -> str:
    """Return the page of all sets.

    Parameters
    ----------
    sets : mapping of str to mapping of str to sequence of Course
        By data set, by model.
    picture : str
        File name of the plot.
    page : str or None
        The page as it is, whose other text is kept; None for a new one.
    note : str
        What to know of the results; for a new page.
    """
    words = markdown_table(["words in the tables", "meaning"], [[word, meaning] for word, meaning in WORDS.items()])
    head, *sections = (page or "\n".join([HEAD, *words, "", FITTED_ON, note])).split("\n## ")
    names = [section.partition("\n")[0] for section in sections]
    place = names.index(TABLES) if TABLES in names else len(names)
    others = [one for one, name in zip(sections[place:], names[place:], strict=True) if name not in {TABLES, *sets}]
    plot_line = f"![Effort curves and reliability]({picture})"
    made = [f"{TABLES}\n\n{summary_text(sets)}\n\n{plot_line}"]
    made += [f"{name}\n\n{effort_text(results)}" for name, results in sets.items()]
    return "\n\n## ".join(one.strip() for one in [head, *sections[:place], *made, *others]) + "\n"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "results", type=Path, nargs="+", help="each with a folder for each data set, as evaluate --interactive wrote it"
    )
    parser.add_argument("--output", type=Path, required=True, help="the page; its plot gets the same name")
    parser.add_argument("--note", default="", help="of a new page: machine, date, what is missing")
    chosen = parser.parse_args()
    output: Path = chosen.output
    sets = merged(chosen.results)
    plot(sets, output.with_suffix(".png"))
    before = output.read_text(encoding="utf-8") if output.is_file() else None
    text = page_text(sets, output.with_suffix(".png").name, before, chosen.note)
    with atomic_path(output) as path:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
