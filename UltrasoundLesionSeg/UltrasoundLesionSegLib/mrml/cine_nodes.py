"""A cine as nodes of a scene, and back.

The layout is that of Slicer's own DICOM import of image sequences, so that everything in Slicer that knows sequences
knows ours: one sequence node of one-slice volumes, a browser named "<name> browser" and the proxy volume that shows
the selected frame. IJKToRAS is diag(-column spacing, -row spacing, 1) with origin 0, which shows the image upright in
an axial view. What the layout cannot carry (where the calibration is known from, regions, exact frame times, digest,
notes) lies in attributes of the sequence node: see ``layout.py``.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from typing import Any

import numpy as np
import slicer
import vtk

from UltrasoundLesionSegLib.cine import CalibratedRegion, Calibration, Cine, Frame, Timing
from UltrasoundLesionSegLib.errors import FrameError, SceneError
from UltrasoundLesionSegLib.mrml import headless, layout
from UltrasoundLesionSegLib.mrml.frames import array_from_image, image_from_array, image_of
from UltrasoundLesionSegLib.mrml.names import free_name, name_to_save
from UltrasoundLesionSegLib.mrml.steps import run_to_end
from UltrasoundLesionSegLib.readers.pixel_digest import PixelDigest

# Frame times closer than this are the same to Slicer's sequence index (its default tolerance is 0.001)
_SMALLEST_TIME_STEP = 1e-5
_DEFAULT_FRAMES_PER_SECOND = 10.0  # what Slicer plays at when it knows no frame time


def add_cine(cine: Cine, name: str | None = None) -> Any:
    """Add a cine to the scene.

    Frames are read one by one and copied into the sequence, so that a lazily decoded source takes the memory of its
    frames once. A frame that cannot be read is shown black and stays unreadable for whoever asks for it later.

    Parameters
    ----------
    cine : Cine
    name : str, optional
        Name of the sequence and its proxy; by default one made of the source's digest, which says nothing of a patient.

    Returns
    -------
    vtkMRMLSequenceBrowserNode
        With the first frame selected.

    Raises
    ------
    SourceError
        When the source fails altogether; the scene is then as it was.
    """
    return run_to_end(add_cine_steps(cine, name))


def add_cine_steps(cine: Cine, name: str | None = None) -> Generator[int, None, Any]:
    """Do what :func:`add_cine` does, one frame a step; yields the number of frames read and returns the browser node.

    Nothing is in the scene before the last step.
    """
    scene = headless.start()
    sequence = slicer.vtkMRMLSequenceNode()
    index = _index_values(cine.timing, len(cine))
    sequence.SetIndexName("time" if index is None else "frame")
    sequence.SetIndexUnit("s" if index is None else "")
    values = index if index is not None else [repr(float(second)) for second in cine.timing.seconds]  # type: ignore[union-attr]
    if index is None:
        sequence.SetNumericIndexValueTolerance(_SMALLEST_TIME_STEP / 2)
    _describe(sequence, cine, times_in_index=index is None)
    yield from _fill(sequence, cine, values)
    return _add_to_scene(scene, sequence, name or cine.identity.short_name, cine.timing)


def browser_from_volume(volume_node: Any, name: str | None = None) -> Any:
    """Make a cine of a volume whose slices are frames. The volume is left as it is.

    Parameters
    ----------
    volume_node : vtkMRMLScalarVolumeNode or vtkMRMLVectorVolumeNode
        Frame ``k`` is slice ``k`` in its voxel (IJK) order. Its spacing is taken over; a spacing of 1 x 1 counts as
        unknown, because that is what Slicer gives volumes without one.
    name : str, optional
        Of the new nodes; by default the volume's name with "cine" behind it.

    Returns
    -------
    vtkMRMLSequenceBrowserNode

    Raises
    ------
    SceneError
        When the node has no voxels or is a label map.
    """
    scene = headless.start()
    image = image_of(volume_node)
    if image is None:
        raise SceneError("the volume has no voxels; choose a volume whose slices are the frames of a cine")
    if volume_node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise SceneError("the volume is a label map; choose the volume of ultrasound frames that it belongs to")
    frames = array_from_image(image)
    column_mm, row_mm, _ = volume_node.GetSpacing()
    sequence = slicer.vtkMRMLSequenceNode()
    sequence.SetIndexName("frame")
    sequence.SetIndexUnit("")
    volume = _volume_node(frames.ndim == 4, row_mm, column_mm)
    uids = (volume_node.GetAttribute(layout.DICOM_INSTANCE_UIDS) or "").split()
    for frame, pixels in enumerate(frames):
        if uids:
            volume.SetAttribute(layout.DICOM_INSTANCE_UIDS, uids[frame] if len(uids) == len(frames) else " ".join(uids))
        volume.SetAndObserveImageData(image_from_array(pixels))
        sequence.SetDataNodeAtValue(volume, str(frame))
    browser = _add_to_scene(scene, sequence, name or f"{volume_node.GetName()} cine", None)
    sequence.SetNodeReferenceID(layout.SOURCE_VOLUME_REFERENCE, volume_node.GetID())
    return browser


def _index_values(timing: Timing | None, count: int) -> list[str] | None:
    """Return frame numbers as index, or None when the frame times can be the index."""
    if timing is not None and (count == 1 or float(np.min(np.diff(timing.seconds))) >= _SMALLEST_TIME_STEP):
        return None
    return [str(frame) for frame in range(count)]


def _fill(sequence: Any, cine: Cine, values: list[str]) -> Generator[int, None, None]:
    row_mm, column_mm = cine.calibration.spacing if cine.calibration is not None else (1.0, 1.0)
    volume = _volume_node(cine.is_color, row_mm, column_mm)
    uids = cine.identity.sop_instance_uids
    digest = PixelDigest()
    for frame, value in enumerate(values):
        pixels, reason = _read(cine, frame)
        digest.add(pixels if reason is None else None)
        volume.SetAttribute(layout.UNREADABLE, reason)
        if uids:
            volume.SetAttribute(layout.DICOM_INSTANCE_UIDS, uids[frame] if len(uids) == len(values) else uids[0])
        volume.SetAndObserveImageData(image_from_array(pixels))
        sequence.SetDataNodeAtValue(volume, value)
        yield frame + 1
    sequence.SetAttribute(layout.SOURCE_PIXELS, digest.hexdigest())


def _read(cine: Cine, frame: int) -> tuple[Frame, str | None]:
    """Return the frame's pixels, black with the reason when it alone cannot be read."""
    try:
        return cine.frames[frame], None
    except FrameError as error:
        return np.zeros((*cine.shape, 3) if cine.is_color else cine.shape, np.uint8), error.reason


