"""Draw training curves.

``python -m UltrasoundLesionSegLib.training.curves --run FOLDER [--run ...] --output FILE.png``
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib

from UltrasoundLesionSegLib.writers.atomic import atomic_path

matplotlib.use("Agg")  # no window, wherever this runs
from matplotlib import pyplot


def read_column(log: Path, column: str) -> tuple[list[int], list[float]]:
    """Return the steps and values of a column of ``log.csv``, rows where it is empty left out."""
    with log.open(newline="", encoding="utf-8") as file:
        rows = [(int(row["step"]), float(row[column])) for row in csv.DictReader(file) if row[column]]
    return [step for step, _ in rows], [value for _, value in rows]


def draw_curves(runs: Sequence[Path], target: Path) -> None:
    """Draw loss and Dice of one or several runs; dots are validation with the averaged weights.

    Parameters
    ----------
    runs : sequence of Path
        Folders with ``log.csv``, or such files.
    target : Path
        A PNG file.
    """
    figure, panels = pyplot.subplots(1, 2, figsize=(11, 3.8), dpi=110)
    for panel in panels:
        panel.set_prop_cycle(color=matplotlib.colormaps["tab20"](range(20)))  # the usual ten are too few
    for run in runs:
        log = run / "log.csv" if run.is_dir() else run
        name = run.name if run.is_dir() else run.stem.removeprefix("training_")
        for panel, train, validation in zip(panels, ("loss", "train_dice"), ("val_loss", "val_dice"), strict=True):
            (line,) = panel.plot(*read_column(log, train), label=name, linewidth=1)
            panel.plot(*read_column(log, validation), "o", color=line.get_color())
    for panel, title in zip(panels, ("loss", "Dice of the last frame"), strict=True):
        panel.set(xlabel="optimiser step", title=title)
        panel.grid(alpha=0.3)
    panels[1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.tight_layout()
    with atomic_path(target) as path:
        figure.savefig(path)
    pyplot.close(figure)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, action="append", required=True, help="folder with log.csv; repeatable")
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args()
    draw_curves(chosen.run, chosen.output)


if __name__ == "__main__":
    main()
