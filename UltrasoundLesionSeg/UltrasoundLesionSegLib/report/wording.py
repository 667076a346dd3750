"""Words for numbers and for who made a mask, in what people read."""

from __future__ import annotations

from collections.abc import Iterable

from UltrasoundLesionSegLib.cine import Origin

ANCHOR_WORDS = {
    Origin.MANUAL: "seed",
    Origin.SIMULATED: "simulated seed",
    Origin.SUGGESTED: "suggested seed",
    Origin.CONFIRMED: "confirmed",
    Origin.EDITED: "clicked or corrected",
}
MARKED_ABSENT = "marked not visible"


def counted(number: int, thing: str, several: str = "") -> str:
    """Return a number with its noun: ``1 case``, ``2 cases``; ``several`` where the plural has not only an s."""
    return f"{number} {thing}" if number == 1 else f"{number} {several or f'{thing}s'}"


def frame_words(origins: Iterable[Origin | None], confidences: Iterable[float], is_visible: bool) -> list[str]:
    """Say what the masks of a frame are, in a caption under or in its picture.

    Parameters
    ----------
    origins : iterable of Origin or None
        Who made each lesion's mask; None where there is none.
    confidences : iterable of float
        Of the masks, 0 to 1; nan where one has none.
    is_visible : bool
        Whether one of the masks shows a lesion.

    Returns
    -------
    list of str
        E.g. ``["suggested seed"]`` or ``["not visible", "confidence 0.93"]``; empty for a frame without a result.
    """
    made_by = [origin for origin in origins if origin is not None]
    anchors = [origin for origin in made_by if origin.is_anchor]
    if anchors and not is_visible and anchors[0] is Origin.MANUAL:
        return [MARKED_ABSENT]
    words = ["not visible"] if made_by and not is_visible else []
    if anchors:
        return [*words, ANCHOR_WORDS[anchors[0]]]
    known = [one for one in confidences if one == one]  # a nan is not equal to itself
    return [*words, f"confidence {min(known):.2f}"] if known else words
