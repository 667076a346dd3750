"""A strip of the whole cine: confidence of every frame, anchors, and where the cine stands. A click goes to a frame.

It is painted into the pixmap of a plain label and uses an event filter, because both work in Slicer's Python.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import qt
from numpy.typing import NDArray

from UltrasoundLesionSegLib.gui.messages import is_dark

# From unsure to sure; different also to people who cannot distinguish red from green, and in grey
SCALE = ((178, 60, 20), (236, 160, 50), (150, 190, 205), (40, 110, 165))
LOWEST, HIGHEST = 0.3, 1.0  # lower confidences have the colour of the lowest
ROW, GAP, MARKS = 14, 4, 12  # heights in px: a lesion's row, between rows, the marks of anchors above

Columns = NDArray[np.float32]  # confidence of every pixel column of a row, nan where there is none


@dataclass(frozen=True)
class TimelineRow:
    """One lesion in the timeline.

    Parameters
    ----------
    name : str
    confidences : ndarray of float32, shape (T,)
        nan where no model result is.
    anchors : dict of int to bool
        Frames, and whether the lesion is seen there.
    """

    name: str
    confidences: NDArray[np.float32]
    anchors: dict[int, bool]


class Timeline:
    """Paints the strip into a label. What did not change since the last painting is not painted again.

    Parameters
    ----------
    label : qt.QLabel
    go_to : callable
        Called with the frame that was clicked, and with each frame that the pressed mouse passes.
    """

    def __init__(self, label: Any, go_to: Callable[[int], None]) -> None:
        self._label = label
        self._go_to = go_to
        self._rows: list[TimelineRow] = []
        self._frames = 0
        self._current = -1
        self._to_look_at: list[int] = []
        self._strip: Any = None  # everything but the line of the frame shown
        self._painted: list[Columns | None] = []  # what each row shows
        self._look: tuple[Any, ...] = ()  # if this changes, everything is painted again
        self._filter = _LabelEvents(label)
        self._filter.listener = self
        label.installEventFilter(self._filter)

    def show(self, rows: list[TimelineRow], frames: int, current: int, to_look_at: list[int]) -> None:
        """Show other results, and the frames that are worth a look."""
        self._rows, self._frames, self._current, self._to_look_at = rows, frames, current, to_look_at
        self._label.setFixedHeight(MARKS + max(1, len(rows)) * (ROW + GAP))
        self.paint()

    def stop(self) -> None:
        """Stop listening to the label."""
        self._filter.listener = None
        self._label.removeEventFilter(self._filter)

    def show_current(self, current: int) -> None:
        """Show that the cine stands on another frame."""
        self._current = current
        self.paint()

    def frame_at(self, x: float) -> int:
        """Return the frame at a horizontal position in the label."""
        return int(np.clip(x * self._frames / max(1, self._label.width), 0, self._frames - 1))

    def pressed(self, x: float) -> None:
        """Go to the frame at a horizontal position, where the mouse was pressed or dragged to."""
        if self._frames and self.frame_at(x) != self._current:
            self._go_to(self.frame_at(x))

    def paint(self) -> None:
        """Paint what changed, in the label's present size."""
        width, height = self._label.width, self._label.height
        if width < 2 or height < 2:
            return
        rows = self._rows or [TimelineRow("", np.empty(0, np.float32), {})]
        look = (width, height, self._frames, is_dark(self._label), [row.anchors for row in rows], self._to_look_at)
        if look != self._look:
            self._look = look
            self._strip = qt.QPixmap(width, height)
            self._strip.fill(qt.QColor(0, 0, 0, 0))
            self._painted = [None] * len(rows)
        wanted = [column_confidences(row.confidences, width) for row in rows]
        spans = [changed_spans(before, after) for before, after in zip(self._painted, wanted, strict=True)]
        if any(spans):
            _with_painter(self._strip, lambda painter: self._paint_rows(painter, rows, wanted, spans))
            self._painted = [*wanted]
        pixmap = qt.QPixmap(self._strip)
        _with_painter(pixmap, lambda painter: self._paint_current(painter, width, height))
        self._label.setPixmap(pixmap)

    def _paint_rows(
        self, painter: Any, rows: list[TimelineRow], columns: list[Columns], spans: list[list[tuple[int, int]]]
    ) -> None:
        empty, mark = _empty_color(self._label), _ink(self._label)
        for number, stretches in enumerate(spans):
            top = MARKS + number * (ROW + GAP)
            for start, stop in stretches:
                painter.fillRect(start, top, stop - start, ROW, empty)
                for first, last, color in runs(columns[number][start:stop]):
                    painter.fillRect(start + first, top, last - first, ROW, qt.QColor(*color))
        for number, row in enumerate(rows):  # all of them: a mark reaches into the row above
            top = MARKS + number * (ROW + GAP)
            for frame, seen in row.anchors.items():
                x = round((frame + 0.5) * len(columns[number]) / max(1, self._frames))
                if seen:
                    painter.fillRect(x - 1, top - 3, 3, ROW + 6, mark)
                painter.fillRect(x - 3, top - 5, 7, 3, mark)
        for frame in self._to_look_at:
            x = round((frame + 0.5) * len(columns[0]) / max(1, self._frames))
            painter.fillRect(x - 3, MARKS + len(rows) * (ROW + GAP) - GAP, 7, GAP, qt.QColor(*SCALE[0]))

    def _paint_current(self, painter: Any, width: int, height: int) -> None:
        if 0 <= self._current < self._frames:
            x = round((self._current + 0.5) * width / self._frames)
            painter.fillRect(x - 1, 0, 2, height, qt.QColor(214, 40, 120))
            painter.fillRect(x - 4, 0, 8, 4, qt.QColor(214, 40, 120))


