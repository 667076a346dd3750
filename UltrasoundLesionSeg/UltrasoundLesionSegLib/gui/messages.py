"""Lines of text in the panel that say what happened, used instead of pop-up windows."""

from __future__ import annotations

import html
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import qt

from UltrasoundLesionSegLib.errors import LesionSegError

logger = logging.getLogger(__name__)

SETTLED_MS = 100  # Slicer's layouts, one inside the other, need several turns of the event loop


class CancelledError(Exception):
    """The user cancelled what was being done; the message says what is kept, or what to do."""


class Tone(Enum):
    """What kind of line it is, with its colour on a light and on a dark background (contrast at least 4.5 to 1)."""

    PLAIN = ("", "")
    GOOD = ("#1b6e2d", "#7fd18b")
    CAUTION = ("#8f5400", "#ffb74d")
    BAD = ("#b3261e", "#ff8a80")


def is_dark(widget: Any) -> bool:
    """Whether a widget shows light text on a dark background."""
    return bool(widget.palette.color(qt.QPalette.Window).lightness() < 128)


def colored(text: str, tone: Tone, widget: Any) -> str:
    """Return plain text as rich text, in a tone's colour that can be read in the widget's present theme."""
    light, dark = tone.value
    color = dark if is_dark(widget) else light
    escaped = html.escape(text)
    return f'<span style="color:{color}">{escaped}</span>' if color else escaped


def recolor(label: Any) -> None:
    """Change the tones' colours in what a label says to those of its present theme."""
    text = label.text
    for light, dark in (tone.value for tone in Tone if tone is not Tone.PLAIN):
        text = text.replace(light, dark) if is_dark(label) else text.replace(dark, light)
    if text != label.text:
        label.text = text


def tell(label: Any, text: str, tone: Tone = Tone.PLAIN) -> None:
    """Show plain text in a message line; an empty text hides the line.

    Parameters
    ----------
    label : qt.QLabel
    text : str
    tone : Tone
    """
    label.text = colored(text, tone, label)
    label.visible = bool(text)


class PassingMessage:
    """A line that goes when what it speaks of changes; a line that another action wrote there meanwhile stays.

    Parameters
    ----------
    label : qt.QLabel
    subject : callable
        Returns what the line speaks of as it is now; compared with what it was when the line was said.
    """

    def __init__(self, label: Any, subject: Callable[[], Any]) -> None:
        self._label = label
        self._subject = subject
        self._text, self._said_of = "", None

    def said(self) -> None:
        """Let what the label says now go with the next change."""
        self._text, self._said_of = self._label.text, self._subject()

    def check(self) -> None:
        """Empty the label if its line is still the one said and its subject is another now."""
        if self._text and self._label.text == self._text and self._subject() != self._said_of:
            self._text = ""
            tell(self._label, "")


@contextmanager
def telling(label: Any, wait: bool = False, clear: bool = True) -> Iterator[None]:
    """Run an action; what goes wrong becomes a sentence in the label, never a traceback or a window.

    The log of something unexpected names where it happened but not the error's own text, which can hold a file name
    and with it a patient's.

    Parameters
    ----------
    label : qt.QLabel
    wait : bool
        Show the wait cursor meanwhile.
    clear : bool
        Empty the label when the action starts.
    """
    if clear:
        tell(label, "")
    if wait:
        qt.QApplication.setOverrideCursor(qt.Qt.WaitCursor)
    try:
        yield
    except CancelledError as cancelled:
        tell(label, sentence(str(cancelled)))
    except LesionSegError as error:
        tell(label, sentence(str(error)), Tone.BAD)
    except Exception as error:
        places = "".join(traceback.format_tb(error.__traceback__))
        logger.error("unexpected %s at\n%s", type(error).__name__, places)
        tell(label, f"Something unexpected went wrong ({type(error).__name__}); the log tells where.", Tone.BAD)
    finally:
        if wait:
            qt.QApplication.restoreOverrideCursor()


def reveal(widget: Any) -> None:
    """Scroll the panel so that a widget is in sight, as soon as the layouts have given it its place."""
    qt.QTimer.singleShot(SETTLED_MS, lambda: _scroll_to(widget) if widget else None)  # a deleted Qt object is false


def _scroll_to(widget: Any) -> None:
    area = widget.parent() if widget.visible else None  # one that lies in a folded section has no place
    while area is not None and not area.inherits("QScrollArea"):
        area = area.parent()
    if area is not None:
        area.ensureWidgetVisible(widget)


def sentence(text: str) -> str:
    """Return an error's text as a sentence: capital letter, full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
