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
