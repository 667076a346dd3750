"""The page of a data set and the cards of models, from the results of ``evaluate``.

``python -m UltrasoundLesionSegLib.evaluation.result_pages RESULTS ... --page Docs/results/validation_SET.md`` puts the
tables of a data set into its page, in place of those that are there, and the plot where the page shows one. Where
several RESULTS are given, a method's rows are those of the last one that has it: so a new model is added without
computing the others again. ``--card Resources/Models/MODEL/docs/README.md`` puts the same figures into the card's rows
of that set. The other text, with machine, date and commit, is left alone.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from UltrasoundLesionSegLib.errors import LesionSegError, SourceError
from UltrasoundLesionSegLib.evaluation.evaluate import plot_decay
from UltrasoundLesionSegLib.evaluation.methods import HeldMask, OpticalFlow
from UltrasoundLesionSegLib.evaluation.scores import ScoredFrame, Summary, summarize
from UltrasoundLesionSegLib.evaluation.tables import LAST_LINE, LEVELS, interval_cell, read_frames, table_text
from UltrasoundLesionSegLib.measurement.printed import number_text
from UltrasoundLesionSegLib.writers.atomic import atomic_path

BASELINES = (HeldMask.name, OpticalFlow.name)
CARD_SCORES = ("iou", "missed", "extra", "mae", "boundary")  # between Dice and that of the last frame


def merged(results: Sequence[Path]) -> list[ScoredFrame]:
    """Return the rows of several results; a method's are those of the last result that has it."""
    by_method: dict[str, list[ScoredFrame]] = {}
    for folder in results:
        rows = read_frames(folder / "frames.csv")
        by_method |= {name: [row for row in rows if row.method == name] for name in _names(rows)}
    return [row for rows in by_method.values() for row in rows]


def summaries_of(rows: Sequence[ScoredFrame]) -> list[Summary]:
    """Return a summary of each method; a model's tells its differences to all other methods."""
    names = _names(rows)
    return [
        summarize(rows, name, [] if name in BASELINES else [other for other in names if other != name])
        for name in names
    ]


def page_with(tables: str, page: str) -> str:
    """Return a page with these tables in place of its own, or below its text where it has none."""
    head, _, own = page.partition(f"{LEVELS[0][1]}: ")
    _, _, below = own.partition(LAST_LINE)
    return f"{head.rstrip()}\n\n{tables.rstrip()}".lstrip() + (below or "\n")


def card_with(summaries: Sequence[Summary], data_set: str, card: str) -> str:
    """Return a card with these figures in its rows of a data set.

    Raises
    ------
    SourceError
        When the card has no row of the data set and one of the methods.
    """
    found = 0
    for summary in summaries:
        row = re.compile(rf"^\| {re.escape(data_set)} \| (\**{re.escape(summary.method)}\**) \|.*$", re.M)
        means = [number_text(summary.per_video[score][0], 3) for score in CARD_SCORES]
        cells = [interval_cell(summary.per_video["dice"]), *means, interval_cell(summary.last_dice)]
        card, count = row.subn(rf"| {data_set} | \1 | {' | '.join(cells)} |", card)
        found += count
    if not found:
        raise SourceError(f"a card has no row of the data set {data_set} and a method of the results; write such a row")
    return card


def _names(rows: Sequence[ScoredFrame]) -> list[str]:
    return list(dict.fromkeys(row.method for row in rows))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="folders that 'evaluate' wrote for one data set")
    parser.add_argument("--page", type=Path, required=True, help="validation_SET.md; a new one has the tables alone")
    parser.add_argument("--card", type=Path, action="append", default=[], help="of a model; repeatable")
    chosen = parser.parse_args()
    page: Path = chosen.page
    try:
        rows = merged(chosen.results)
        summaries = summaries_of(rows)
        before = page.read_text(encoding="utf-8") if page.is_file() else ""
        texts = {page: page_with(table_text(summaries), before)}
        for card in chosen.card:
            data_set = page.stem.removeprefix("validation_")
            texts[card] = card_with(summaries, data_set, card.read_text(encoding="utf-8"))
    except (LesionSegError, OSError, ValueError) as error:
        parser.error(str(error))
    for path, text in texts.items():
        with atomic_path(path) as target:
            target.write_text(text, encoding="utf-8")
    if f"({page.stem}.png)" in texts[page]:
        plot_decay(rows, _names(rows), page.with_suffix(".png"))


if __name__ == "__main__":
    main()
