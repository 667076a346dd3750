"""The nodes under a cine's lesions: the segmentation sequence's items and the proxy that shows one of them.

Three rules follow from how Slicer's Sequences module works:

* "Save changes" stays off. With it on, proxy and data node are one object, and switching it off empties the frame.
* Whenever the browser or any of its sequences says that it was modified, Slicer copies the stored frame over the
  proxy, and with it over what was painted there. Data nodes are therefore changed in place and silently.
* Every frame has an item, because a frame without one would show the previous frame's mask.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import slicer
import vtk

from UltrasoundLesionSegLib.errors import SceneError
from UltrasoundLesionSegLib.mrml import layout
from UltrasoundLesionSegLib.mrml.cine_of_browser import master_sequence
from UltrasoundLesionSegLib.mrml.labelmaps import FrameGeometry, read_mask, write_masks
from UltrasoundLesionSegLib.mrml.names import free_name, name_to_save
from UltrasoundLesionSegLib.mrml.segments import (
    SegmentInfo,
    info_of,
    new_segment,
    read_state,
    segment_ids,
    write_state,
)

_FILL_OPACITY = 0.2  # Slicer's 0.5 hides the echoes inside the lesion
_OUTLINE_PIXELS = 2  # Slicer's 1 is hard to see on speckle
_REFERENCE_VOLUME = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()


def add_sequence(browser: Any, segments: list[SegmentInfo], name: str) -> Any:
    """Add a sequence of segmentations, empty on every frame, and synchronise it with the browser.

    Returns
    -------
    vtkMRMLSequenceNode
    """
    master, scene = master_sequence(browser), browser.GetScene()
    sequence = slicer.vtkMRMLSequenceNode()
    sequence.SetName(free_name(scene, name_to_save(name)))
    sequence.SetIndexName(master.GetIndexName())
    sequence.SetIndexUnit(master.GetIndexUnit())
    sequence.SetIndexType(master.GetIndexType())
    sequence.SetNumericIndexValueTolerance(master.GetNumericIndexValueTolerance())
    sequence.SetAttribute(layout.ROLE, layout.ROLE_LESIONS)
    node = _empty_item(sequence.GetName(), segments, FrameGeometry.of_volume(master.GetNthDataNode(0)))
    for frame in range(master.GetNumberOfDataNodes()):
        value = master.GetNthIndexValue(frame)
        node.SetAttribute(layout.INDEX_VALUE, value)
        sequence.SetDataNodeAtValue(node, value)
    scene.AddNode(sequence)
    browser.AddSynchronizedSequenceNode(sequence)
    browser.SetMissingItemMode(sequence, slicer.vtkMRMLSequenceBrowserNode.MissingItemSetToDefault)
    return sequence


def find_sequence(browser: Any) -> Any:
    """Return the browser's sequence that :func:`add_sequence` made, None where there is none."""
    synchronized = vtk.vtkCollection()
    browser.GetSynchronizedSequenceNodes(synchronized)
    sequences = [synchronized.GetItemAsObject(index) for index in range(synchronized.GetNumberOfItems())]
    return next((one for one in sequences if one.GetAttribute(layout.ROLE) == layout.ROLE_LESIONS), None)


def _weak(node: Any) -> Any:
    reference = vtk.vtkWeakReference()
    reference.Set(node)
    return reference


def _in_scene(reference: Any) -> Any:
    node = reference.Get()
    if node is None or node.GetScene() is None:
        raise SceneError("the lesion segmentation is no longer in the scene; start again from the cine")
    return node


def _empty_item(name: str, segments: list[SegmentInfo], geometry: FrameGeometry) -> Any:
    """Make an off-scene vtkMRMLSegmentationNode with these segments and no pixel."""
    node = slicer.vtkMRMLSegmentationNode()
    node.SetName(name)
    segmentation = node.GetSegmentation()
    geometry.make_reference_of(segmentation)
    for segment in segments:
        segmentation.AddSegment(new_segment(segment), segment.id)
    write_masks(segmentation, {}, geometry)
    return node


