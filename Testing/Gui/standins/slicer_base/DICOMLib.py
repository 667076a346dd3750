"""The part of Slicer's DICOMLib that a plugin builds on: attributes and defaults as in DICOMPlugin.py of Slicer."""

from __future__ import annotations

from typing import Any


class DICOMLoadable:
    """Something that a plugin offers to load."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.name = "Unknown"
        self.tooltip = "No further information available"
        self.warning = ""
        self.selected = False
        self.confidence = 0.5


class DICOMPlugin:
    """Base class of the plugins of Slicer's DICOM browser."""

    def __init__(self) -> None:
        self.loadType = "Generic DICOM"
        self.loadableCache: dict[Any, Any] = {}
        self.tags = {"seriesDescription": "0008,103E", "seriesNumber": "0020,0011"}
        self.in_hierarchy: list[Any] = []

    def examineForImport(self, fileList: Any) -> list[Any]:
        return []

    def examine(self, fileList: Any) -> list[Any]:
        return self.examineForImport(fileList)

    def load(self, loadable: Any) -> Any:
        return True

    def addSeriesInSubjectHierarchy(self, loadable: Any, dataNode: Any) -> None:
        assert dataNode.IsA("vtkMRMLNode")
        self.in_hierarchy.append(dataNode)


def load_as_the_browser_does(plugins: Any, file_lists: Any) -> list[str]:
    """Do what Slicer's DICOM browser does when **Load** is pressed, as DICOMBrowser.py and DICOMUtils.py have it.

    Of each series the offers of the highest confidence are ticked, whatever the plugin ticked itself; what is ticked is
    loaded, plugin by plugin, in the order offered.

    Parameters
    ----------
    plugins : sequence of DICOMPlugin
    file_lists : sequence of sequence of str
        Files of each series chosen.

    Returns
    -------
    list of str
        Names of what was loaded.
    """
    import slicer

    offers = [(plugin, loadable) for plugin in plugins for loadable in plugin.examineForImport(file_lists)]
    series = [slicer.dicomDatabase.fileValue(one.files[0], "0020,000E") for _, one in offers]
    for uid in set(series):
        rivals = [one for (_, one), of in zip(offers, series, strict=True) if of == uid]
        highest = max(one.confidence for one in rivals)
        for one in rivals:
            one.selected = one.confidence == highest
    return [one.name for plugin, one in offers if one.selected and plugin.load(one)]
