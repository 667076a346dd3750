"""The whole job on MRML nodes: one class for the module's GUI, Slicer's Python console, the shell and batches.

The class is built in layers, each in a file: ``scene_access``, ``model_access``, ``seeds_and_anchors``,
``clicked_seeds``, ``propagation_and_review``, and the results here. The method names are camelCase because Slicer's
logic class inherits them; everything below is snake_case. torch and DICOM libraries are imported when they are first
needed: Slicer starts without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from UltrasoundLesionSegLib.workflow.propagation_and_review import PropagationAndReview

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.workflow.measuring import CineMeasurements


class UltrasoundLesionWorkflow(PropagationAndReview):
    """Loads cines, takes seeds, propagates, measures and exports.

    Cines are named by their sequence browser node (``useNode`` makes one for a volume whose slices are frames).
    A ``frame`` left out is the one the browser shows.
    """

    def measure(self, browser: Any) -> CineMeasurements:
        """Measure every lesion on every frame and show tables and a chart with the cine.

        Returns
        -------
        CineMeasurements
            The numbers, and the nodes they are shown in.
        """
        from UltrasoundLesionSegLib.workflow.measuring import measure_cine, show_measurements

        self.commitEdit(browser)
        measured = measure_cine(self.cine(browser), self._sequence(browser))
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
        from UltrasoundLesionSegLib.workflow.exports import ExportJob, ExportOptions, ExportSource

        measured = measured or self.measure(browser)
        cine = replace(self.cine(browser), identity=self.sourceIdentity(browser))
        job = self._jobs.get(browser.GetID())
        source = ExportSource(cine, self._sequence(browser), measured, job.summary if job else None)
        return ExportJob(source, Path(directory), ExportOptions(**options)).write(tuple(kinds))

    def removeCine(self, browser: Any) -> None:
        """Take a cine out of the scene with its lesions, tables and charts; all other nodes stay."""
        from UltrasoundLesionSegLib.mrml.removal import remove_cine

        self.release(browser)
        remove_cine(browser)
