"""The interface of the panel for its sections: everything that a section may ask of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Host(Protocol):
    """The panel as its sections see it. A section knows this, and no other section.

    Attributes
    ----------
    root : qt.QWidget
        The widget of the .ui file: parent of dialogs and timers.
    ui : object
        The named widgets as attributes.
    logic : UltrasoundLesionWorkflow
    parameters : object or None
        The parameter node, None while a scene is closed.
    browser : vtkMRMLSequenceBrowserNode or None
        The chosen cine.
    """

    root: Any
    ui: Any
    logic: Any
    parameters: Any
    browser: Any

    # ---- what is chosen

    @property
    def busy(self) -> bool:
        """Whether a section is computing results."""

    def segmentation(self) -> Any | None:
        """Return the segmentation shown with the chosen cine, None where there is none."""

    def selected_segment(self) -> str:
        """Return the ID of the lesion selected in the editor, '' when there is none."""

    def selected_name(self) -> str:
        """Return the name of the lesion selected in the editor, '' when there is none."""

    def anchors(self) -> dict[str, dict[int, bool]]:
        """Return the anchors by segment ID, with what is drawn on the frame shown and not stored yet.

        The frames of each segment, ascending, with whether the lesion is seen there.
        """

    def last_propagation(self) -> Any | None:
        """Return the ``PropagationSummary`` of the last propagation of the chosen cine, None where there was none."""

    def device_name(self) -> str:
        """Return the device chosen to compute on, as the workflow names it."""

    @property
    def shows_charts(self) -> bool:
        """Whether charts and table are beside the cine."""

    # ---- what a section wants to happen

    def choose_cine(self, browser: Any) -> None:
        """Make this the chosen cine."""

    def show_frame(self, frame: int) -> None:
        """Go to a frame."""

    def offer(self, purpose: str, label: Any) -> bool:
        """Return whether the packages for a purpose are there; otherwise say in a label what to do.

        Parameters
        ----------
        purpose : str
            ``read``, ``compute``, ``export`` or ``train``.
        label : qt.QLabel
            The message line beside the button that was pressed.
        """

    def propagate(self) -> None:
        """Start propagating with the choices made."""

    def show_charts(self, shown: bool) -> None:
        """Show charts and table beside the cine, or the cine alone."""

    def store_edit(self) -> None:
        """Store what was drawn on the frame shown."""

    def later(self, action: Callable[[], None]) -> None:
        """Do something after the present event, unless the panel is gone by then."""

    # ---- what a section did

    def nodes_changed(self) -> None:
        """Say that nodes of the cine were made."""

    def results_changed(self) -> None:
        """Say that masks, anchors, confidences or segments changed."""

    def progress_made(self) -> None:
        """Say that more frames have results while the rest is still being computed."""

    def propagation_ended(self) -> None:
        """Say that a propagation is over, done or not."""

    def tables_changed(self) -> None:
        """Say that tables and charts were made or filled."""

    def packages_changed(self) -> None:
        """Say that Python packages were installed."""

    def models_changed(self) -> None:
        """Say that there are other models than before."""

    def busy_changed(self) -> None:
        """Say that what can be done is different: a computation began or ended, lesions came or went."""
