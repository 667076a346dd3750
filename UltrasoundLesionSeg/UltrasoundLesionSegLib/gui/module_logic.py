"""The module's logic class: the workflow, with what Slicer expects of a scripted module's logic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from UltrasoundLesionSegLib.errors import BatchError
from UltrasoundLesionSegLib.gui.dependencies import TITLE, missing_needs
from UltrasoundLesionSegLib.gui.library_loading import import_steps
from UltrasoundLesionSegLib.gui.parameters import UltrasoundLesionSegParameterNode
from UltrasoundLesionSegLib.gui.repainting import run_repainting
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow


class UltrasoundLesionSegLogic(UltrasoundLesionWorkflow, ScriptedLoadableModuleLogic):
    """The workflow as a module's logic. Usable without the panel: see Docs/console.md."""

    def __init__(self) -> None:
        UltrasoundLesionWorkflow.__init__(self)
        ScriptedLoadableModuleLogic.__init__(self)

    def getParameterNode(self) -> Any:
        """Return the module's parameter node, made if the scene has none."""
        wrapped: Any = UltrasoundLesionSegParameterNode
        return wrapped(ScriptedLoadableModuleLogic.getParameterNode(self))

    def processBatch(
        self, source: str | Path, output: str | Path, progress: Callable[[Any], None] | None = None, **settings: Any
    ) -> Any:
        """Segment all cases of a manifest or a folder in processes of their own; the scene is left alone.

        Here and not in the workflow, which a batch is built on; a plain Python calls
        ``UltrasoundLesionSegLib.batch.run.run_batch``, which this does.

        Parameters
        ----------
        source, output : str or Path
            Manifest or folder; folder for the results.
        progress : callable, optional
            Called after every frame and case with a ``BatchProgress``.
        **settings
            See ``UltrasoundLesionSegLib.batch.plan.BatchSettings``.

        Returns
        -------
        UltrasoundLesionSegLib.batch.run.BatchResult

        Raises
        ------
        BatchError
            When Python packages are missing, and as ``run_batch`` says.
        """
        if lacking := [need.package for need in missing_needs()]:
            raise BatchError(
                f"a batch needs Python packages that are not installed: {', '.join(lacking)}; open the module "
                f"{TITLE} and press the button at the top of its panel"
            )
        run_repainting(import_steps("UltrasoundLesionSegLib.batch.run"))
        from UltrasoundLesionSegLib.batch.plan import BatchSettings
        from UltrasoundLesionSegLib.batch.run import run_batch

        def advance(step: Any) -> None:
            slicer.app.processEvents()
            if progress:
                progress(step)

        return run_batch(source, output, BatchSettings(**settings), advance, slicer.app.processEvents)

    def loadSample(self) -> Any:
        """Simulate a cine with a drawn lesion in the scene; returns its browser node."""
        from UltrasoundLesionSegLib.gui.sample_data import load_sample_steps
        from UltrasoundLesionSegLib.mrml.steps import run_to_end

        return run_to_end(load_sample_steps(self))
