"""Pictures of a real slice view, without a window: what a person would see in Slicer on a frame.

Slicer's own slice logic and displayable managers draw into an offscreen render window (EGL or OSMesa, whichever VTK
finds on this machine).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import vtk_to_numpy

from UltrasoundLesionSegLib.errors import OutputError, SceneError
from UltrasoundLesionSegLib.mrml import headless
from UltrasoundLesionSegLib.mrml.cine_of_browser import master_sequence

_DISPLAYABLE_MANAGERS = (
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
)


class SliceView:
    """An offscreen slice view of one cine. Close it when done, or use it as a context manager.

    Parameters
    ----------
    browser : vtkMRMLSequenceBrowserNode
    width, height : int
        Size of the pictures in pixels.

    Raises
    ------
    OutputError
        When this machine cannot draw offscreen.
    SceneError
        When the browser has no cine.

    Examples
    --------
    >>> with SliceView(browser) as view:  # doctest: +SKIP
    ...     picture = view.picture(12)  # uint8 (700, 900, 3)
    """

    def __init__(self, browser: Any, width: int = 900, height: int = 700) -> None:
        scene = headless.start()
        self._browser = browser
        self._volume = browser.GetProxyNode(master_sequence(browser))
        if self._volume is None:
            raise SceneError("the cine has no volume to show; select one of its frames")
        self._application_logic = slicer.app.applicationLogic()
        self._window, self._renderer = _offscreen_window(width, height)
        # before the segments' actors: 2-D actors are drawn in the order they came, and the fill goes over the frame
        self._mapper = _background_mapper(self._renderer)
        self._managers = _displayable_managers(self._renderer, self._application_logic)
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(self._application_logic)
        self._application_logic.GetSliceLogics().AddItem(self._logic)
        self._logic.SetMRMLScene(scene)
        self._slice_node = self._logic.AddSliceNode(scene.GenerateUniqueName("Picture"))
        self._managers.SetMRMLDisplayableNode(self._slice_node)
        self._place(width, height)

    def __enter__(self) -> SliceView:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def picture(self, frame: int) -> NDArray[np.uint8]:
        """Draw a frame with its visible segmentations; afterwards the browser shows the frame it showed before.

        Painting that has not been committed is lost when the browser moves: commit it first.

        Parameters
        ----------
        frame : int

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)

        Raises
        ------
        SceneError
            When there is no such frame.
        """
        count = self._browser.GetNumberOfItems()
        if not 0 <= frame < count:
            raise SceneError(f"there is no frame {frame}; the cine has frames 0 to {count - 1}")
        selected = self._browser.GetSelectedItemNumber()
        self._browser.SetSelectedItemNumber(frame)
        try:
            return self._draw()
        finally:
            self._browser.SetSelectedItemNumber(selected)

    def close(self) -> None:
        """Take the view's nodes out of the scene and free the render window. Repeated calls do nothing."""
        if self._logic is None:
            return
        self._managers.SetMRMLDisplayableNode(None)
        self._application_logic.GetSliceLogics().RemoveItem(self._logic)
        logic = self._logic
        plane = (logic.GetSliceModelNode(), logic.GetSliceModelDisplayNode(), logic.GetSliceModelTransformNode())
        nodes = [*plane, logic.GetSliceCompositeNode(), self._slice_node]
        # before the nodes go: a logic that still watches the scene makes them again
        logic.SetMRMLScene(None)
        for node in nodes:
            if node is not None and node.GetScene() is not None:
                node.GetScene().RemoveNode(node)
        self._window.Finalize()
        self._logic = None

    def _place(self, width: int, height: int) -> None:
        """Show the cine's plane, upright and filling the view."""
        self._logic.GetSliceCompositeNode().SetBackgroundVolumeID(self._volume.GetID())
        self._slice_node.SetOrientation("Axial")
        self._logic.RotateSliceToLowestVolumeAxes(False)
        self._logic.ResizeSliceNode(width, height)
        self._logic.FitSliceToBackground()
        self._logic.SnapSliceOffsetToIJK()

    def _draw(self) -> NDArray[np.uint8]:
        connection = self._logic.GetImageDataConnection()
        if connection is not None:
            self._mapper.SetInputConnection(connection)
        self._window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self._window)
        grab.ReadFrontBufferOff()
        grab.SetInputBufferTypeToRGB()
        grab.Update()
        width, height, _ = grab.GetOutput().GetDimensions()
        pixels = vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars()).reshape(height, width, 3)
        # VTK counts rows from the bottom
        return np.ascontiguousarray(pixels[::-1])


@cache
def _can_draw() -> bool:
    """Ask a small window's own context: SupportsOpenGL says yes without any library, and drawing then crashes.

    A window of its own, because one that was initialised like this crashes when an interactor initialises it again.
    """
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(16, 16)
    window.Initialize()
    window.MakeCurrent()
    answer = bool(window.IsCurrent())
    window.Finalize()
    return answer


def _offscreen_window(width: int, height: int) -> tuple[Any, Any]:
    if not _can_draw():
        raise OutputError("this machine cannot draw offscreen; install a software OpenGL (Mesa's EGL or OSMesa)")
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetSize(width, height)
    renderer = vtk.vtkRenderer()
    renderer.GetActiveCamera().ParallelProjectionOn()
    window.AddRenderer(renderer)
    # displayable managers draw into the light-box renderer that shares the layers of a slice view
    overlay = vtk.vtkRenderer()
    overlay.SetLayer(1)
    overlay.GetActiveCamera().ParallelProjectionOn()
    window.SetNumberOfLayers(2)
    window.AddRenderer(overlay)
    interactor = vtk.vtkRenderWindowInteractor()
    interactor.SetRenderWindow(window)
    interactor.Initialize()
    return window, renderer


def _displayable_managers(renderer: Any, application_logic: Any) -> Any:
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    factory.SetMRMLApplicationLogic(application_logic)
    for name in _DISPLAYABLE_MANAGERS:
        if hasattr(slicer, name) and not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    group = slicer.vtkMRMLDisplayableManagerGroup()
    group.SetRenderer(renderer)
    group.Initialize(factory, renderer)
    return group


def _background_mapper(renderer: Any) -> Any:
    mapper = vtk.vtkImageMapper()
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetDisplayLocationToBackground()
    renderer.AddViewProp(actor)
    return mapper
