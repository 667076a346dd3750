"""Take a cine and everything that this library made of it out of the scene."""

from __future__ import annotations

from typing import Any

from UltrasoundLesionSegLib.mrml.segmentation_nodes import find_sequence
from UltrasoundLesionSegLib.mrml.tables import remove_tables_and_charts


def remove_cine(browser: Any) -> None:
    """Remove the browser, its cine, its lesion segmentation, tables and charts, and whatever hangs on those.

    Sequences that others synchronised with the browser stay in the scene.

    Parameters
    ----------
    browser : vtkMRMLSequenceBrowserNode
    """
    scene = browser.GetScene()
    if scene is None:
        return
    remove_tables_and_charts(browser)
    lesions, master = find_sequence(browser), browser.GetMasterSequenceNode()
    for sequence in (lesions, master):
        if sequence is None:
            continue
        proxy = browser.GetProxyNode(sequence)
        browser.RemoveSynchronizedSequenceNode(sequence.GetID())
        _remove_with_satellites(scene, proxy)
        _remove_with_satellites(scene, sequence)
    scene.RemoveNode(browser)


def _remove_with_satellites(scene: Any, node: Any) -> None:
    """Remove a node with its display and storage nodes; Slicer itself leaves those in the scene."""
    if node is None:
        return
    displays = range(node.GetNumberOfDisplayNodes()) if hasattr(node, "GetNumberOfDisplayNodes") else ()
    satellites = [node.GetNthDisplayNode(index) for index in displays]
    satellites += [node.GetNthStorageNode(index) for index in range(node.GetNumberOfStorageNodes())]
    for one in [*satellites, node]:
        if one is not None and one.GetScene() is scene:
            scene.RemoveNode(one)
