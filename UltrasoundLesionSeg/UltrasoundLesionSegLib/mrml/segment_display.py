"""How a segmentation's segments are shown, kept while Slicer replaces what is shown.

Slicer copies the next frame's segments over the shown ones by deleting and adding them, and with that sets back what a
user chose for each: the eye, the opacities.
"""

from __future__ import annotations

from typing import Any

_PROPERTIES = (
    "Visibility",
    "Visibility2DFill",
    "Visibility2DOutline",
    "Visibility3D",
    "Opacity2DFill",
    "Opacity2DOutline",
    "Opacity3D",
)

Shown = dict[str, dict[str, Any]]


def read_display(segmentation: Any) -> Shown:
    """Return what the user chose for each segment, by segment ID and property.

    Parameters
    ----------
    segmentation : vtkMRMLSegmentationNode
    """
    display = segmentation.GetDisplayNode()
    if display is None:
        return {}
    ids = segmentation.GetSegmentation().GetSegmentIDs()
    return {one: {name: getattr(display, f"GetSegment{name}")(one) for name in _PROPERTIES} for one in ids}


def write_display(segmentation: Any, shown: Shown) -> None:
    """Show segments as :func:`read_display` found them; segments that are not named stay as they are.

    Parameters
    ----------
    segmentation : vtkMRMLSegmentationNode
    shown : dict
    """
    now = read_display(segmentation)
    changed = {one: wanted for one, wanted in shown.items() if one in now and now[one] != wanted}
    if not changed:
        return
    display = segmentation.GetDisplayNode()
    was_modifying = display.StartModify()
    for one, wanted in changed.items():
        for name, value in wanted.items():
            getattr(display, f"SetSegment{name}")(one, value)
    display.EndModify(was_modifying)
