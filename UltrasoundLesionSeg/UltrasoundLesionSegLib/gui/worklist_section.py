"""Worklist: the cases of a batch, one after the other, a reader's work stored at every change."""

from __future__ import annotations

import html
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import qt
import slicer

from UltrasoundLesionSegLib.errors import ReviewError
from UltrasoundLesionSegLib.gui.case_keeper import CaseKeeper
from UltrasoundLesionSegLib.gui.case_table import CaseTable
from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.library_loading import import_steps
from UltrasoundLesionSegLib.gui.messages import Tone, tell, telling
from UltrasoundLesionSegLib.gui.own_model import OwnModel
from UltrasoundLesionSegLib.gui.progress_window import ProgressWindow
from UltrasoundLesionSegLib.gui.reader_comparison import ReaderComparison
from UltrasoundLesionSegLib.gui.repainting import run_repainting
from UltrasoundLesionSegLib.gui.section import Section
from UltrasoundLesionSegLib.gui.source_search import ask_for_source
from UltrasoundLesionSegLib.reader_work.record import ReviewState, check_reader
from UltrasoundLesionSegLib.report.wording import counted

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.review.open_case import OpenCase
    from UltrasoundLesionSegLib.review.worklist import WorkCase, Worklist

# in the application's settings on this computer, never in a scene
FOLDER, READER, MOVES = (f"UltrasoundLesionSeg/Worklist{name}" for name in ("Folder", "Reader", "Moves"))
TO_DO = (ReviewState.NEW, ReviewState.IN_WORK)
FILTERS: tuple[tuple[str, tuple[ReviewState, ...]], ...] = (
    ("To do", TO_DO),
    ("All", tuple(ReviewState)),
    ("New", (ReviewState.NEW,)),
    ("In work", (ReviewState.IN_WORK,)),
    ("Done", (ReviewState.DONE,)),
    ("Set aside", (ReviewState.SET_ASIDE,)),
)