def _with_painter(pixmap: Any, paint: Callable[[Any], None]) -> None:
    painter = qt.QPainter()
    painter.begin(pixmap)
    try:
        paint(painter)
    finally:
        painter.end()


class _LabelEvents(qt.QObject):
    """Tells the timeline of clicks and drags on its label and of changes of its size and colours."""

    def __init__(self, parent: Any = None) -> None:
        qt.QObject.__init__(self, parent)
        self.listener: Timeline | None = None

    def eventFilter(self, _watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        kind = event.type()
        if self.listener is None:
            return False
        if kind in (qt.QEvent.Resize, qt.QEvent.PaletteChange):
            self.listener.paint()
        elif kind in (qt.QEvent.MouseButtonPress, qt.QEvent.MouseMove):  # without tracking, only drags arrive
            place = event.position() if hasattr(event, "position") else event.pos()  # Qt 6, Qt 5
            self.listener.pressed(place.x())
        return False


def changed_spans(before: Columns | None, after: Columns) -> list[tuple[int, int]]:
    """Return (start, stop) of the stretches of pixel columns whose confidence changed; all of them without a before.

    Parameters
    ----------
    before : ndarray of float32, shape (width,), or None
    after : ndarray of float32, shape (width,)
    """
    if before is None:
        return [(0, len(after))]
    differs = (before != after) & ~(np.isnan(before) & np.isnan(after))
    edges = np.flatnonzero(np.diff(differs, prepend=False, append=False)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def column_confidences(confidences: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Return the lowest confidence under every pixel column, shape (width,): one bad frame of many must show.

    Parameters
    ----------
    confidences : ndarray of float32, shape (T,)
    width : int
    """
    frames = len(confidences)
    if frames == 0:
        return np.full(width, np.nan, np.float32)
    first = np.arange(width) * frames // width
    last = np.maximum(first + 1, -(-(np.arange(1, width + 1) * frames) // width))
    known = np.where(np.isnan(confidences), np.inf, confidences)
    if frames <= width:
        lowest = known[first]
    else:
        lowest = np.array([known[a:b].min() for a, b in zip(first, last, strict=True)])
    return np.where(np.isinf(lowest), np.nan, lowest).astype(np.float32)


def color_of(confidence: float) -> tuple[int, int, int]:
    """Return the colour of a confidence in [0, 1]."""
    place = float(np.clip((confidence - LOWEST) / (HIGHEST - LOWEST), 0, 1)) * (len(SCALE) - 1)
    index = min(int(place), len(SCALE) - 2)
    share = place - index
    low, high = SCALE[index], SCALE[index + 1]
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(low, high, strict=True))
    return red, green, blue


def runs(columns: NDArray[np.float32]) -> list[tuple[int, int, tuple[int, int, int]]]:
    """Return (start, stop, colour) of neighbouring columns of one colour; columns without confidence are left out."""
    found: list[tuple[int, int, tuple[int, int, int]]] = []
    for x, value in enumerate(columns.tolist()):
        if value != value:  # nan
            continue
        color = color_of(value)
        if found and found[-1][1] == x and found[-1][2] == color:
            found[-1] = (found[-1][0], x + 1, color)
        else:
            found.append((x, x + 1, color))
    return found


def legend() -> str:
    """Return the meaning of the colours as rich text."""
    swatch = '<span style="background-color:{0};color:{0};">&nbsp;&nbsp;&nbsp;&nbsp;</span>'
    unsure, sure = (swatch.format("#{:02x}{:02x}{:02x}".format(*SCALE[index])) for index in (0, -1))
    mark = '<span style="color:#{:02x}{:02x}{:02x};">&#9646;</span>'.format(*SCALE[0])
    return (
        f"{unsure} unsure&nbsp;&nbsp;&nbsp;{sure} sure&nbsp;&nbsp;&nbsp;<b>I</b> anchor"
        "&nbsp;&nbsp;&nbsp;<b>&#8254;</b> not visible"
        f"&nbsp;&nbsp;&nbsp;{mark} below: worth a look"
    )


def _empty_color(label: Any) -> Any:
    return qt.QColor(70, 70, 70) if is_dark(label) else qt.QColor(222, 222, 222)


def _ink(label: Any) -> Any:
    return qt.QColor(240, 240, 240) if is_dark(label) else qt.QColor(25, 25, 25)
