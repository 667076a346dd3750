"""Ultrasound cines, segmentations of them and our reports in Slicer's DICOM browser.

Slicer's own plugins load an ultrasound cine without its calibration where it has several regions and without its frame
times, and give any segmentation to a program that needs planes in space, which ultrasound has not. This plugin reports
a higher confidence than those (0.7 and 0.95) for these objects, and offers no others. A segmentation of ours has no
planes in space whatever the class of its images: cines are also exported as Secondary Capture.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import slicer
from DICOMLib import DICOMLoadable, DICOMPlugin

from UltrasoundLesionSegLib.errors import LesionSegError
from UltrasoundLesionSegLib.gui.library_loading import import_steps
from UltrasoundLesionSegLib.gui.repainting import Repainter, run_repainting
from UltrasoundLesionSegLib.gui.view_layout import with_table

logger = logging.getLogger(__name__)

ULTRASOUND_MULTI_FRAME = ("1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.3")  # today's, and the retired one
ULTRASOUND_IMAGE = ("1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.6")
ULTRASOUND = (*ULTRASOUND_MULTI_FRAME, *ULTRASOUND_IMAGE)
SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # Segmentation, Label Map Segmentation
REPORT = tuple(f"1.2.840.10008.5.1.4.1.1.88.{number}" for number in (22, 33, 34))  # Enhanced, Comprehensive, and 3D
VOLUME_SCANNERS = ("Invenia",)  # automated breast ultrasound: multi-frame objects that are volumes, not cines
SURE = 0.97
UNSURE = 0.15  # below all of Slicer's: single pictures may or may not be the frames of a cine
SOP_CLASS, NUMBER_OF_FRAMES, SERIES_UID = "0008,0016", "0028,0008", "0020,000E"


class UltrasoundLesionSegDICOMPlugin(DICOMPlugin):
    """What Slicer's DICOM browser asks."""

    def __init__(self) -> None:
        super().__init__()
        self.loadType = "Ultrasound Lesion Segmentation"
        self.tags |= {
            "sopClassUID": SOP_CLASS,
            "seriesNumber": "0020,0011",
            "instanceNumber": "0020,0013",
            "numberOfFrames": NUMBER_OF_FRAMES,
            "manufacturerModelName": "0008,1090",
        }

    def examineForImport(self, fileLists: Sequence[Sequence[str]]) -> list[Any]:  # noqa: N802, N803 - Slicer's names
        """Return a DICOMLoadable for everything that this module loads better than Slicer.

        A segmentation comes with an offer of its cine, from the database. Slicer would ask otherwise whether to load
        what the segmentation refers to, and then load that by its own plugins as well.

        Parameters
        ----------
        fileLists : sequence of sequence of str
            Files of each series.
        """
        offers = [loadable for files in fileLists for loadable in self._examine(files)]
        offered = {frozenset(one.files) for one in offers}
        for segmentation in [one for one in offers if one.kind == "segmentation"]:
            files = files_of_cine(segmentation.instances)
            if files and frozenset(files) not in offered:
                offers.append(self._cine(files, SURE, segmentation.order))
                offered.add(frozenset(files))
        return sorted(offers, key=lambda one: one.kind != "cine")  # Slicer loads them in this order

    def load(self, loadable: Any) -> bool:
        """Load what was offered; what goes wrong is one sentence in the log."""
        files = [Path(file) for file in loadable.files]
        try:
            if loadable.kind == "cine":
                self._load_cine(files, loadable)
            elif loadable.kind == "segmentation":
                self._load_segmentation(files[0], loadable)
            else:
                self._load_report(files[0])
        except LesionSegError as error:
            logger.error("not loaded: %s", error)
            return False
        return True

    # ---- what is offered

    def _examine(self, files: Sequence[str]) -> Iterator[Any]:
        by_class: dict[str, list[str]] = {}
        for file in files:
            by_class.setdefault(self._value(file, "sopClassUID"), []).append(file)
        for sop_class, found in by_class.items():
            if sop_class in ULTRASOUND_MULTI_FRAME:
                yield from (self._cine([file], SURE) for file in found if self._is_cine(file))
            elif sop_class in ULTRASOUND_IMAGE and len(found) > 1:
                yield self._cine(found, UNSURE)
            elif sop_class in SEGMENTATION:
                yield from (one for file in found if (one := self._segmentation(file)) is not None)
            elif sop_class in REPORT:
                yield from (self._report(file) for file in found if self._is_ours(file))

    def _value(self, file: str, tag: str) -> str:
        return str(slicer.dicomDatabase.fileValue(file, self.tags[tag]) or "")

    def _is_cine(self, file: str) -> bool:
        frames = self._value(file, "numberOfFrames")
        is_volume = self._value(file, "manufacturerModelName") in VOLUME_SCANNERS
        return frames.isdigit() and int(frames) > 1 and not is_volume

    def _is_ours(self, file: str) -> bool:
        from UltrasoundLesionSegLib.dicom.instance import PRODUCT

        return self._value(file, "manufacturerModelName") == PRODUCT

    def _offer(self, kind: str, files: Sequence[str], confidence: float, name: str, tooltip: str) -> Any:
        loadable = DICOMLoadable()
        loadable.kind, loadable.files = kind, list(files)
        loadable.name, loadable.tooltip = name, tooltip
        loadable.confidence, loadable.selected = confidence, confidence == SURE
        return loadable

    def _cine(self, files: Sequence[str], confidence: float, order: Sequence[str] = ()) -> Any:
        number = self._value(files[0], "seriesNumber") or "?"
        name = f"US {number}" + (f" [{self._value(files[0], 'instanceNumber')}]" if len(files) == 1 else "")
        what = "Ultrasound cine" if len(files) == 1 else f"{len(files)} ultrasound pictures as the frames of one cine"
        loadable = self._offer("cine", files, confidence, name, f"{what}, with its calibration and its frame times")
        loadable.order = list(order)
        return loadable

    def _segmentation(self, file: str) -> Any | None:
        """Return the offer of a segmentation of ours, or of another program's that refers to ultrasound alone."""
        references = list(referenced_instances(Path(file)))
        is_ours = self._is_ours(file)
        if not references or not (is_ours or all(sop_class in ULTRASOUND for sop_class, _ in references)):
            return None
        loadable = self._offer("segmentation", [file], SURE, "Lesions of an ultrasound cine", "Into the cine it is of")
        loadable.instances = list(dict.fromkeys(uid for _, uid in references))
        loadable.order = loadable.instances if is_ours else []  # ours are in the order of the cine's frames
        return loadable

    def _report(self, file: str) -> Any:
        return self._offer("report", [file], SURE, "Measurements of an ultrasound cine", "As a table")

    # ---- what is loaded

    def _load_cine(self, files: Sequence[Path], loadable: Any) -> None:
        """Load a cine; one that is in the scene already is shown, with what was drawn on it."""
        logic = _logic()
        browser = _browser_of(logic, [slicer.dicomDatabase.instanceForFile(str(file)) for file in files])
        if browser is None:
            browser = run_repainting(_add_steps(logic, files, loadable.name, loadable.order))
            self.addSeriesInSubjectHierarchy(loadable, logic.volumeNode(browser))
        _show(logic, browser)

    def _load_segmentation(self, file: Path, loadable: Any) -> None:
        run_repainting(import_steps("UltrasoundLesionSegLib.dicom.segmentation_reader"))
        logic = _logic()
        browser = _browser_of(logic, loadable.instances)
        if browser is None:
            sources = files_of_cine(loadable.instances)
            if not sources:
                raise LesionSegError("the cine of the segmentation is not in the DICOM database; import it first")
            browser = run_repainting(_add_steps(logic, [Path(source) for source in sources], order=loadable.order))
        logic.importSegmentation(browser, file, Repainter())
        _show(logic, browser)

    @staticmethod
    def _load_report(file: Path) -> None:
        from UltrasoundLesionSegLib.dicom.report_reader import read_report, tabulate_report
        from UltrasoundLesionSegLib.mrml.tables import add_table

        columns = tabulate_report(read_report(file, Repainter()))
        texts = {heading: [_printed(value) for value in values] for heading, values in columns.items()}
        _show_table(add_table("Measurements from DICOM SR", texts))


