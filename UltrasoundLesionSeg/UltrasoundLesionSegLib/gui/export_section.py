"""Section 6: results to files."""

from __future__ import annotations

import html
from contextlib import suppress
from pathlib import Path
from typing import Any

import slicer

from UltrasoundLesionSegLib.cine import SourceKind
from UltrasoundLesionSegLib.errors import LesionSegError
from UltrasoundLesionSegLib.gui.dicom_database import add_to_database, database_is_open
from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.messages import CancelledError, Tone, colored, reveal, tell, telling
from UltrasoundLesionSegLib.gui.progress_window import ProgressWindow
from UltrasoundLesionSegLib.gui.results_of_others import may_write
from UltrasoundLesionSegLib.gui.section import Section
from UltrasoundLesionSegLib.workflow.export_folder import record_owner
from UltrasoundLesionSegLib.workflow.kinds import KINDS, holds_images

EXPORT_FOLDER = "UltrasoundLesionSeg/ExportFolder"  # in the application's settings on this computer, never in a scene
TITLES = {
    "seg": "DICOM SEG",
    "sr": "DICOM SR",
    "csv": "Measurements",
    "masks": "Masks (DAVIS)",
    "coco": "Masks (COCO)",
    "nifti": "Masks (NIfTI)",
    "scene": "Slicer scene",
    "video": "Overlay video",
    "sheet": "Contact sheet",
    "report": "Report",
}
NEEDS_DICOM = ("seg", "sr")
NEEDS_PIXELS = ("video", "sheet")
IN_ONE_STEP = ("scene",)  # one call of Slicer, during which nothing is repainted
LISTED_FILES = 4


