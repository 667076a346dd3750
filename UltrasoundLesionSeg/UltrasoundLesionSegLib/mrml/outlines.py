"""Outlines of others over a cine: to be looked at, never edited, measured, exported or saved with the scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import slicer

from UltrasoundLesionSegLib.cine import Mask
from UltrasoundLesionSegLib.mrml.cine_of_browser import master_sequence
from UltrasoundLesionSegLib.mrml.labelmaps import FrameGeometry, write_masks
from UltrasoundLesionSegLib.mrml.segments import SegmentInfo, new_segment

# Not among the first colours of lesions; different also to people who cannot distinguish red from green
COLORS = ((0.34, 0.71, 0.91), (0.80, 0.47, 0.65))
_PIXELS = 2


class Outlines:
    """A segmentation of one frame, shown as lines alone.

    Parameters
    ----------
    browser : vtkMRMLSequenceBrowserNode
        The cine that it lies over.
    names : sequence of str
        Whose outlines they are, one or two.
    """

    def __init__(self, browser: Any, names: Sequence[str]) -> None:
        scene, master = browser.GetScene(), master_sequence(browser)
        self._geometry = FrameGeometry.of_volume(master.GetNthDataNode(0))
        node = slicer.vtkMRMLSegmentationNode()
        node.SetName(scene.GenerateUniqueName("Outlines of readers"))
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        segmentation = node.GetSegmentation()
        self._geometry.make_reference_of(segmentation)
        for name, color in zip(names, COLORS, strict=False):
            segmentation.AddSegment(new_segment(SegmentInfo(name, name, color)), name)
        self._names = list(names)
        self.node = scene.AddNode(node)
        self.show({})
        self.node.CreateDefaultDisplayNodes()
        display = self.node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetVisibility2DFill(False)
        display.SetSliceIntersectionThickness(_PIXELS)
        volume = browser.GetProxyNode(master)
        if volume is not None:
            self.node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())

    def show(self, masks: Mapping[str, Mask]) -> None:
        """Show these masks' outlines, by name; the others are empty.

        Parameters
        ----------
        masks : mapping of str to ndarray of bool, shape (H, W)
        """
        if self.node.GetScene() is not None:
            write_masks(self.node.GetSegmentation(), masks, self._geometry)

    def remove(self) -> None:
        """Take them out of the scene."""
        if self.node.GetScene() is not None:
            self.node.GetScene().RemoveNode(self.node)
