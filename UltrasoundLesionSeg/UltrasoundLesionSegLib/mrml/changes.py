"""Tells whoever shows a cine that its results changed, whoever changed them: the panel, Slicer's console, a script."""

from __future__ import annotations

from typing import Any

# VTK events of a cine's browser node: any numbers that no other extension is likely to use
RESULTS_CHANGED, TABLES_CHANGED = 41766, 41765


def tell_results_changed(browser: Any) -> None:
    """Say that lesions, masks, anchors or confidences of a cine changed, or what can be done with them."""
    browser.InvokeEvent(RESULTS_CHANGED)


def tell_tables_changed(browser: Any) -> None:
    """Say that the tables and charts of a cine were made or filled."""
    browser.InvokeEvent(TABLES_CHANGED)