class SegmentationNodes:
    """Access to the stored segmentation of each frame and to the proxy's.

    The nodes are referred to weakly: whoever still holds this does not keep a closed scene's masks in memory. Every
    access raises ``SceneError`` once they have left the scene.

    Parameters
    ----------
    browser : vtkMRMLSequenceBrowserNode
    sequence : vtkMRMLSequenceNode
        Made by :func:`add_sequence`.
    """

    def __init__(self, browser: Any, sequence: Any) -> None:
        self._browser, self._sequence = _weak(browser), _weak(sequence)
        self.geometry = FrameGeometry.of_volume(master_sequence(browser).GetNthDataNode(0))

    @property
    def browser(self) -> Any:
        """The vtkMRMLSequenceBrowserNode."""
        return _in_scene(self._browser)

    @property
    def sequence(self) -> Any:
        """The vtkMRMLSequenceNode of segmentations."""
        return _in_scene(self._sequence)

    def __len__(self) -> int:
        """Return the number of frames of the cine."""
        return int(master_sequence(self.browser).GetNumberOfDataNodes())

    def stored(self, frame: int) -> Any:
        """Return the stored vtkSegmentation of a frame.

        Raises
        ------
        SceneError
            When the cine has no such frame.
        """
        if not 0 <= frame < len(self):
            raise SceneError(f"there is no frame {frame}; the cine has frames 0 to {len(self) - 1}")
        return self._item(self.browser.GetMasterSequenceNode(), frame)

    def all_stored(self) -> list[Any]:
        """Return the stored vtkSegmentations of all frames in order."""
        count, master = len(self), self.browser.GetMasterSequenceNode()
        return [self._item(master, frame) for frame in range(count)]

    @property
    def proxy(self) -> Any:
        """The vtkMRMLSegmentationNode that shows a frame, made again if deleted; ``SceneError`` where that fails."""
        node = self.browser.GetProxyNode(self.sequence)
        if node is None:
            slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(self.browser)
            node = self.browser.GetProxyNode(self.sequence)
        if node is None:  # the browser is being taken apart
            raise SceneError("the lesion segmentation is no longer shown with the cine; start again from the cine")
        if node.GetNodeReferenceID(_REFERENCE_VOLUME) is None:
            self.tie_proxy_to_cine()
        return node

    @property
    def shown(self) -> Any:
        """The proxy's vtkSegmentation."""
        return self.proxy.GetSegmentation()

    @property
    def shown_frame(self) -> int:
        """The frame that the proxy shows. While the browser is moving, this is still the frame it comes from."""
        value = self.proxy.GetAttribute(layout.INDEX_VALUE)
        frame = master_sequence(self.browser).GetItemNumberFromIndexValue(value) if value is not None else -1
        return int(frame) if frame >= 0 else max(0, int(self.browser.GetSelectedItemNumber()))

    def removed_ids(self) -> list[str]:
        """Return the ids of the segments that were removed."""
        try:
            found = json.loads(self.sequence.GetAttribute(layout.REMOVED_SEGMENTS) or "[]")
        except ValueError:  # a scene edited by hand
            return []
        return [str(one) for one in found] if isinstance(found, list) else []

    def remember_removed(self, segment_id: str) -> None:
        """Keep the id of a segment that is removed: none is given again, also after the scene was saved and loaded."""
        with layout.without_events(self.sequence):
            removed = sorted({*self.removed_ids(), segment_id})
            self.sequence.SetAttribute(layout.REMOVED_SEGMENTS, json.dumps(removed))

    def refresh_proxy(self, stored: Any) -> None:
        """Show a changed stored segmentation, keeping the proxy's segments: an editor may have one selected."""
        shown, ids = self.shown, segment_ids(stored)
        if shown is stored:
            return
        if segment_ids(shown) != ids:
            shown.DeepCopy(stored)
            return
        masks = {one: read_mask(stored, one, self.geometry) for one in ids}
        if not all(np.array_equal(read_mask(shown, one, self.geometry), mask) for one, mask in masks.items()):
            write_masks(shown, masks, self.geometry)
        for one in ids:
            # only if it differs: every change disturbs the editor's undo (compared as text, because nan is not nan)
            state = read_state(stored.GetSegment(one))
            if repr(read_state(shown.GetSegment(one))) != repr(state):
                write_state(shown.GetSegment(one), state)

    def tie_proxy_to_cine(self) -> None:
        """Give a new proxy its reference volume, the transform of the cine's proxy, and a see-through fill."""
        proxy = self.browser.GetProxyNode(self.sequence)
        volume = self.browser.GetProxyNode(master_sequence(self.browser))
        if proxy is not None and volume is not None:
            proxy.SetNodeReferenceID(_REFERENCE_VOLUME, volume.GetID())
            proxy.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        if proxy is not None and proxy.GetDisplayNode() is not None:
            proxy.GetDisplayNode().SetOpacity2DFill(_FILL_OPACITY)
            proxy.GetDisplayNode().SetSliceIntersectionThickness(_OUTLINE_PIXELS)

    def switch_off_save_changes(self) -> None:
        """Switch "Save changes" off, if someone switched it on, in the one order that loses no frame."""
        if not self.browser.GetSaveChanges(self.sequence):
            return
        proxy = self.proxy
        was_modifying = self.browser.StartModify()
        self.browser.SetSaveChanges(self.sequence, False)
        copy = slicer.vtkSegmentation()
        copy.DeepCopy(proxy.GetSegmentation())
        proxy.SetAndObserveSegmentation(copy)
        self.browser.EndModify(was_modifying)

    def _item(self, master: Any, frame: int) -> Any:
        value = master.GetNthIndexValue(frame)
        node = self.sequence.GetDataNodeAtValue(value)
        return (node if node is not None else self._add_item(value)).GetSegmentation()

    def _add_item(self, index_value: str) -> Any:
        """Add an item with the other items' segments for a frame whose item someone removed."""
        segments: list[SegmentInfo] = []
        items = map(self.sequence.GetNthDataNode, range(self.sequence.GetNumberOfDataNodes()))
        known = next((item for item in items if item is not None), None)  # none when the data file is missing
        if known is not None:
            other = known.GetSegmentation()
            segments = [info_of(other, one) for one in segment_ids(other)]
        node = _empty_item(self.sequence.GetName(), segments, self.geometry)
        node.SetAttribute(layout.INDEX_VALUE, index_value)
        with layout.without_events(self.sequence):
            return self.sequence.SetDataNodeAtValue(node, index_value)