def referenced_instances(path: Path) -> Iterator[tuple[str, str]]:
    """Yield SOP class and SOP instance of every image that a segmentation refers to.

    Parameters
    ----------
    path : Path
    """
    from pydicom import dcmread

    from UltrasoundLesionSegLib.dicom.quiet import quiet_dicom

    with quiet_dicom():
        try:
            series = dcmread(path, specific_tags=["ReferencedSeriesSequence"], stop_before_pixels=True)
            items = [one for item in series.ReferencedSeriesSequence for one in item.ReferencedInstanceSequence]
            found = [(str(one.ReferencedSOPClassUID), str(one.ReferencedSOPInstanceUID)) for one in items]
        except Exception:  # not a segmentation as the standard asks: not ours to load
            return
    yield from found


def files_of_cine(instances: Sequence[str]) -> list[str]:
    """Return the files of the cine that has these instances, [] where the database lacks one of them.

    A series of single pictures is one cine: all of it, also pictures that are not among the instances.

    Parameters
    ----------
    instances : sequence of str
        SOP Instance UIDs, not empty.
    """
    database = slicer.dicomDatabase
    files = [str(database.fileForInstance(uid)) for uid in instances]
    if not all(files):
        return []
    sop_class, frames = (str(database.fileValue(files[0], tag) or "") for tag in (SOP_CLASS, NUMBER_OF_FRAMES))
    if sop_class in ULTRASOUND_MULTI_FRAME or (frames.isdigit() and int(frames) > 1):
        return files
    classes = ULTRASOUND_IMAGE if sop_class in ULTRASOUND_IMAGE else (sop_class,)
    # an anonymiser may have given every picture a series of its own
    series = dict.fromkeys(str(database.fileValue(file, SERIES_UID)) for file in files)
    members = (str(file) for uid in series for file in database.filesForSeries(uid))
    return [file for file in members if database.fileValue(file, SOP_CLASS) in classes]


