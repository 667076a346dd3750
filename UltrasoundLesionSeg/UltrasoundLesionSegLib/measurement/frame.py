"""All measurements of one lesion on one frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from UltrasoundLesionSegLib.cine import Calibration, Frame, Mask, Origin
from UltrasoundLesionSegLib.measurement.echo import EchoMeasurement, measure_echo
from UltrasoundLesionSegLib.measurement.shape import NAN, ShapeMeasurement, largest_component, measure_shape


@dataclass(frozen=True)
class FrameMeasurement(EchoMeasurement, ShapeMeasurement):
    """One lesion on one frame: what ``ShapeMeasurement`` and ``EchoMeasurement`` list, and what the mask is.

    Lengths are in mm and areas in mm2 where ``calibration`` is known, otherwise in pixels and pixels squared. A length
    of one pixel is then its width (the distance between columns), which matters where ``pixel_aspect`` is not 1.
    What cannot be measured is nan (numbers) or None. A lesion that is not visible has area 0, no components, and nan
    otherwise.

    Parameters
    ----------
    calibration : Calibration or None
        The pixel size with which lengths were computed.
    confidence : float
        Of the mask, 0 to 1; nan where it has none, as a mask drawn by a person.
    origin : Origin or None
        Who made the mask; None where unknown.
    pixel_aspect : float or None
        Height of a pixel divided by its width, with which the shape was computed; None where unknown: pixels are then
        taken as square.
    """

    calibration: Calibration | None = None
    confidence: float = NAN
    origin: Origin | None = None
    pixel_aspect: float | None = None

    @property
    def is_visible(self) -> bool:
        """Whether the mask has a pixel."""
        return self.components > 0

    @property
    def is_calibrated(self) -> bool:
        """Whether lengths are in mm, not in pixels."""
        return self.calibration is not None

    @property
    def is_anchor(self) -> bool:
        """Whether a person drew or confirmed the mask."""
        return self.origin is not None and self.origin.is_by_person


def measure_frame(
    mask: Mask,
    frame: Frame,
    calibration: Calibration | None,
    confidence: float = NAN,
    origin: Origin | None = None,
    pixel_aspect: float | None = None,
) -> FrameMeasurement:
    """Measure one lesion on one frame.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
        The lesion. It may be empty, have several parts or holes, or be cut by the image's border.
    frame : ndarray of uint8, shape (H, W) or (H, W, 3)
        The frame the mask belongs to, grey or RGB.
    calibration : Calibration or None
        Size of a pixel; None gives lengths in pixels.
    confidence : float
        Of the mask, 0 to 1, or nan.
    origin : Origin or None
        Who made the mask.
    pixel_aspect : float or None
        Height of a pixel divided by its width (``Cine.pixel_aspect``); used where there is no calibration. Lengths are
        then in widths of a pixel, so that depth and width have the same unit.

    Returns
    -------
    FrameMeasurement

    Raises
    ------
    ValueError
        When mask or frame has another type or another size than said above.

    Examples
    --------
    >>> mask = np.zeros((60, 80), bool)
    >>> mask[20:30, 30:50] = True
    >>> found = measure_frame(mask, np.zeros((60, 80), np.uint8), Calibration(0.1, 0.1, "typed in"))
    >>> f"{found.area:.2f} mm2, depth {found.depth:.1f} mm, width {found.width:.1f} mm, {found.orientation.value}"
    '2.00 mm2, depth 1.0 mm, width 2.0 mm, parallel'
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(f"a mask must be bool of shape (H, W), not {mask.dtype} of shape {mask.shape}")
    if frame.dtype != np.uint8 or frame.shape not in (mask.shape, (*mask.shape, 3)):
        raise ValueError(
            f"the frame must be uint8 of shape {mask.shape} or {(*mask.shape, 3)}, "
            f"not {frame.dtype} of shape {frame.shape}"
        )
    if calibration is not None:
        pixel_aspect = calibration.row_mm / calibration.column_mm
    unseen = FrameMeasurement(calibration=calibration, confidence=confidence, origin=origin, pixel_aspect=pixel_aspect)
    component = largest_component(mask)
    if component is None:
        return unseen
    spacing = calibration.spacing if calibration else (pixel_aspect or 1.0, 1.0)
    shape, echo = measure_shape(mask, component, spacing), measure_echo(mask, frame, component, spacing)
    return replace(unseen, **vars(shape), **vars(echo))
