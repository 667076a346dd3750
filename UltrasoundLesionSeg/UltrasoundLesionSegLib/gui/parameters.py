"""What the user chose in the panel, as a typed parameter node that is saved with the scene."""

import enum

from slicer import vtkMRMLSequenceBrowserNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import parameterNodeWrapper


class Direction(enum.Enum):
    """Where propagation goes from the anchors."""

    BOTH = "both"
    FORWARD = "forward"
    BACKWARD = "backward"

    def label(self) -> str:
        """Return the entry in the list."""
        return {"both": _("Both ways"), "forward": _("Forward"), "backward": _("Backward")}[self.value]


class Device(enum.Enum):
    """Where to compute."""

    AUTO = "auto"
    CUDA = "cuda"
    MPS = "mps"
    CPU = "cpu"

    def label(self) -> str:
        """Return the entry in the list."""
        labels = {"auto": _("Automatic"), "cuda": _("NVIDIA GPU (CUDA)"), "mps": _("Apple GPU (MPS)")}
        return labels.get(self.value, _("Processor (CPU)"))


@parameterNodeWrapper
class UltrasoundLesionSegParameterNode:
    """What the user chose; saved with the scene.

    Parameters
    ----------
    browser : the cine
    model : name of the bundle; '' is the default one
    direction, device : how to propagate and where
    firstFrame, lastFrame : frames to compute, counted from 0; -1 is the last frame of the cine
    followResults : whether the cine goes to each frame as it is done
    allowOverlap : whether lesions may share pixels
    export... : the kinds of files to write
    labelmapSeg : whether the DICOM SEG is a label map
    sr3d : whether the DICOM SR is a Comprehensive 3D SR
    addToDatabase : whether SEG and SR are added to Slicer's DICOM database too
    pixelsAllowed : whether images of the chosen cine may be written; not of the next one
    blankOutside : whether everything outside the ultrasound image is black, where images may be written
    """

    browser: vtkMRMLSequenceBrowserNode
    model: str = ""
    direction: Direction = Direction.BOTH
    device: Device = Device.AUTO
    firstFrame: int = 0
    lastFrame: int = -1
    followResults: bool = True
    allowOverlap: bool = False
    exportSeg: bool = True
    exportSr: bool = True
    exportCsv: bool = True
    exportMasks: bool = False
    exportCoco: bool = False
    exportNifti: bool = False
    exportScene: bool = False
    exportVideo: bool = False
    exportSheet: bool = False
    exportReport: bool = False
    labelmapSeg: bool = False
    sr3d: bool = False
    addToDatabase: bool = False
    pixelsAllowed: bool = False
    blankOutside: bool = True
