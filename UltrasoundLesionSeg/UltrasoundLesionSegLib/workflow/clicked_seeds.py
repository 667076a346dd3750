"""Lesions drawn and corrected with clicks; a layer of the workflow class.

The method names are camelCase because Slicer's logic class inherits them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from UltrasoundLesionSegLib.cine import Mask, Origin
from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.workflow.arguments import checks_arguments
from UltrasoundLesionSegLib.workflow.seeds_and_anchors import DEFAULT_SEGMENT, SeedsAndAnchors
from UltrasoundLesionSegLib.workflow.suggesters import Suggester

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.engine.click_prompt import Box, Click
    from UltrasoundLesionSegLib.engine.clicking import ClickDrawing
    from UltrasoundLesionSegLib.mrml.segments import SegmentState


@dataclass
class _Clicked:
    """A lesion on a frame that is being clicked.

    Parameters
    ----------
    place : (int, str)
        Frame and segment ID.
    mask, state
        What was stored before the first click, for when all clicks are taken back.
    written, written_state
        What was stored after the last one.
    """

    place: tuple[int, str]
    mask: Mask
    state: SegmentState
    written: Mask
    written_state: SegmentState

    def is_as_left(self, place: tuple[int, str], mask: Mask, state: SegmentState) -> bool:
        """Whether nobody did anything to this lesion on this frame since the last click."""
        left = self.written_state
        return (
            self.place == place
            and (left.origin, left.provenance) == (state.origin, state.provenance)
            and np.array_equal(self.written, mask)
        )


@checks_arguments
class ClickedSeeds(SeedsAndAnchors):
    """Draws and corrects lesions from clicks and boxes."""

    def __init__(self) -> None:
        super().__init__()
        # by browser ID: the latest drawing of each cine, which keeps the model's answers
        self._clicked: dict[str, _Clicked] = {}
        self._drawings: dict[str, tuple[tuple[int, str, str, float | None], Mask, ClickDrawing]] = {}

    def _release_cine(self, browser: Any) -> None:
        super()._release_cine(browser)
        self._clicked.pop(browser.GetID(), None)
        self._drawings.pop(browser.GetID(), None)

    def _release_all(self) -> None:
        super()._release_all()
        self._clicked.clear()
        self._drawings.clear()

    def click(
        self,
        browser: Any,
        points: Sequence[Sequence[float]],
        frame: int | None = None,
        segment: str | None = None,
        box: Sequence[float] | None = None,
        editable: Mask | None = None,
        model: str | None = None,
        device: str = "auto",
    ) -> Mask:
        """Draw a lesion from clicks, or correct the mask that is there; the frame becomes an anchor.

        Give all clicks at every call, in the order they were made: the mask depends on them and on what was there
        before the first one. A click is taken back by calling again without it; no points at all put back what was
        there. What was there is known until another frame or another lesion is clicked: after that, the mask that the
        clicks made is what is there.

        Parameters
        ----------
        browser : vtkMRMLSequenceBrowserNode
        points : sequence of (row, column) or (row, column, inside)
            In pixels of the frame, the centre of the first pixel at (0, 0). ``inside`` is False for a point that does
            not belong to the lesion.
        frame : int, optional
        segment : str, optional
            Name or ID of the lesion, "Lesion" by default; made if it does not exist.
        box : (top, left, bottom, right), optional
            A rectangle around the lesion, in the same pixels.
        editable : ndarray of bool, shape (H, W), optional
            Where the mask may be changed, as a segment editor's masking says.
        model : str, optional
            A model whose role is to click; the default one when left out.
        device : str
            ``auto``, ``cpu``, ``cuda`` or ``mps``.

        Returns
        -------
        ndarray of bool, shape (H, W)
            The mask as stored. Other lesions keep their pixels. All False when no lesion was found: then what was there
            before the first click is there again.

        Raises
        ------
        SeedError
            When a point or the box is not on the frame, or the frame is not in the cine.
        """
        cine, at = self.cine(browser), self._frame(browser, frame)
        clicks, around = _checked_prompt(points, box, cine.shape)
        if editable is not None:
            _check_size("area that may be changed", editable, cine.shape)
        sequence = self._sequence(browser)
        self.commitEdit(browser)
        clicked = self._clicked.get(browser.GetID())
        name = segment or DEFAULT_SEGMENT
        identifier = self._find_segment(sequence, name) or self._add_segment(sequence, name)
        stored, state = sequence.read(at, identifier), sequence.state(at, identifier)
        if clicked is None or not clicked.is_as_left((at, identifier), stored, state):
            clicked = _Clicked((at, identifier), stored, state, stored, state)
            self._clicked[browser.GetID()] = clicked
        size = self._size_nearby(browser, at, identifier)
        drawn = self._drawing(browser, at, clicked.mask, size, model, device).mask(clicks, around)
        self.efforts.clicked(sequence, at, [*([] if box is None else [box]), *points], identifier)
        for other in sequence.segments():
            if other.id != identifier:
                drawn &= ~sequence.read(at, other.id)
        if editable is not None:
            drawn = np.where(editable, drawn, clicked.mask)
        if (clicks or around is not None) and drawn.any():
            made_by = self._click_model(model).as_provenance()
            sequence.write(at, {identifier: drawn}, {identifier: Origin.EDITED}, provenance={identifier: made_by})
            self._log_mask(sequence, at, Origin.EDITED)
        else:
            state = clicked.state
            # the state first, because a mask that is no anchor does not overwrite an anchor's
            sequence.set_state(at, identifier, state)
            sequence.write(
                at,
                {identifier: clicked.mask},
                {identifier: state.origin},
                {identifier: state.confidence},
                {identifier: state.provenance},
            )
        clicked.written, clicked.written_state = sequence.read(at, identifier), sequence.state(at, identifier)
        return drawn

    def proposeFromClicks(
        self,
        browser: Any,
        points: Sequence[Sequence[float]],
        start: Mask,
        frame: int | None = None,
        model: str | None = None,
        device: str = "auto",
        box: Sequence[float] | None = None,
        segment: str | None = None,
    ) -> Mask:
        """Return what ``click`` would draw; nothing is written until ``setSeed`` or a drawing accepts it.

        Parameters
        ----------
        browser, points, frame, model, device, box
            As for ``click``.
        start : ndarray of bool, shape (H, W)
            The mask before the first click; an empty one starts from nothing. A box draws anew, whatever was there.
        segment : str, optional
            ID of the lesion: its size on the frames drawn tells where to look first.

        Returns
        -------
        ndarray of bool, shape (H, W)
            All False when no lesion was found.

        Raises
        ------
        SeedError
            As for ``click``.
        """
        at = self._frame(browser, frame)
        shape = self.cine(browser).shape
        clicks, around = _checked_prompt(points, box, shape)
        _check_size("mask to start from", start, shape)
        size = self._size_nearby(browser, at, segment) if segment else None
        mask = self._drawing(browser, at, start, size, model, device).mask(clicks, around)
        self.efforts.clicked(self._sequence(browser), at, [*([] if box is None else [box]), *points])
        self._suggestions[browser.GetID(), at] = mask, self._click_model(model)
        return mask

    def _click_model(self, model: str | None) -> Suggester:
        bundle = self._bundle(model, "click")
        return Suggester(bundle.name, bundle.version, bundle.sha256)

    def _size_nearby(self, browser: Any, frame: int, segment: str) -> float | None:
        """Return a lesion's longer side, in pixels, on the nearest other anchor that shows it; None without one."""
        from UltrasoundLesionSegLib.engine.clicking import size_nearby

        sequence = self._sequence(browser)
        return size_nearby(frame, sequence.anchors().get(segment, ()), lambda one: sequence.read(one, segment))

    def _drawing(
        self, browser: Any, frame: int, start: Mask, size: float | None, model: str | None, device: str
    ) -> ClickDrawing:
        """Return what draws on a frame from a mask; the last one again where nothing is different."""
        from UltrasoundLesionSegLib.engine.clicking import ClickDrawing

        bundle = self._bundle(model, "click")
        key = (frame, bundle.sha256, device, size)
        last = self._drawings.get(browser.GetID())
        if last is not None and last[0] == key and np.array_equal(last[1], start):
            return last[2]
        network, on = self._network(bundle, device), self._resolve_device(device)
        drawing = ClickDrawing(self.cine(browser).frames[frame], network, bundle.input_size, on, start, size)
        self._drawings[browser.GetID()] = (key, start.copy(), drawing)
        return drawing


