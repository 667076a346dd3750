"""What a batch writes over all its cases: ``cases.csv``, ``summary.png`` and ``index.html``."""

from __future__ import annotations

from collections.abc import Sequence

from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.manifest import ListedCase
from UltrasoundLesionSegLib.batch.page import write_page
from UltrasoundLesionSegLib.batch.plot import make_plot, png_of
from UltrasoundLesionSegLib.batch.table import read_rows, write_table
from UltrasoundLesionSegLib.writers.atomic import atomic_path

TABLE, PLOT, PAGE = "cases.csv", "summary.png", "index.html"


def write_summary(folder: BatchFolder, listed: Sequence[ListedCase]) -> None:
    """Write table, plot and page anew from the files of the finished cases.

    Parameters
    ----------
    folder : BatchFolder
    listed : sequence of ListedCase
        All cases, with their states.

    Raises
    ------
    OutputError
        When one cannot be written.
    """
    rows = read_rows(folder, listed)
    write_table(folder.root / TABLE, rows)
    worst_first = sorted(rows, key=lambda row: (*row.urgency, row.name))
    plot = png_of(make_plot(worst_first))
    with atomic_path(folder.root / PLOT) as temporary:
        temporary.write_bytes(plot)
    write_page(folder.root / PAGE, worst_first, plot)
