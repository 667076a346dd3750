"""What a batch writes over all its cases: ``cases.csv``, ``summary.png``, ``index.html`` and the index of the list."""

from __future__ import annotations

from collections.abc import Sequence

from UltrasoundLesionSegLib.batch.folder import PAGE, PLOT, TABLE, BatchFolder
from UltrasoundLesionSegLib.batch.index import read_rows, write_index
from UltrasoundLesionSegLib.batch.manifest import ListedCase
from UltrasoundLesionSegLib.batch.page import TITLE as PAGE_TITLE
from UltrasoundLesionSegLib.batch.page import write_pages
from UltrasoundLesionSegLib.batch.plot import make_plot, png_of
from UltrasoundLesionSegLib.batch.reviews import Reviews
from UltrasoundLesionSegLib.batch.table import write_table
from UltrasoundLesionSegLib.writers.atomic import atomic_path


def write_summary(folder: BatchFolder, listed: Sequence[ListedCase], title: str = PAGE_TITLE) -> int:
    """Write table, plot and page again from the files of the finished cases; those that were changed are kept aside.

    Parameters
    ----------
    folder : BatchFolder
    listed : sequence of ListedCase
        All cases, with their states.
    title : str
        Of the page.

    Returns
    -------
    int
        Cases whose suggested seed nobody has looked at.

    Raises
    ------
    OutputError
        When one cannot be written.
    """
    rows = list(read_rows(folder, listed))
    write_index(folder, rows)
    folder.put_changed_aside()
    reviews = Reviews.of(folder.root)
    write_table(folder.root / TABLE, folder, rows, reviews)
    worst_first = sorted(rows, key=lambda row: (*reviews.urgency(row), row.name))
    plot = png_of(make_plot(worst_first, reviews))
    with atomic_path(folder.root / PLOT) as temporary:
        temporary.write_bytes(plot)
    pages = write_pages(folder.root / PAGE, worst_first, plot, reviews, title)
    folder.remember_written([TABLE, PLOT, *(path.name for path in pages)])
    return sum(reviews.awaits_look(row) for row in rows)