def _volume_node(is_color: bool, row_mm: float, column_mm: float) -> Any:
    """Make the off-scene volume that is filled and copied into the sequence frame after frame."""
    volume = slicer.vtkMRMLVectorVolumeNode() if is_color else slicer.vtkMRMLScalarVolumeNode()
    if is_color:
        volume.SetVoxelVectorType(slicer.vtkMRMLVolumeNode.VoxelVectorTypeColorRGB)
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 0, -column_mm)
    matrix.SetElement(1, 1, -row_mm)
    volume.SetIJKToRASMatrix(matrix)
    return volume


def _describe(sequence: Any, cine: Cine, times_in_index: bool) -> None:
    """Write what the layout itself cannot carry into the sequence's attributes."""
    known = cine.calibration is not None
    attributes = {
        layout.CALIBRATION_KNOWN: "true" if known else "false",
        layout.CALIBRATION_SOURCE: cine.calibration.source if cine.calibration is not None else None,
        layout.CALIBRATION_NOTE: (cine.calibration.note or None) if cine.calibration is not None else None,
        layout.CALIBRATION_REGIONS: json.dumps([_region_to_json(one) for one in cine.regions])
        if cine.regions
        else None,
        layout.OTHER_REGIONS: json.dumps(cine.other_regions) if cine.other_regions else None,
        layout.PIXEL_ASPECT: repr(float(cine.pixel_aspect)) if cine.pixel_aspect is not None else None,
        layout.TIMING_SOURCE: cine.timing.source if cine.timing is not None else None,
        layout.TIMING_APPROXIMATE: ("true" if cine.timing.approximate else "false")
        if cine.timing is not None
        else None,
        layout.FRAME_TIMES: None
        if cine.timing is None or times_in_index
        else " ".join(repr(float(second)) for second in cine.timing.seconds),
        layout.SOURCE_KIND: cine.identity.kind.value,
        layout.SOURCE_DIGEST: cine.identity.digest,
        layout.NOTES: json.dumps(cine.notes) if cine.notes else None,
    }
    for key, value in attributes.items():
        if value is not None:
            sequence.SetAttribute(key, value)


def _region_to_json(region: CalibratedRegion) -> dict[str, Any]:
    one: Calibration = region.calibration
    return {
        "box": list(region.box),
        "row_mm": one.row_mm,
        "column_mm": one.column_mm,
        "source": one.source,
        "note": one.note,
    }


def _add_to_scene(scene: Any, sequence: Any, name: str, timing: Timing | None) -> Any:
    sequence.SetName(free_name(scene, name_to_save(name)))
    scene.AddNode(sequence)
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeSequenceStorageNode")
    sequence.SetAndObserveStorageNodeID(storage.GetID())
    browser = slicer.vtkMRMLSequenceBrowserNode()
    browser.SetName(free_name(scene, f"{sequence.GetName()} browser"))
    scene.AddNode(browser)
    browser.AddSynchronizedSequenceNode(sequence)
    play_as_recorded(browser, timing)
    browser.SetSelectedItemNumber(0)
    _show_grey_values_as_they_are(browser.GetProxyNode(sequence))
    return browser


def show_stored_frames(browsers: Iterable[Any]) -> None:
    """Let the proxies of browsers show what is stored for the frame that each is on; unstored drawings are lost.

    A scene that is added to another one puts its own frames into the proxies there: its browsers name proxies by the
    IDs that these had in the file, before Slicer changes the IDs to free ones.

    Parameters
    ----------
    browsers : iterable of vtkMRMLSequenceBrowserNode
    """
    for browser in browsers:
        if browser.GetScene() is not None and browser.GetMasterSequenceNode() is not None:
            slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)


def play_as_recorded(browser: Any, timing: Timing | None) -> None:
    """Let a browser play at the cine's own rate, skip no frame, and show frame numbers without decimals.

    Parameters
    ----------
    browser : vtkMRMLSequenceBrowserNode
    timing : Timing or None
        None where the frame times are unknown: the rate is then Slicer's default.
    """
    browser.SetPlaybackRateFps((timing.frames_per_second if timing is not None else 0) or _DEFAULT_FRAMES_PER_SECOND)
    browser.SetPlaybackItemSkippingEnabled(False)
    master = browser.GetMasterSequenceNode()
    if master is not None and master.GetIndexName() == "frame":
        browser.SetIndexDisplayFormat("%.0f")


def _show_grey_values_as_they_are(proxy: Any) -> None:
    """Fix the display window of 8-bit frames: Slicer's automatic one would make the brightness flicker."""
    display = proxy.GetDisplayNode()
    if display is not None and proxy.GetImageData().GetScalarType() == vtk.VTK_UNSIGNED_CHAR:
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(0, 255)
