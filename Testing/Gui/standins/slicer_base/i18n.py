"""Slicer's translation functions, for a Slicer in English."""

from __future__ import annotations


def tr(text: str) -> str:
    """Return the text in the application's language."""
    return text


def translate(context: str, text: str) -> str:
    """Return the text of a context in the application's language."""
    return text
