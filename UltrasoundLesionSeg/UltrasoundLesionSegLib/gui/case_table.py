"""The table of a worklist's cases. Rows are filled between Qt's events, so that thousands do not freeze the window."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import qt

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.review.worklist import WorkCase

HEADINGS = ("Case", "Frames", "State", "Overlap", "Drawn", "Time")
HEADING_TIPS = (
    "Name of the case.",
    "Frames of the cine, where the batch has computed it.",
    "How far you are with it.",
    "Expected overlap (Dice) with what a person would draw, on the stretch of frames where it is lowest.",
    "Frames that you drew or declared right.",
    "Time that you worked on it.",
)
TURN_S = 0.05  # filling between two turns of the window
_STATES = ("new", "in work", "done", "set aside")


class CaseTable:
    """Shows cases in a view, in the order given or by one column.

    Parameters
    ----------
    view : qt.QTableView
    activated : callable
        Called with the name of a case that was double-clicked, or chosen with Return.
    """

    def __init__(self, view: Any, activated: Callable[[str], None]) -> None:
        self._view = view
        self._activated = activated
        self._given: list[WorkCase] = []
        self._shown: list[WorkCase] = []
        self._sorted_by: tuple[int, bool] | None = None  # column, and whether it descends; None: the order given
        self._filled = 0  # rows that have their texts
        self._model = qt.QStandardItemModel(view)
        view.setModel(self._model)
        self._model.setHorizontalHeaderLabels(list(HEADINGS))
        for column, tip in enumerate(HEADING_TIPS):
            self._model.setHeaderData(column, qt.Qt.Horizontal, tip, qt.Qt.ToolTipRole)
        view.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        view.horizontalHeader().setResizeContentsPrecision(0)  # columns fit the rows in sight: all rows would take long
        view.horizontalHeader().connect("sectionClicked(int)", self._heading_clicked)
        view.connect("activated(QModelIndex)", lambda index: self._row_activated(index.row()))
        self._timer = qt.QTimer(view)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._fill)
        self._fit_columns()

    def show(self, cases: Sequence[WorkCase]) -> None:
        """Show these cases; the chosen one stays chosen when it is among them."""
        chosen = self.chosen
        self._given = list(cases)
        self._shown = sorted_cases(self._given, self._sorted_by)
        self._model.setRowCount(0)  # no row may show another case's texts while it waits for its own
        self._model.setRowCount(len(self._shown))
        self._filled = 0
        self._fill()
        self._fit_columns()
        if chosen:
            self.choose(chosen)
        if self._filled < len(self._shown):
            self._timer.start()

    def update(self, case: WorkCase, is_listed: bool) -> None:
        """Show what is known of a case now in its row, if it has one; a row that is not to be listed any more goes."""
        row = self._row_of(case.name)
        if row is None:
            return
        self._given = [
            case if one.name == case.name else one for one in self._given if is_listed or one.name != case.name
        ]
        if is_listed:
            self._shown[row] = case
            self._write(row)
            self._fit_columns()
        else:
            del self._shown[row]
            self._filled -= row < self._filled
            self._model.removeRow(row)

    @property
    def chosen(self) -> str:
        """Name of the chosen case, '' when none is."""
        row = self._view.currentIndex().row()
        return self._shown[row].name if 0 <= row < len(self._shown) else ""

    def choose(self, name: str) -> None:
        """Choose a case, if it is shown, and bring it into sight."""
        row = self._row_of(name)
        if row is not None:
            self._view.selectRow(row)
            self._view.scrollTo(self._model.index(row, 0))

    def stop(self) -> None:
        """Fill no further."""
        self._timer.stop()

    def _fit_columns(self) -> None:
        for column in range(1, len(HEADINGS)):
            self._view.resizeColumnToContents(column)

    def _row_of(self, name: str) -> int | None:
        return next((row for row, case in enumerate(self._shown) if case.name == name), None)

    def _row_activated(self, row: int) -> None:
        if 0 <= row < len(self._shown):
            self._activated(self._shown[row].name)

    def _heading_clicked(self, column: int) -> None:
        """Sort by a column: ascending, then descending, then in the order given again."""
        if self._sorted_by == (column, False):
            self._sorted_by = column, True
        else:
            self._sorted_by = None if self._sorted_by == (column, True) else (column, False)
        self.show(self._given)

    def _fill(self) -> None:
        until = time.perf_counter() + TURN_S
        while self._filled < len(self._shown):
            self._write(self._filled)
            self._filled += 1
            if time.perf_counter() > until:
                return
        self._timer.stop()

    def _write(self, row: int) -> None:
        case = self._shown[row]
        for column, text in enumerate(texts(case)):
            self._model.setData(self._model.index(row, column), text)
        self._model.setData(self._model.index(row, 0), tip(case), qt.Qt.ToolTipRole)


def sorted_cases(cases: Sequence[WorkCase], by: tuple[int, bool] | None) -> list[WorkCase]:
    """Return cases by one column; cases that have nothing there come last either way.

    Parameters
    ----------
    cases : sequence of WorkCase
    by : (int, bool) or None
        The column, and whether it descends. None leaves the order as it is.
    """
    if by is None:
        return list(cases)
    column, descends = by

    def value(case: WorkCase) -> Any:
        values = (
            case.name,
            case.frames,
            _STATES.index(case.state.value),
            case.overlap,
            case.frames_drawn,
            case.seconds,
        )
        return values[column]

    known = [case for case in cases if value(case) is not None]
    unknown = [case for case in cases if value(case) is None]
    return [*sorted(known, key=value, reverse=descends), *unknown]


def texts(case: WorkCase) -> tuple[str, ...]:
    """Return what the columns say of a case; '' where there is nothing to say."""
    overlap = case.overlap
    return (
        case.name,
        "" if case.frames is None else str(case.frames),
        case.state.value,
        "" if overlap is None or math.isnan(overlap) else f"{overlap:.2f}",
        str(case.frames_drawn or ""),
        time_text(case.seconds),
    )


def tip(case: WorkCase) -> str:
    """Return what else there is to know of a case, for its row's tooltip."""
    lines = []
    if case.stretch is not None:
        lines.append(f"Lowest expected overlap on frames {case.stretch.first} to {case.stretch.last}.")
    if case.reason:
        lines.append(f"Set aside: {case.reason}")
    if case.machine == "waiting":
        lines.append("The batch has not computed it yet.")
    if case.remark:
        lines.append(f"{case.remark[0].upper()}{case.remark[1:]}.")
    return "\n".join(lines)


def time_text(seconds: float) -> str:
    """Return a time spent for people: ``45 s``, ``12 min``, ``1 h 20 min``; '' for none."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole else ""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
