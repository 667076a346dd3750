"""The keyboard's focus while buttons are switched off and on.

Qt passes the focus of a button that is switched off on to the next widget that takes it, and Slicer's module panel
scrolls there: after a press of a button near the top, the panel would show another section.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import qt


@contextmanager
def focus_kept(root: Any) -> Iterator[None]:
    """Leave the focus with the button that has it if that stays on, otherwise with the panel as a whole.

    Parameters
    ----------
    root : qt.QWidget
        The widget of the .ui file.
    """
    button = qt.QApplication.focusWidget()
    held = button is not None and button.inherits("QAbstractButton") and root.isAncestorOf(button)
    held = held and not button.down  # one that is being pressed would be let go, and do nothing
    if held:
        root.setFocus()
    try:
        yield
    finally:
        if held and button.enabled:
            button.setFocus()
