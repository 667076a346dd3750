"""What the sections of the panel have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.gui.panel import Panel


class Section:
    """One section of the panel.

    Parameters
    ----------
    panel : Panel
        Knows the chosen cine, the logic and the other sections.
    """

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.ui: Any = panel.ui
        self.logic: Any = panel.logic

    def cine_changed(self) -> None:
        """Another cine, or none, was chosen, or its nodes came or went."""

    def frame_changed(self) -> None:
        """The cine shows another frame."""

    def results_changed(self) -> None:
        """Masks, anchors, confidences or segments changed."""

    def busy_changed(self) -> None:
        """What can be done now is different: a propagation started or ended, lesions came or went."""

    def cleanup(self) -> None:
        """The panel is about to be destroyed."""
