"""The whole job on MRML nodes: one class for the module's GUI, Slicer's Python console, the shell and batches.

The class is built in layers, each in a file: ``scene_access``, ``model_access``, ``seeds_and_anchors``,
``clicked_seeds``, ``propagation_and_review``, ``fitting_to_lesion``, and the results here. The method names are
camelCase because Slicer's logic class inherits them; everything below is snake_case. torch and DICOM libraries are
imported when they are first needed: Slicer starts without them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from UltrasoundLesionSegLib.workflow.arguments import checks_arguments
from UltrasoundLesionSegLib.workflow.fitting_to_lesion import FittingToLesion

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.report.image_area import ImageArea
    from UltrasoundLesionSegLib.workflow.exports import ExportJob
    from UltrasoundLesionSegLib.workflow.measuring import CineMeasurements


@checks_arguments
class UltrasoundLesionWorkflow(FittingToLesion):
    """Loads cines, takes seeds, propagates, measures and exports.

    Cines are named by their sequence browser node (``useNode`` makes one for a volume whose slices are frames).
    A ``frame`` left out is the one the browser shows.
    """

    def __init__(self) -> None:
        super().__init__()
        self._areas: dict[tuple[str, str], ImageArea] = {}  # by browser ID and the cine's digest, without lesions

    def _release_cine(self, browser: Any) -> None:
        super()._release_cine(browser)
        self._areas = {key: area for key, area in self._areas.items() if key[0] != browser.GetID()}

    def _release_all(self) -> None:
        super()._release_all()
        self._areas.clear()

    def measure(self, browser: Any, between_frames: Callable[[], None] | None = None) -> CineMeasurements:
        """Measure every lesion on every frame and show tables and a chart with the cine.

        Parameters
        ----------
        browser : vtkMRMLSequenceBrowserNode
        between_frames : callable, optional
            Called before each frame, so that a window can repaint itself.

        Returns
        -------
        CineMeasurements
            The numbers, and the nodes they are shown in.
        """
        from UltrasoundLesionSegLib.workflow.measuring import measure_cine, show_measurements

        self.commitEdit(browser)
        measured = measure_cine(self.cine(browser), self._sequence(browser), between_frames)
        return show_measurements(measured, browser)

    def results(self, browser: Any, of: str = "frames") -> Any:
        """Measure every lesion on every frame and return one table.

        Parameters
        ----------
        browser : vtkMRMLSequenceBrowserNode
        of : str
            ``frames``: a row for each frame and lesion; ``lesions``: a row for each lesion.

        Returns
        -------
        pandas.DataFrame, or dict of str to list where pandas is not installed
            See ``CineMeasurements.as_table``.
        """
        return self.measure(browser).as_table(of)

    def measurementNodes(self, browser: Any) -> tuple[list[Any], list[Any]]:
        """Return the table and the chart nodes that ``measure`` made for a cine, also after a scene was loaded."""
        from UltrasoundLesionSegLib.mrml.tables import charts, tables

        return tables(self._alive(browser)), charts(browser)

    def imageArea(self, browser: Any) -> ImageArea:
        """Return where the ultrasound image is: the regions of the DICOM header, or what moves over the cine.

        What a person drew or confirmed is part of it. A mask that only a model made is not: it can lie on a name beside
        the image. Pictures are black outside of the area (``ExportOptions.blank_outside``).
        """
        from UltrasoundLesionSegLib.report.image_area import find_image_area

        cine = self.cine(browser)
        key = browser.GetID(), cine.identity.digest
        if key not in self._areas:
            self._areas[key] = find_image_area(cine)
        sequence, lesions = self._sequence(browser), np.zeros(cine.shape, np.bool_)
        for segment in sequence.segments():
            for frame, state in enumerate(sequence.states(segment.id)):
                if state.origin is not None and state.origin.is_by_person:
                    lesions |= sequence.read(frame, segment.id)
        return self._areas[key].including(lesions)

    def export(
        self,
        browser: Any,
        directory: str | Path,
        kinds: Sequence[str],
        measured: CineMeasurements | None = None,
        **options: Any,
    ) -> list[Path]:
        """Write results to files.

        Parameters
        ----------
        browser : vtkMRMLSequenceBrowserNode
        directory : str or Path
            Made when it is not there.
        kinds : sequence of str
            Among ``exports.KINDS``.
        measured : CineMeasurements, optional
            What ``measure`` gave, if nothing changed since; by default everything is measured again.
        **options
            See ``exports.ExportOptions``.

        Returns
        -------
        list of Path
            The files written.

        Raises
        ------
        OutputError
            When something cannot be written, or a kind is unknown.
        """
        return self.exportJob(browser, directory, measured, **options).write(tuple(kinds))

    def exportJob(
        self,
        browser: Any,
        directory: str | Path,
        measured: CineMeasurements | None = None,
        between_frames: Callable[[], None] | None = None,
        **options: Any,
    ) -> ExportJob:
        """Return what ``export`` writes with, to write one kind after the other: what several need is made once.

        ``between_frames`` is called each time that a frame was measured, read or written, so that a window can repaint
        itself; the other parameters are those of ``export``.
        """
        from UltrasoundLesionSegLib.workflow.exports import ExportJob, ExportOptions, ExportSource

        self.efforts.act(self._sequence(browser))
        measured = measured or self.measure(browser, between_frames)
        cine = replace(self.cine(browser), identity=self.sourceIdentity(browser))
        job = self._jobs.get(browser.GetID())
        chosen = ExportOptions(**options)
        area = self.imageArea(browser) if chosen.blanks_outside else None
        summary, look_first = (job.summary if job else None), tuple(self.framesToLookAt(browser))
        source = ExportSource(cine, self._sequence(browser), measured, summary, area, look_first)
        return ExportJob(source, Path(directory), chosen, between_frames)

    def removeCine(self, browser: Any) -> None:
        """Take a cine out of the scene with its lesions, tables and charts; all other nodes stay."""
        from UltrasoundLesionSegLib.mrml.removal import remove_cine

        self.release(browser)
        remove_cine(browser)
