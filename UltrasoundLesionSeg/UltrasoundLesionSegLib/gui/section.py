"""What the sections of the panel have in common."""

from __future__ import annotations

from typing import Any

from UltrasoundLesionSegLib.gui.host import Host


class Section:
    """One section of the panel. The panel calls the methods below; a section overrides what concerns it.

    Parameters
    ----------
    host : Host
        The panel, as far as a section may know it.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.ui: Any = host.ui
        self.logic: Any = host.logic

    # ---- the module and its scene

    def prepare(self) -> None:
        """The scene is a new one: make the nodes that this section needs there."""

    def enter(self) -> None:
        """The module is shown."""

    def leave(self) -> None:
        """Another module is shown."""

    def let_go(self) -> None:
        """The scene is about to be closed."""

    def cleanup(self) -> None:
        """The panel is about to be destroyed."""

    # ---- what changed

    def choices_changed(self) -> None:
        """The parameter node holds other choices."""

    def cine_changed(self) -> None:
        """Another cine, or none, was chosen, or its nodes came or went."""

    def frame_changed(self) -> None:
        """The cine shows another frame."""

    def results_changed(self) -> None:
        """Masks, anchors, confidences or segments changed."""

    def drawing_changed(self) -> None:
        """Something was drawn or renamed in the editor and is not stored yet."""

    def stroke_drawn(self) -> None:
        """Something was painted, after every stroke; also after other changes of the segmentation shown."""

    def progress_made(self) -> None:
        """More frames have results while the rest is still being computed."""

    def propagation_ended(self) -> None:
        """A propagation is over, done or not."""

    def tables_changed(self) -> None:
        """Tables and charts were made or filled."""

    def packages_changed(self) -> None:
        """Python packages were installed."""

    def models_changed(self) -> None:
        """There are other models than before."""

    def busy_changed(self) -> None:
        """What can be done now is different: a computation started or ended, lesions came or went."""

    # ---- computing

    @property
    def running(self) -> bool:
        """Whether this section is computing results."""
        return False

    def cancel(self) -> None:
        """Stop computing and say what is done."""

    def stop(self) -> None:
        """Stop computing silently: the scene is changing."""
