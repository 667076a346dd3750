"""What this library raises when a person can fix the cause.

Every message is one sentence that names the thing by its role ("the source", "seed 2", "model x"), says what is
wrong with it and what to do. File paths, file names and DICOM text stay out of the messages: they can carry a
patient's name, and messages end in logs.
"""

from __future__ import annotations


class LesionSegError(Exception):
    """Base of all errors that a user can fix; ``str(error)`` is one sentence fit for the GUI and the shell."""


class SourceError(LesionSegError):
    """The source is not a cine, has no frames, or cannot be read."""


class FrameError(SourceError):
    """One frame of an otherwise readable source cannot be read.

    Parameters
    ----------
    frame : int
        Zero-based index of the frame.
    reason : str
        What is wrong with it, without file names or DICOM text.
    """

    def __init__(self, frame: int, reason: str) -> None:
        super().__init__(f"frame {frame} cannot be read: {reason}")
        self.frame = frame
        self.reason = reason

    def __reduce__(self) -> tuple[type[FrameError], tuple[int, str]]:
        return FrameError, (self.frame, self.reason)  # processes of a batch send it to each other


class SeedError(LesionSegError):
    """A seed is empty, of another size than the cine, outside it, or in a file that is no mask."""


class EmptySeedError(SeedError):
    """No lesion is painted in a seed, so that it says nothing; a case with other drawings can do without it."""


class ModelError(LesionSegError):
    """A model is unknown, damaged, refused, or does not do what is asked of it."""


class DeviceError(LesionSegError):
    """The computing device asked for is not there."""


class OutputError(LesionSegError):
    """A result cannot be written, or what was asked for cannot be expressed in the format."""


class NotExpressibleError(OutputError):
    """A format cannot hold this cine's results, whatever is done: the other formats can be written all the same."""


class SceneError(LesionSegError):
    """A MRML node is missing or is not what the call needs."""


class BatchError(LesionSegError):
    """A batch cannot start: its manifest, its folder of cases, its cluster or its output folder is not usable."""


class ReviewError(LesionSegError):
    """A reader's work on a case of a batch cannot be read, stored or taken up."""


class HeldError(ReviewError):
    """The case is in another person's hands, was taken over by another, or is not where it was."""
