"""The part of Slicer's SampleData module that other modules call, and the button that a user presses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class SampleDataSource:
    """One registered data set. As in Slicer, the lists of addresses, files and node names have one length."""

    def __init__(
        self, sampleName: str, uris: str, fileNames: str, nodeNames: str | None, customDownloader: Callable | None
    ) -> None:
        self.sampleName = sampleName
        self.uris, self.fileNames, self.nodeNames = [uris], [fileNames], [nodeNames]
        self.customDownloader = customDownloader


class SampleDataLogic:
    """Registers data sets."""

    sources: dict[str, list[SampleDataSource]] = {}  # noqa: RUF012

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: str | None = None,
        uris: str | None = None,
        fileNames: str | None = None,
        nodeNames: str | None = None,
        customDownloader: Callable | None = None,
        thumbnailFileName: str | None = None,
        loadFileTypes: str | None = None,
        loadFiles: bool | None = None,
        loadFileProperties: dict[str, Any] | None = None,
        checksums: str | None = None,
    ) -> None:
        if uris is None:
            raise TypeError("object of type 'NoneType' has no len()")  # as Slicer fails when there is no address
        sources = SampleDataLogic.sources.setdefault(category, [])
        if all(one.sampleName != sampleName for one in sources):
            sources.append(SampleDataSource(sampleName, uris, fileNames, nodeNames, customDownloader))

    def press(self, sampleName: str) -> Any:
        """What a click on the data set's button in the Sample Data module does."""
        source = next(one for group in self.sources.values() for one in group if one.sampleName == sampleName)
        return source.customDownloader(source)
