"""The plot over all cases of a batch."""

from __future__ import annotations

from UltrasoundLesionSegLib.batch.plot import make_plot
from UltrasoundLesionSegLib.batch.table import CaseRow


def test_lesions_are_counted_in_whole_numbers() -> None:
    rows = [
        CaseRow(f"case-{number}", "done", "", lesions=({"long_axis_there_mm": size},), confidences=((0, 0.9),))
        for number, size in enumerate(("17.9", "20.4"))
    ]
    _, sizes = make_plot(rows).axes
    assert sizes.get_ylabel() == "Lesions"
    ticks = sizes.get_yticks()
    assert max(ticks) >= 2
    assert all(float(tick).is_integer() for tick in ticks)