class ExportSection(Section):
    """Chooses kinds of files and a folder, writes, and says where."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        saved = slicer.app.userSettings().value(EXPORT_FOLDER, "")
        self.ui.exportFolderButton.directory = str(saved or Path.home())
        self.ui.exportButton.connect("clicked(bool)", self.export)
        self.ui.pixelsAllowedCheckBox.connect("toggled(bool)", lambda _checked: self.busy_changed())
        self._is_dicom = False

    def _boxes(self) -> dict[str, Any]:
        return {
            "seg": self.ui.exportSegCheckBox,
            "sr": self.ui.exportSrCheckBox,
            "csv": self.ui.exportCsvCheckBox,
            "masks": self.ui.exportMasksCheckBox,
            "coco": self.ui.exportCocoCheckBox,
            "nifti": self.ui.exportNiftiCheckBox,
            "scene": self.ui.exportSceneCheckBox,
            "video": self.ui.exportVideoCheckBox,
            "sheet": self.ui.exportSheetCheckBox,
            "report": self.ui.exportReportCheckBox,
        }

    def cine_changed(self) -> None:
        """Offer DICOM objects for cines that come from DICOM."""
        tell(self.ui.exportMessageLabel, "")
        self._is_dicom = False
        if self.host.browser is not None:
            try:
                kind = self.logic.cine(self.host.browser).identity.kind
                self._is_dicom = kind in (SourceKind.DICOM_MULTIFRAME, SourceKind.DICOM_SERIES)
            except LesionSegError:
                self._is_dicom = False

    def busy_changed(self) -> None:
        """Export only what is finished and possible."""
        free = self.host.browser is not None and not self.host.busy
        self.ui.exportButton.enabled = free and self.host.segmentation() is not None
        for kind, box in self._boxes().items():
            box.enabled = self._is_possible(kind)
        self.ui.labelmapSegCheckBox.enabled = self._is_possible("seg")
        self.ui.sr3dCheckBox.enabled = self._is_possible("sr")
        self.ui.addToDatabaseCheckBox.enabled = self._is_dicom and database_is_open()
        self.ui.blankOutsideCheckBox.enabled = bool(self.ui.pixelsAllowedCheckBox.checked)
        needs_dicom = self.host.browser is not None and not self._is_dicom
        hint = "DICOM SEG and SR need a cine that comes from DICOM." if needs_dicom else ""
        tell(self.ui.exportHintLabel, hint)

    def _is_possible(self, kind: str) -> bool:
        if kind in NEEDS_DICOM:
            return self._is_dicom
        return kind not in NEEDS_PIXELS or bool(self.ui.pixelsAllowedCheckBox.checked)

    def export(self) -> None:
        """Write everything that is ticked and possible, one kind after the other; those before a cancel are kept."""
        kinds = [kind for kind, box in self._boxes().items() if box.checked and self._is_possible(kind)]
        if not kinds:
            tell(self.ui.exportMessageLabel, "Nothing is ticked that can be written for this cine.", Tone.CAUTION)
            return
        if not self.host.offer("export", self.ui.exportMessageLabel):
            return
        folder = str(self.ui.exportFolderButton.directory)
        reveal(self.ui.exportMessageLabel)
        if not self._may_write(folder):
            return
        slicer.app.userSettings().setValue(EXPORT_FOLDER, folder)
        lines = []
        with telling(self.ui.exportMessageLabel, wait=True):
            self.host.store_edit()
            options = self._options()
            with ProgressWindow(self.host.root, "cancelled; nothing was written") as progress:
                progress.begin("Measuring")
                job = self.logic.exportJob(self.host.browser, folder, None, progress, **options)
                outcomes = self._export_kinds(kinds, job, progress)
            lines = [line for line, _ in outcomes.values()]
            if lines and (missing_frames := self._what_has_no_mask(job)):
                lines.append(missing_frames)
            dicom = {name for kind in NEEDS_DICOM if kind in outcomes for name in outcomes[kind][1]}
            if dicom and self.ui.addToDatabaseCheckBox.checked and database_is_open():
                lines.append(self._add_to_database([Path(folder, name) for name in sorted(dicom)]))
            if options["blank_outside"] and any(
                holds_images(name, True) for _, names in outcomes.values() for name in names
            ):
                lines.append(self._what_is_black())
            if missing := [TITLES[kind] for kind in kinds if kind not in outcomes]:
                kept = "Cancelled: what is listed above is kept" if lines else "Cancelled"
                lines.append(html.escape(f"{kept}; not written: {', '.join(missing)}."))
            self.host.tables_changed()
        if lines:
            if error := str(self.ui.exportMessageLabel.text):  # of what came after the files were written
                lines.append(error)
            link = Path(folder).absolute().as_uri()
            self.ui.exportMessageLabel.text = "<br>".join([*lines, f'<a href="{link}">{html.escape(folder)}</a>'])
            self.ui.exportMessageLabel.visible = True
        reveal(self.ui.exportMessageLabel)

    def _may_write(self, folder: str) -> bool:
        """Whether the folder is free for the chosen cine; otherwise it is said why not."""
        with telling(self.ui.exportMessageLabel):
            identity = self.logic.cine(self.host.browser).identity
            return may_write(Path(folder), identity, self.ui.exportMessageLabel)
        return False

    def _export_kinds(self, kinds: list[str], job: Any, progress: ProgressWindow) -> dict[str, tuple[str, list[str]]]:
        """Write kinds of an ``exportJob``; returns the outcome of each that is done, all unless the user cancels."""
        outcomes = {}
        with suppress(CancelledError):
            for kind in kinds:
                progress.begin(f"Writing {TITLES[kind]}", in_one_step=kind in IN_ONE_STEP)
                outcomes[kind] = self._export_kind(kind, job)
        return outcomes

    def _options(self) -> dict[str, bool]:
        pixels_allowed = bool(self.ui.pixelsAllowedCheckBox.checked)
        return {
            "pixels_allowed": pixels_allowed,
            "labelmap_seg": bool(self.ui.labelmapSegCheckBox.checked),
            # without pictures, the scene is the working document and stays whole
            "blank_outside": pixels_allowed and bool(self.ui.blankOutsideCheckBox.checked),
        }

    def _what_has_no_mask(self, job: Any) -> str:
        """Return a line that tells how many frames of an ``exportJob`` have a mask, '' if all have."""
        frames, without = len(job.cine), len(job.frames_without_result)
        if not without:
            return ""
        has = "has" if frames - without == 1 else "have"
        said = (
            f"Only {frames - without} of the {frames} frames {has} a mask; the others were neither drawn nor computed."
        )
        return colored(said, Tone.CAUTION, self.ui.exportMessageLabel)

    def _add_to_database(self, files: list[Path]) -> str:
        """Add DICOM files to Slicer's database; returns a line of rich text that tells the outcome."""
        if add_to_database(files):
            titles = sorted({"SEG" if file.name in KINDS["seg"].names else "SR" for file in files})
            what = f"{' and '.join(titles)} {'is' if len(titles) == 1 else 'are'}"
            return colored(f"{what} in Slicer's DICOM database.", Tone.GOOD, self.ui.exportMessageLabel)
        said = "Slicer's DICOM database did not take the files: import them in the DICOM browser, which says why."
        return colored(said, Tone.BAD, self.ui.exportMessageLabel)

    def _what_is_black(self) -> str:
        """Return what the ultrasound image was found by, or that it was not and the pictures are whole."""
        area = self.logic.imageArea(self.host.browser)
        tone = Tone.CAUTION if area.mask is None else Tone.GOOD
        sentence = f"{area.sentence[0].upper()}{area.sentence[1:]}."
        return colored(sentence, tone, self.ui.exportMessageLabel)

    def _export_kind(self, kind: str, job: Any) -> tuple[str, list[str]]:
        """Write one kind of an ``exportJob``; returns a line of rich text that tells the outcome, and the files."""
        wanted = "sr3d" if kind == "sr" and self.ui.sr3dCheckBox.checked else kind
        try:
            written = job.write((wanted,))
            record_owner(job.folder, self.logic.cine(self.host.browser).identity)
        except LesionSegError as error:
            return colored(f"{TITLES[kind]}: {error}.", Tone.BAD, self.ui.exportMessageLabel), []
        names = [Path(path).relative_to(job.folder).as_posix() for path in written]
        shown = ", ".join(names) if len(names) <= LISTED_FILES else f"{len(names)} files in {Path(names[0]).parent}"
        return colored(f"{TITLES[kind]}: {shown}", Tone.GOOD, self.ui.exportMessageLabel), names
