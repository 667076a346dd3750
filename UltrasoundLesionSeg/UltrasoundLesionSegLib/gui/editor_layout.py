"""The embedded Segment Editor made to fit a panel in which other sections follow it.

Slicer's widget is made to be the last thing in a panel: each of its two columns ends in an empty space of 40 pixels,
and it grows wider when a tool with options is chosen. The names are those of qMRMLSegmentEditorWidget.ui.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
import slicer

COLUMNS = ("verticalLayout_3", "verticalLayout")
SEGMENTS, MASKING = "SegmentsTableResizableFrame", "MaskingGroupBox"
BOX_SIDES = 16  # margins and frame, left and right, of the box around a tool's options
# Options for volumes of many slices, by the text on them; in a translated Slicer they stay, and the panel is wider.
THREE_D_OPTIONS = {
    "Paint": ("Sphere brush", "Edit in 3D views"),
    "Erase": ("Sphere brush", "Edit in 3D views"),
    "Scissors": ("Slice cut:", "Unlimited", "Positive", "Negative", "Symmetric"),
}


def close_the_gap(editor: Any) -> None:
    """Take away the empty space under the editor."""
    for name in COLUMNS:
        column = editor.findChild(qt.QVBoxLayout, name)
        spacer = column.itemAt(column.count() - 1).spacerItem() if column is not None else None
        if spacer is not None:
            spacer.changeSize(0, 0, qt.QSizePolicy.Minimum, qt.QSizePolicy.Expanding)
            column.invalidate()


def narrow(editor: Any, effects: Sequence[str]) -> None:
    """Take the options that a cine has no use for out of the tools, and let long rows wrap: the panel is narrower.

    Parameters
    ----------
    editor : qMRMLSegmentEditorWidget
    effects : sequence of str
        Names of the tools shown.
    """
    for name in effects:
        effect = editor.effectByName(name)
        frame = effect.optionsFrame() if effect is not None else None
        if frame is None:
            continue
        for kind in ("QCheckBox", "QRadioButton", "QLabel"):
            for option in slicer.util.findChildren(frame, className=kind):
                if option.text in THREE_D_OPTIONS.get(name, ()):
                    option.hide()
        if name == "Scissors":
            for depth in slicer.util.findChildren(frame, className="qMRMLSpinBox"):
                depth.hide()
        if name == "Smoothing":
            for form in slicer.util.findChildren(frame, className="QFormLayout"):
                form.setRowWrapPolicy(qt.QFormLayout.WrapLongRows)


def reserve_width(editor: Any, effects: Sequence[str]) -> None:
    """Make the editor as wide as its widest tool needs, so that the panel does not jump when that is chosen.

    Parameters
    ----------
    editor : qMRMLSegmentEditorWidget
    effects : sequence of str
        Names of the tools shown.
    """
    segments, masking = _child(editor, SEGMENTS), _child(editor, MASKING)
    if segments is None or masking is None:
        return  # another version's editor: it works, but its width changes
    frames = [effect.optionsFrame() for effect in map(editor.effectByName, effects) if effect is not None]
    widths = [frame.minimumSizeHint.width() + BOX_SIDES for frame in frames]
    segments.minimumWidth = max([masking.minimumSizeHint.width(), *widths])


def _child(editor: Any, name: str) -> Any | None:
    found = slicer.util.findChildren(editor, name=name)
    return found[0] if found else None