class WorklistSection(Section):
    """Lists the cases of a batch, opens one at a time in the scene, and stores what the reader does to it."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._list: Worklist | None = None
        self._shown = ""  # the open case, whose comment is in the line
        self._is_done = False  # whether the open case is
        self._last = ""  # the case that was open last: the next one comes after it
        self._case = CaseKeeper(host, self.ui.worklistMessageLabel, self._case_changed)
        self._comparison = ReaderComparison(host, self._case)
        self._own_model = OwnModel(host)
        settings = slicer.app.userSettings()
        self._folder = str(settings.value(FOLDER, "") or "")
        self.ui.worklistReaderEdit.text = str(settings.value(READER, "") or "")
        for title, _ in FILTERS:
            self.ui.worklistStateComboBox.addItem(title)
        self._table = CaseTable(self.ui.worklistTableView, self.open)
        self.ui.worklistCollapsibleButton.collapsed = True
        self.ui.worklistCollapsibleButton.connect("contentsCollapsed(bool)", self._folded)
        self.ui.worklistOpenButton.connect("clicked(bool)", self.choose_folder)
        self.ui.worklistBeginButton.connect("clicked(bool)", self.begin)
        self.ui.worklistReaderEdit.connect("editingFinished()", self._reader_given)
        self.ui.worklistStateComboBox.connect("currentIndexChanged(int)", lambda _index: self._show_cases())
        self.ui.worklistRefreshButton.connect("clicked(bool)", self.read)
        self.ui.worklistTableView.selectionModel().connect(
            "currentRowChanged(QModelIndex,QModelIndex)", lambda *_: self.busy_changed()
        )
        self.ui.openCaseButton.connect("clicked(bool)", lambda *_: self.open(self._table.chosen))
        self.ui.nextCaseButton.connect("clicked(bool)", self.next_case)
        self.ui.finishCaseButton.connect("clicked(bool)", self.finish)
        self.ui.setAsideButton.connect("clicked(bool)", self.set_aside)
        self.ui.takeUpButton.connect("clicked(bool)", self.take_up)
        self.ui.closeCaseButton.connect("clicked(bool)", self.close)
        self.ui.confirmButton.connect("clicked(bool)", self._case.confirm_shown_frame)

    # ---- the list

    def _folded(self, collapsed: bool) -> None:
        """Read the folder used last when the section is unfolded for the first time."""
        if not collapsed and self._list is None and self._folder and self._reader:
            self.read()

    @property
    def _reader(self) -> str:
        return str(self.ui.worklistReaderEdit.text).strip()

    def choose_folder(self) -> None:
        """Let the user choose the output folder of a batch, and list its cases."""
        folder = qt.QFileDialog.getExistingDirectory(self.host.root, "Output folder of a batch", self._folder)
        if folder:
            self._use_folder(folder)

    def begin(self) -> None:
        """Let the user choose a folder of cines and one for the work on them, and list the cines as cases."""
        if not self.host.offer("read", self.ui.worklistMessageLabel):
            return
        source = qt.QFileDialog.getExistingDirectory(self.host.root, "Folder of cines", self._folder)
        output = source and qt.QFileDialog.getExistingDirectory(
            self.host.root, "Folder for your work on these cines", self._folder
        )
        if not output:
            return
        with telling(self.ui.worklistMessageLabel):
            from UltrasoundLesionSegLib.review.worklist import begin

            cancelled = "nothing was begun; press the button again to look through the folder"
            with ProgressWindow(self.host.root, cancelled, "files") as progress:
                progress.begin("Looking for cines")
                begin(source, output, progress.count)
            self._use_folder(output)

    def _use_folder(self, folder: str) -> None:
        """List the cases of a folder; one that is no batch's is refused, and the list that is open stays."""
        found = None
        if self._reader:
            with telling(self.ui.worklistMessageLabel, wait=True):
                found = self._worklist(folder)
            if found is None:
                return
        if not self._case.close():
            return
        self._folder, self._list, self._last = folder, found, ""
        if found is None:
            self.read()  # which says what is missing
        else:
            self._remember()
            self._show_cases()

    def _reader_given(self) -> None:
        """Work under another code: list the cases as this reader left them."""
        if self._list is not None and self._list.reader == self._reader:
            return
        if not self._case.close():
            self.ui.worklistReaderEdit.text = self._list.reader if self._list is not None else ""
        elif self._folder and self._reader:
            self._list, self._last = None, ""
            self.read()

    def read(self) -> None:
        """Read the folder, or read it again."""
        if not self._folder:
            tell(self.ui.worklistMessageLabel, "Open the folder of a batch first, or begin from a folder of cines.")
            return
        if not self._reader:
            text = "Give a short code for yourself in the line Reader: 1 to 16 letters or digits, and no name."
            tell(self.ui.worklistMessageLabel, text, Tone.CAUTION)
            return
        with telling(self.ui.worklistMessageLabel, wait=True):
            if self._list is not None:
                self._list.refresh()
            else:
                self._list = self._worklist(self._folder)
                self._remember()
        self._show_cases()

    def _worklist(self, folder: str) -> Worklist:
        run_repainting(import_steps("UltrasoundLesionSegLib.review.worklist"))
        from UltrasoundLesionSegLib.review.worklist import Worklist

        moves = read_moves(str(slicer.app.userSettings().value(MOVES, "") or ""))
        return Worklist(folder, check_reader(self._reader), moves)

    def _remember(self) -> None:
        """Keep folder and reader for the next start of Slicer."""
        settings = slicer.app.userSettings()
        settings.setValue(FOLDER, self._folder)
        settings.setValue(READER, self._reader)

    def _show_cases(self) -> None:
        listed = self._list
        codes = [] if listed is None else sorted(listed.readers(), key=lambda code: (code == listed.reader, code))
        self._comparison.list_readers(self._folder, codes)
        self._table.show(self._list.cases(self._states) if self._list is not None else [])
        self._show_progress()
        self.busy_changed()

    def _listed(self, name: str) -> WorkCase | None:
        """Return what the list says of a case, None where it has none of this name: the batch may have changed."""
        with suppress(ReviewError):
            return self._list.case(name) if self._list is not None else None
        return None

    def _tell_if_done_no_more(self) -> None:
        """Tell once that a change has put a done case back into work: its masks of all frames are no longer stored."""
        name, was_done = self._case.name, self._is_done
        case = self._listed(name)
        self._is_done = case is not None and case.state is ReviewState.DONE
        if name and name == self._shown and was_done and not self._is_done:
            text = f"{name} is in work again: press Done to keep the masks of all frames as they are now."
            tell(self.ui.worklistMessageLabel, text, Tone.CAUTION)

    def _show_first_frame(self) -> None:
        """Go to the frame to look at first, in a case that nothing was drawn in yet."""
        case = self._listed(self._shown)
        if case is not None and case.next_frame is not None and not case.frames_drawn:
            self.host.show_frame(case.next_frame)

    @property
    def _states(self) -> tuple[ReviewState, ...]:
        """The states of the cases that are listed."""
        return FILTERS[max(0, self.ui.worklistStateComboBox.currentIndex)][1]

    def _show_progress(self) -> None:
        listed = self._list
        tell(self.ui.worklistFolderLabel, self._folder if listed is not None else "")
        pace = listed.pace() if listed is not None else None
        tell(self.ui.worklistPaceLabel, f"{pace}." if pace is not None else "")
        if listed is not None and pace is not None:
            self._own_model.show(str(listed.output), listed.reader, pace.done, listed.moves)
        else:
            self._own_model.show("", "", 0, {})
        name = self._case.name
        if not name or listed is None:
            tell(self.ui.openCaseLabel, "")
            return
        case = self._listed(name)
        if case is None:
            said = "; the batch no longer lists it"
        else:
            said = f", {counted(case.frames_drawn, 'frame')} drawn{'; ' if case.remark else ''}{case.remark}"
        self.ui.openCaseLabel.text = f"<b>{html.escape(name)}</b> is open{html.escape(said)}."
        self.ui.openCaseLabel.visible = True

    def _case_changed(self, name: str) -> None:
        """Show what is known of a case that was opened, stored or closed."""
        case = self._listed(name)
        if case is not None:
            self._table.update(case, name == self._case.name or case.state in self._states)
        self._tell_if_done_no_more()
        if self._shown != self._case.name:
            self._shown = self._case.name
            self.ui.caseCommentEdit.text = self._case.comment
            self._show_first_frame()
            self._comparison.case_changed()
        else:
            self._comparison.show()
        self._show_progress()
        self.busy_changed()

    # ---- one case

    @property
    def running(self) -> bool:
        """Whether a case is being opened."""
        return self._case.running

    def cancel(self) -> None:
        """Open the case no further."""
        self._case.stop()

    def stop(self) -> None:
        """Open the case no further: the scene is changing."""
        self._case.stop()

    def open(self, name: str) -> None:
        """Open a case; the one that is open is stored and closed first."""
        if self._list is None or not name or self.host.busy:
            return
        if name == self._case.name:
            self._case.show()
            return
        if not self.host.offer("read", self.ui.worklistMessageLabel) or not self._case.close():
            return
        self._last = name
        case: OpenCase | None = None
        with telling(self.ui.worklistMessageLabel, wait=True):
            case = self._list.open(name)
        if case is None:
            return
        self._table.choose(name)
        source = case.source or self._found_again(name)
        if source is None:
            case.close()
        else:
            self._case.open(case, source)

    def _found_again(self, name: str) -> Path | None:
        """Ask where the cines are now, and look there."""
        listed = self._list
        assert listed is not None
        found = ask_for_source(self.host.root, self.ui.worklistMessageLabel, listed, name, self._folder)
        if found is not None:
            slicer.app.userSettings().setValue(MOVES, written_moves(listed.moves))
        return found

    def next_case(self) -> None:
        """Store and close the open case, and open the next one that is left to do."""
        if self._list is None or self.host.busy or not self._case.close():
            return
        name = None
        with telling(self.ui.worklistMessageLabel, wait=True):
            name = self._list.next_case(self._last or None)
        if name is not None:
            self.open(name)
        elif not self.ui.worklistMessageLabel.text:
            tell(self.ui.worklistMessageLabel, self._what_is_left(), Tone.GOOD)

    def _what_is_left(self) -> str:
        """Say that there is no next case: all are done, or in somebody's hands, or the one just left is the last."""
        assert self._list is not None
        left = [one.name for one in self._list.cases(TO_DO)]
        if not left:
            return "No case is left to do."
        others = "others are at work on the rest" if left != [self._last] else f"{left[0]} is the last one"
        return f"No other case is free: {others}."

    def close(self) -> None:
        """Store the open case and close it; the next one is then again the first of the list."""
        if self._case.close():
            self._last = ""

    def finish(self) -> None:
        """Mark the open case as done, with the masks of all frames, and open the next one."""
        if self._case.name and not self.host.busy and self._case.finish(self._comment):
            self.next_case()

    @property
    def _comment(self) -> str:
        return str(self.ui.caseCommentEdit.text).strip()

    def set_aside(self) -> None:
        """Set the open case aside, or the chosen one where none is open, for the reason given."""
        if self._list is None or self.host.busy:
            return
        if not self._comment:
            text = "Write the reason into the line beside the button first."
            tell(self.ui.worklistMessageLabel, text, Tone.CAUTION)
        elif self._case.name:
            self._case.set_aside(self._comment)
        else:
            name = self._table.chosen
            with telling(self.ui.worklistMessageLabel):
                self._list.set_aside(name, self._comment)
                self.ui.caseCommentEdit.text = ""
                self._case_changed(name)

    def take_up(self) -> None:
        """Put the chosen case back among those to do."""
        if self._list is None:
            return
        with telling(self.ui.worklistMessageLabel):
            self._list.take_up(self._table.chosen)
            self._case_changed(self._table.chosen)

    # ---- what happens to the open case

    def results_changed(self) -> None:
        """Store the reader's work: something was drawn, declared, renamed or computed."""
        self._case.store()

    def stroke_drawn(self) -> None:
        """Store strokes that are not yet committed, too."""
        self._case.stroke_drawn()

    def frame_changed(self) -> None:
        """Looking at frames is work; a cine that plays by itself is not."""
        browser = self.host.browser
        if browser is not None and not browser.GetPlaybackActive() and not self.host.busy:
            self._case.touch()
        self._comparison.show()

    def cine_changed(self) -> None:
        """Let go of the case when its cine was deleted; all that was drawn is stored."""
        if self._case.lost_its_cine:
            name = self._case.name
            self._case.release()
            text = f"The cine of {name} was removed from the scene; the case is closed, with your work stored."
            tell(self.ui.worklistMessageLabel, text)

    def let_go(self) -> None:
        """The scene is about to be closed: let go of the case, whose work is stored."""
        self._case.release()

    def enter(self) -> None:
        """A model may have been dropped in while the module was not shown."""
        self._own_model.list_models()

    def packages_changed(self) -> None:
        """List the models again."""
        self._own_model.list_models()

    def models_changed(self) -> None:
        """List the models again."""
        self._own_model.list_models()

    def cleanup(self) -> None:
        """Let go of the case: the panel is about to be destroyed."""
        self._own_model.cleanup()
        self._table.stop()
        self._case.cleanup()

    def busy_changed(self) -> None:
        """Offer what can be done with the chosen case and the open one."""
        free = not self.host.busy
        has_list, has_case = self._list is not None, bool(self._case.name)
        chosen = self._listed(self._table.chosen)
        self.ui.worklistOpenButton.enabled = free
        self.ui.worklistBeginButton.enabled = free
        self.ui.worklistReaderEdit.enabled = free
        self.ui.worklistRefreshButton.enabled = free
        self.ui.openCaseButton.enabled = free and chosen is not None
        self.ui.nextCaseButton.enabled = free and has_list
        self.ui.finishCaseButton.enabled = free and has_case
        self.ui.setAsideButton.enabled = free and (has_case or chosen is not None)
        can_be_taken_up = chosen is not None and chosen.state in (ReviewState.DONE, ReviewState.SET_ASIDE)
        self.ui.takeUpButton.enabled = free and not has_case and can_be_taken_up
        self.ui.closeCaseButton.enabled = self.running or (has_case and free)
        self._comparison.busy_changed()


def read_moves(text: str) -> dict[Path, Path]:
    """Return where folders of sources were moved, as ``written_moves`` wrote it; empty for anything else."""
    try:
        return {Path(before): Path(now) for before, now in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError):
        return {}


def written_moves(moves: dict[Path, Path]) -> str:
    """Return where folders of sources were moved as one line of text."""
    return json.dumps({str(before): str(now) for before, now in moves.items()})
