"""The whole job on MRML nodes. ``UltrasoundLesionWorkflow`` is the way in.

The class is loaded when it is first asked for: it loads MRML, which takes seconds, and other files of this package are
needed without it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.workflow.workflow import UltrasoundLesionWorkflow as UltrasoundLesionWorkflow


def __getattr__(name: str) -> Any:
    if name != "UltrasoundLesionWorkflow":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from UltrasoundLesionSegLib.workflow.workflow import UltrasoundLesionWorkflow

    return UltrasoundLesionWorkflow