def _logic() -> Any:
    from UltrasoundLesionSegLib.gui.module_logic import UltrasoundLesionSegLogic

    return UltrasoundLesionSegLogic()


def _show(logic: Any, browser: Any) -> None:
    """Show a cine in the slice views and in the Sequences toolbar, and choose it in the panel."""
    _choose_in_panel(logic, browser)
    if slicer.app.layoutManager() is not None:
        slicer.modules.sequences.setToolBarActiveBrowserNode(browser)
        slicer.util.setSliceViewerLayers(background=logic.volumeNode(browser), fit=True)


def _printed(value: float | int | str | None) -> str:
    """Return a cell of a report's table as text: a column of numbers would show "nan" where a row has none."""
    from UltrasoundLesionSegLib.measurement.columns import MISSING

    if value is None:
        return MISSING
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _show_table(table: Any) -> None:
    """Show a table beside the images: in an arrangement of ours if one is shown, otherwise as Slicer's modules do."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    logic = slicer.app.applicationLogic()
    ours = with_table(manager.layout)
    manager.setLayout(logic.GetModuleLogic("Tables").GetLayoutWithTable(manager.layout) if ours is None else ours)
    logic.GetSelectionNode().SetActiveTableID(table.GetID())
    logic.PropagateTableSelection()


def _choose_in_panel(logic: Any, browser: Any) -> None:
    """Make a cine the one that the panel works on, and show it anew, unless results of another are being computed."""
    widget = getattr(slicer.modules, "UltrasoundLesionSegWidget", None)
    panel = widget.panel if widget is not None else None
    if panel is not None and panel.busy:
        return
    logic.getParameterNode().browser = browser
    if panel is not None:
        panel.refresh()  # it may have shown the cine already, before the lesions were loaded


def _add_steps(
    logic: Any, files: Sequence[Path], name: str | None = None, order: Sequence[str] = ()
) -> Generator[Any, None, Any]:
    """Put a cine into the scene, a frame a step; returns its browser.

    ``order`` has SOP instances in the order of their frames, as far as it is known.
    """
    yield from import_steps("UltrasoundLesionSegLib.readers.dicom_series")
    from UltrasoundLesionSegLib.readers.dicom_multiframe import read_dicom_file
    from UltrasoundLesionSegLib.readers.dicom_series import read_dicom_folder

    cine = read_dicom_file(files[0]) if len(files) == 1 else read_dicom_folder(_in_order(files, order))
    return (yield from logic.addCineSteps(cine, name))


def _in_order(files: Sequence[Path], order: Sequence[str]) -> list[Path]:
    """Return files by name as a folder's are; those of ``order`` in that order, in the places that they have by name.

    The reader asks the names where the headers do not tell the order of the frames, and a database names its copies
    anew.
    """
    from UltrasoundLesionSegLib.readers.image_folder import natural_key

    by_name = sorted(files, key=lambda file: (natural_key(file.name), file.name))
    places = {file: place for place, file in enumerate(by_name)}
    told = [Path(str(slicer.dicomDatabase.fileForInstance(uid))) for uid in order]
    told = [file for file in told if file in places]
    for place, file in zip(sorted(places[file] for file in told), told, strict=True):
        by_name[place] = file
    return by_name


def _browser_of(logic: Any, uids: Sequence[str]) -> Any | None:
    """Return the browser in the scene whose cine comes from one of these instances."""
    for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode"):
        try:
            known = logic.cine(browser).identity.sop_instance_uids
        except LesionSegError:
            continue
        if set(known) & set(uids):
            return browser
    return None
