"""Access to what a cine is made of in a scene: its nodes, frames, source, segments. The base of the workflow class.

The method names are camelCase because Slicer's logic class inherits them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.cine import Calibration, Cine, SourceIdentity, Timing
from UltrasoundLesionSegLib.errors import SceneError, SeedError, SourceError
from UltrasoundLesionSegLib.mrml import headless
from UltrasoundLesionSegLib.mrml.steps import run_to_end
from UltrasoundLesionSegLib.readers.lesion_names import tidied
from UltrasoundLesionSegLib.workflow.arguments import checks_arguments

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence


@checks_arguments
class SceneAccess:
    """Loads cines and finds their parts in the scene.

    Cines are named by their sequence browser node (``useNode`` makes one for a volume whose slices are frames).
    A ``frame`` left out is the one the browser shows.
    """

    def __init__(self) -> None:
        headless.start()
        self._cines: dict[str, Cine] = {}  # by browser ID: what the nodes cannot hold (the source's paths)

    def loadCine(
        self,
        source: str | Path | NDArray[np.uint8],
        name: str | None = None,
        spacing: tuple[float, float] | None = None,
        frameRate: float | None = None,
    ) -> Any:
        """Read a cine from a file, a folder or an array.

        Parameters
        ----------
        source : str, Path, or ndarray of uint8, shape (T, H, W) or (T, H, W, 3)
            DICOM multi-frame, folder of single-frame DICOM, AVI/MP4/MOV/MPEG, folder of images, NRRD/MHA; or the frames
            themselves, grey or RGB.
        name : str, optional
            The nodes' name; by default one made of the content's digest, which cannot carry a patient's name.
        spacing : (float, float), optional
            Of an array: distance between neighbouring rows, then between neighbouring columns, in mm. Without it,
            measurements are in pixels.
        frameRate : float, optional
            Of an array: frames per second. Without it, measurements have no times.

        Returns
        -------
        vtkMRMLSequenceBrowserNode

        Raises
        ------
        SourceError
            When the source is not a cine, or a spacing or frame rate is not positive or given for a file.
        """
        if isinstance(source, (str, Path)):
            from UltrasoundLesionSegLib.readers.open import read_cine

            if spacing is not None or frameRate is not None:
                raise SourceError("spacing and frameRate are for arrays; a file's own values are read from the file")
            return self.addCine(read_cine(Path(source)), name)
        calibration = None if spacing is None else Calibration(*spacing, "given with the array")
        if frameRate is not None and not 0 < frameRate < np.inf:
            raise SourceError(f"the frame rate {frameRate} is not positive; leave it out instead")
        frames = np.asarray(source)
        times = None if frameRate is None else np.arange(len(frames)) / frameRate
        timing = None if times is None else Timing(times, "given with the array")
        return self.addCine(Cine.from_array(frames, calibration, timing), name)

    def addCine(self, cine: Cine, name: str | None = None) -> Any:
        """Put a cine made in Python into the scene; returns its browser node."""
        return run_to_end(self.addCineSteps(cine, name))

    def addCineSteps(self, cine: Cine, name: str | None = None) -> Generator[int, None, Any]:
        """Do what ``addCine`` does, one frame a step; yields the number of frames read and returns the browser node.

        Nothing is in the scene before the last step.
        """
        from UltrasoundLesionSegLib.mrml.cine_nodes import add_cine_steps

        browser = yield from add_cine_steps(cine, name or cine.identity.short_name)
        self._cines[browser.GetID()] = cine
        return browser

    def useNode(self, node: Any | None) -> Any:
        """Return the browser for something already in the scene.

        Parameters
        ----------
        node : vtkMRMLSequenceBrowserNode, or volume node whose slices are frames
            A volume is copied into a new sequence once and left as it is.

        Raises
        ------
        SceneError
            When ``node`` is None or no longer in the scene, or the volume's slices are no frames.
        """
        from UltrasoundLesionSegLib.mrml.cine_nodes import browser_from_volume

        if node is None:
            raise SceneError("no cine is selected; choose a sequence browser or a volume whose slices are frames")
        if node.GetScene() is None:
            raise SceneError("the node is no longer in the scene; choose one that is")
        return node if node.IsA("vtkMRMLSequenceBrowserNode") else browser_from_volume(node)

    def cine(self, browser: Any) -> Cine:
        """Return the cine behind a browser: lazy frames over its nodes, calibration, timing, identity."""
        from UltrasoundLesionSegLib.mrml.cine_of_browser import cine_from_browser

        return cine_from_browser(self._alive(browser))

    def sourceIdentity(self, browser: Any) -> SourceIdentity:
        """Return where the cine came from, with its files when they were read in this process or Slicer knows them."""
        identity = self.cine(browser).identity
        loaded = self._cines.get(browser.GetID())
        if loaded is not None and loaded.identity.digest == identity.digest:
            return loaded.identity
        return replace(identity, paths=_files_in_dicom_database(identity.sop_instance_uids))

    def volumeNode(self, browser: Any) -> Any | None:
        """Return the volume that shows the cine's current frame, None where there is none."""
        master = browser.GetMasterSequenceNode()
        proxy = browser.GetProxyNode(master) if master else None
        # where the images were deleted, the lesions are the browser's first sequence
        return proxy if proxy is not None and proxy.IsA("vtkMRMLVolumeNode") else None

    def nodesOf(self, browser: Any) -> list[Any]:
        """Return the nodes this cine lives in: browser, its sequences, and the proxies they are shown with."""
        import vtk

        sequences = vtk.vtkCollection()
        browser.GetSynchronizedSequenceNodes(sequences, True)
        listed = [sequences.GetItemAsObject(number) for number in range(sequences.GetNumberOfItems())]
        proxies = [browser.GetProxyNode(sequence) for sequence in listed]
        return [browser, *listed, *(proxy for proxy in proxies if proxy is not None)]

    def release(self, browser: Any | None = None) -> None:
        """Let go of everything kept in memory for a cine; of all cines and networks when none is named."""
        if browser is None:
            self._release_all()
        else:
            self._release_cine(browser)

    def _release_cine(self, browser: Any) -> None:
        self._cines.pop(browser.GetID(), None)

    def _release_all(self) -> None:
        self._cines.clear()

    def _alive(self, browser: Any) -> Any:
        if browser.GetScene() is None or browser.GetMasterSequenceNode() is None:
            raise SceneError("the cine is no longer in the scene; load it again")
        return browser

    def _frame(self, browser: Any, frame: int | None) -> int:
        count = self._alive(browser).GetNumberOfItems()
        try:
            # an int of NumPy would be one, too, but cannot be written into the log of a person's work
            at = int(operator.index(browser.GetSelectedItemNumber() if frame is None else frame))
        except TypeError:
            raise SeedError(f"the frame is no whole number; name one of 0 to {count - 1}") from None
        if not 0 <= at < count:
            raise SeedError(f"frame {at} is not in the cine, which has frames 0 to {count - 1}; name one of those")
        return at

    def _find_sequence(self, browser: Any) -> SegmentationSequence | None:
        from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

        return SegmentationSequence.find(self._alive(browser))

    def _sequence(self, browser: Any) -> SegmentationSequence:
        from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence

        return self._find_sequence(browser) or SegmentationSequence.create(browser, [])

    @staticmethod
    def _segments(sequence: SegmentationSequence, segment: str | None) -> list[str]:
        """Return the ID of the segment named, or of all segments when none is."""
        if segment is None:
            return [one.id for one in sequence.segments()]
        identifier = SceneAccess._find_segment(sequence, segment)
        if identifier is None:
            names = ", ".join(one.name for one in sequence.segments()) or "none"
            raise SceneError(f"there is no segment '{segment}' in this cine; its segments are: {names}")
        return [identifier]

    @staticmethod
    def _segment(sequence: SegmentationSequence, segment: str) -> str:
        """Return the ID of the segment named; one must be."""
        if not segment:
            raise SceneError("no lesion is named; give the name or the ID of one")
        return SceneAccess._segments(sequence, segment)[0]

    @staticmethod
    def _find_segment(sequence: SegmentationSequence, segment: str) -> str | None:
        """Return the ID of the segment with this ID or, where none has it, this name."""
        is_id = any(one.id == segment for one in sequence.segments())
        return segment if is_id else SceneAccess._find_named(sequence, segment)

    @staticmethod
    def _find_named(sequence: SegmentationSequence, name: str) -> str | None:
        """Return the ID of the segment with this name."""
        return next((one.id for one in sequence.segments() if one.name == tidied(str(name))), None)

    @staticmethod
    def _add_segment(sequence: SegmentationSequence, name: str, number: int | None = None) -> str:
        """Add a lesion, with this number where no other has or had it.

        "Lesion 3" by default has the number 3, as in a label image with 1 and 3.
        """
        from UltrasoundLesionSegLib.mrml.segments import SegmentInfo

        used = sequence.used_ids
        own = re.fullmatch(r"Lesion ([1-9][0-9]?)", name)
        wanted = number or (int(own[1]) if own else 1)
        numbers = [wanted, *range(1, len(used) + 2)]
        number = next(n for n in numbers if SegmentInfo.numbered(n).id not in used)
        info = SegmentInfo.numbered(number, name)
        sequence.add_segment(info)
        return info.id

    @staticmethod
    def _checked_range(frames: tuple[int, int] | None, count: int) -> range:
        if frames is None:
            return range(count)
        try:
            start, stop = map(operator.index, frames)
        except (TypeError, ValueError):
            raise SeedError(
                "the frame range is not two whole numbers; name the first frame and one past the last"
            ) from None
        if not 0 <= start < stop <= count:
            raise SeedError(
                f"the frame range {start}:{stop} does not fit the cine's {count} frames; "
                f"name a start and a larger end between 0 and {count}"
            )
        return range(start, stop)


def _files_in_dicom_database(uids: Sequence[str]) -> tuple[Path, ...]:
    """Return the files of SOP instances that Slicer's DICOM database holds; empty outside Slicer or where one lacks."""
    import slicer

    database = getattr(slicer, "dicomDatabase", None)
    files = [database.fileForInstance(uid) for uid in uids] if database else []
    return tuple(Path(file) for file in files) if files and all(files) else ()
