"""The plot over all cases of a batch."""

from __future__ import annotations

from matplotlib.patches import Rectangle

from UltrasoundLesionSegLib.batch.case_row import CaseRow
from UltrasoundLesionSegLib.batch.plot import make_plot


def test_lesions_are_counted_in_whole_numbers() -> None:
    rows = [
        CaseRow(f"case-{number}", "done", long_axes={"mm": (size,)}, lowest=(0, 0.9), highest=0.9, mean=0.9)
        for number, size in enumerate((17.9, 20.4))
    ]
    _, sizes = make_plot(rows).axes
    widths = [bar.get_width() for bar in sizes.patches if isinstance(bar, Rectangle)]
    assert 0 < max(widths) < 1.5, "a bar of one lesion is no wall"
    assert sizes.get_ylabel() == "Lesions"
    ticks = sizes.get_yticks()
    assert max(ticks) >= 2
    assert all(float(tick).is_integer() for tick in ticks)
