"""Outlines of two readers, or of a reader and the model, over the open case; the reader decides, outline by outline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.gui.case_keeper import CaseKeeper
from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.library_loading import import_steps
from UltrasoundLesionSegLib.gui.masking import draw_mask
from UltrasoundLesionSegLib.gui.messages import Tone, tell, telling
from UltrasoundLesionSegLib.gui.repainting import run_repainting

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.cine import Mask
    from UltrasoundLesionSegLib.mrml.outlines import Outlines
    from UltrasoundLesionSegLib.review.adjudication import Choice
    from UltrasoundLesionSegLib.review.comparison import Side


class ReaderComparison:
    """Shows both outlines while it is switched on and a case is open that both readers are done with.

    Parameters
    ----------
    host : Host
    keeper : CaseKeeper
        Has the case of the reader who decides.
    """

    def __init__(self, host: Host, keeper: CaseKeeper) -> None:
        self._host, self._keeper, self.ui = host, keeper, host.ui
        self._folder = ""
        self._codes: tuple[str, str] = ("", "")
        self._sides: tuple[Side, Side] | None = None
        self._choices: list[Choice] = []
        self._outlines: Outlines | None = None
        self._chosen: Choice | None = None  # the one gone to last
        self._is_pair_chosen = False  # by a person
        self.ui.compareCollapsibleButton.collapsed = True
        self.ui.compareButton.connect("toggled(bool)", lambda _on: self.case_changed())
        self.ui.nextDifferenceButton.connect("clicked(bool)", self.next_difference)
        self.ui.takeFirstButton.connect("clicked(bool)", lambda *_: self.take(0))
        self.ui.takeSecondButton.connect("clicked(bool)", lambda *_: self.take(1))
        self.ui.drawAnewButton.connect("clicked(bool)", self.draw_anew)
        self.ui.takeAgreedButton.connect("clicked(bool)", self.take_agreed)
        for box in (self.ui.firstReaderComboBox, self.ui.secondReaderComboBox):
            box.connect("currentIndexChanged(int)", lambda _index: self._pair_chosen())

    # ---- on and off

    def list_readers(self, folder: str, codes: Sequence[str]) -> None:
        """Offer these readers of a batch folder and the model; those chosen before stay if they can."""
        from UltrasoundLesionSegLib.review.comparison import MODEL

        self._folder, codes = folder, [*codes, MODEL]
        boxes = (self.ui.firstReaderComboBox, self.ui.secondReaderComboBox)
        before = [str(box.currentText) for box in boxes]
        can_stay = self._is_pair_chosen and before[0] != before[1] and set(before) <= set(codes)
        for number, box in enumerate(boxes):
            box.blockSignals(True)
            box.clear()
            for code in codes:
                box.addItem(code)
            box.currentIndex = codes.index(before[number]) if can_stay else min(number, len(codes) - 1)
            box.blockSignals(False)
        self.case_changed()

    def _pair_chosen(self) -> None:
        self._is_pair_chosen = True
        self.case_changed()

    def case_changed(self) -> None:
        """Show both readers' outlines over the case that is open now, or none."""
        self.stop()
        is_wanted = bool(self.ui.compareButton.checked) and bool(self._keeper.name)
        with telling(self.ui.compareLabel, wait=is_wanted):
            if is_wanted:
                self._begin()
        self.show()

    def _begin(self) -> None:
        run_repainting(import_steps("scipy.optimize"))
        from UltrasoundLesionSegLib.mrml.outlines import Outlines
        from UltrasoundLesionSegLib.review.adjudication import choices
        from UltrasoundLesionSegLib.review.comparison import shared_source, side_of

        first, second = str(self.ui.firstReaderComboBox.currentText), str(self.ui.secondReaderComboBox.currentText)
        if not first or not second or first == second:
            raise ReviewError("two are needed to compare; choose two different ones")
        output, name = Path(self._folder), self._keeper.name
        sides = side_of(output, first, name), side_of(output, second, name)
        if not shared_source(sides).is_same(self._keeper.source):
            raise ReviewError("both are of another version of the cine; there is nothing to decide")
        self._choices = choices(*sides)
        self._codes, self._sides = (first, second), sides
        self._outlines = Outlines(self._host.browser, [_title(code) for code in self._codes])

    def stop(self) -> None:
        """Take the outlines away."""
        if self._outlines is not None:
            self._outlines.remove()
        self._outlines, self._sides, self._choices, self._chosen = None, None, [], None

    # ---- what is shown

    def show(self) -> None:
        """Show the outlines on the frame shown, and what there is to decide."""
        if self._outlines is not None and self._sides is not None and self._keeper.is_shown:
            frame = self._frame
            masks = (_union(side, frame) for side in self._sides)
            names = map(_title, self._codes)
            self._outlines.show({name: mask for name, mask in zip(names, masks, strict=True) if mask is not None})
            tell(self.ui.compareLabel, self._state())
        elif not self.ui.compareButton.checked:
            tell(self.ui.compareLabel, "")
        self.busy_changed()

    @property
    def _frame(self) -> int:
        return int(self._host.browser.GetSelectedItemNumber())

    def _undecided(self) -> list[Choice]:
        if self._keeper.reader in self._codes:  # nothing to decide: what differs is looked at
            return [one for one in self._choices if not one.is_agreed]
        decided = self._keeper.decided
        return [one for one in self._choices if (one.frame, one.lesion) not in decided]

    def _here(self) -> Choice | None:
        """Return what is to be decided on the frame shown: the one gone to, else one that is undecided, else any."""
        if self._sides is None or not self._keeper.is_shown:
            return None
        frame = self._frame
        if self._chosen is not None and self._chosen.frame == frame:
            return self._chosen
        undecided = [one for one in self._undecided() if one.frame == frame]
        return next(iter([*undecided, *(one for one in self._choices if one.frame == frame)]), None)

    def _state(self) -> str:
        first, second = self._codes
        left, here = len(self._undecided()), self._here()
        is_own = self._keeper.reader in self._codes
        what = "differ" if is_own else "to decide"
        text = f"Blue: {first}. Pink: {second}. {left} of {len(self._choices)} outlines {what}."
        if here is not None:
            is_decided = not is_own and (here.frame, here.lesion) in self._keeper.decided
            text += f" Here: {here.lesion}, Dice {here.dice:.2f}{', decided' if is_decided else ''}."
        return text

    def busy_changed(self) -> None:
        """Offer what can be decided."""
        free = self._sides is not None and not self._host.busy and self._keeper.is_shown
        here = self._here() if free else None
        for code, button in zip(self._codes, (self.ui.takeFirstButton, self.ui.takeSecondButton), strict=True):
            button.text = f"Take {code}" if code and free else "Take"
        self.ui.takeFirstButton.enabled = here is not None and here.first is not None
        self.ui.takeSecondButton.enabled = here is not None and here.second is not None
        self.ui.drawAnewButton.enabled = here is not None
        undecided = self._undecided() if free else []
        self.ui.nextDifferenceButton.enabled = bool(undecided)
        self.ui.takeAgreedButton.enabled = any(one.is_agreed for one in undecided)
        self.ui.firstReaderComboBox.enabled = self.ui.secondReaderComboBox.enabled = not self._host.busy

    # ---- deciding

    def next_difference(self) -> None:
        """Go to the undecided outline on which both agree least, but for the one shown."""
        undecided = self._undecided()
        others = [one for one in undecided if one is not self._chosen] or undecided
        if others:
            self._chosen = others[0]
            self._host.show_frame(self._chosen.frame)
            self.show()

    def take(self, side: int) -> None:
        """Take a reader's outline on this frame."""
        here = self._here()
        if here is not None:
            self._take([here], side)

    def take_agreed(self) -> None:
        """Take every outline on which both agree."""
        self._take([one for one in self._undecided() if one.is_agreed], 0)

    def _take(self, taken: Sequence[Choice], side: int) -> None:
        from UltrasoundLesionSegLib.reader_work.record import ReaderAnchor
        from UltrasoundLesionSegLib.review.adjudication import taken_from

        with telling(self.ui.compareLabel):
            self._host.store_edit()
            for one in taken:
                mask: Mask | None = (one.first, one.second)[side]
                assert mask is not None
                provenance = taken_from(self._codes[side])
                self._keeper.take(ReaderAnchor(one.frame, one.lesion, mask, one.hows[side], provenance))
            self._host.results_changed()
        if not self.ui.compareLabel.text:
            self.show()

    def draw_anew(self) -> None:
        """Empty the lesion on this frame and take the brush; undo brings it back."""
        here = self._here()
        if here is None:
            return
        with telling(self.ui.compareLabel):
            self._host.store_edit()
            segment = self._keeper.segment_of(here.lesion)
            self._host.results_changed()
            editor: Any = self.ui.segmentEditor
            editor.setCurrentSegmentID(segment)
            editor.saveStateForUndo()
            shape = (self._keeper.source.height, self._keeper.source.width)
            draw_mask(np.zeros(shape, bool), editor.mrmlSegmentEditorNode(), segment)
            editor.setActiveEffectByName("Paint")
            tell(self.ui.compareLabel, f"Draw {here.lesion} on frame {here.frame}.", Tone.GOOD)


def _title(code: str) -> str:
    from UltrasoundLesionSegLib.review.adjudication import taken_from

    text = taken_from(code)
    return text[0].upper() + text[1:]


def _union(side: Side, frame: int) -> Mask | None:
    """Return a reader's masks on a frame together, None where there is none."""
    from UltrasoundLesionSegLib.review.adjudication import all_masks

    masks = list(all_masks(side, frame).values())
    return np.logical_or.reduce(masks) if masks else None