def _checked_prompt(
    points: Sequence[Sequence[float]], box: Sequence[float] | None, shape: tuple[int, int]
) -> tuple[list[Click], Box | None]:
    """Return clicks and box as the engine takes them; raises ``SeedError`` when they do not fit the frame."""
    from UltrasoundLesionSegLib.engine.click_prompt import Box, Click

    height, width = shape
    clicks = []
    for number, given in enumerate(points, start=1):
        point = _numbers(given)
        if len(point) not in (2, 3) or not (-0.5 <= point[0] <= height - 0.5 and -0.5 <= point[1] <= width - 0.5):
            where = f" (row {point[0]:g}, column {point[1]:g})" if len(point) in (2, 3) else ""
            raise SeedError(
                f"point {number}{where} is not on the frame of {height} x {width} pixels (rows x columns); give (row, "
                "column) or (row, column, inside) on it, in the shell X,Y: the column first"
            )
        clicks.append(Click(point[0], point[1], bool(point[2]) if len(point) == 3 else True))
    if box is None:
        return clicks, None
    edges = _numbers(box)
    if len(edges) != 4 or not (0 <= edges[0] < edges[2] < height and 0 <= edges[1] < edges[3] < width):
        raise SeedError(
            f"the box is not on the frame of {height} x {width} pixels (rows x columns); give (top, left, bottom, "
            "right) on it, the first two smaller than the last two, in the shell X,Y,X,Y: the column first"
        )
    return clicks, Box(*edges)


def _check_size(what: str, mask: Mask, shape: tuple[int, int]) -> None:
    if np.shape(mask) != shape:
        raise SeedError(f"the {what} has not the frame's {shape[0]} x {shape[1]} pixels; give a bool array of these")


def _numbers(given: Any) -> list[float]:
    """Return the numbers in a sequence; none where it is something else."""
    try:
        return [] if isinstance(given, str) else [float(one) for one in given]
    except (TypeError, ValueError):
        return []
