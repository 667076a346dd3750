"""Frames of a cine as VTK images, and a sequence node's images as frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from UltrasoundLesionSegLib.cine import Frame
from UltrasoundLesionSegLib.errors import FrameError, SceneError
from UltrasoundLesionSegLib.mrml import layout
from UltrasoundLesionSegLib.mrml.plain_images import plain_classes, scalars_of, set_scalars

NO_IMAGES = (
    "the sequence holds no images; choose a sequence of ultrasound frames, or load the scene again with its data files "
    "where they were"
)


def image_from_array(array: NDArray[Any]) -> Any:
    """Copy one frame into a VTK image.

    Parameters
    ----------
    array : ndarray, shape (H, W) or (H, W, C)

    Returns
    -------
    vtkImageData
        Dimensions (W, H, 1), spacing 1 and origin 0: in MRML the geometry is the volume node's.
    """
    height, width = array.shape[:2]
    values = np.ascontiguousarray(array).reshape(height * width, -1)
    scalars = numpy_to_vtk(values if values.shape[1] > 1 else values[:, 0], deep=True)
    scalars.SetName("ImageScalars")
    image = vtk.vtkImageData()
    image.SetDimensions(width, height, 1)
    set_scalars(image, scalars)
    return image


def array_from_image(image: Any) -> NDArray[Any]:
    """View the voxels of a VTK image without copying them.

    Returns
    -------
    ndarray, shape (K, H, W) or, with several components, (K, H, W, C)
    """
    width, height, slices = image.GetDimensions()
    values = vtk_to_numpy(scalars_of(image))
    return values.reshape((slices, height, width, *values.shape[1:]))


def image_of(volume_node: Any) -> Any:
    """Return the volume node's vtkImageData, or None where there are no voxels."""
    image = volume_node.GetImageData() if volume_node is not None and hasattr(volume_node, "GetImageData") else None
    if image is None or scalars_of(image) is None or 0 in image.GetDimensions():
        return None
    return image


class SequenceFrames:
    """The frames of a sequence node, read when asked for: a ``FrameReader``.

    uint8 grey and RGB frames are views of the node's own memory, marked read-only. RGBA gives its RGB, grey with alpha
    its grey. Other scalar types are scaled to 0..255 once for the whole sequence, so that brightness does not flicker:
    integers that already lie within 0..255 keep their values, all else is mapped linearly from the least and greatest
    value over all frames; nan counts as the least.

    The node is referred to weakly: a cine that someone still holds does not keep a closed scene's frames in memory.

    Parameters
    ----------
    sequence : vtkMRMLSequenceNode

    Raises
    ------
    SceneError
        When the sequence has no images of one size and kind.
    """

    def __init__(self, sequence: Any) -> None:
        self._reference = vtk.vtkWeakReference()
        self._reference.Set(sequence)
        self._count = sequence.GetNumberOfDataNodes()
        with plain_classes:
            form, self._convert = _form_and_conversion(sequence)
        self.height, self.width, self._components = form

    @property
    def is_color(self) -> bool:
        """Whether frames are ``(H, W, 3)``."""
        return self._components >= 3

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int, /) -> Frame:
        if not -self._count <= index < self._count:
            raise IndexError(index)
        frame = index % self._count
        sequence = self._reference.Get()
        if sequence is None or frame >= sequence.GetNumberOfDataNodes():
            raise SceneError("the cine is no longer in the scene; load it again")
        node = sequence.GetNthDataNode(frame)
        reason = node.GetAttribute(layout.UNREADABLE) if node is not None else None
        with plain_classes:
            array = _array_of(node)
        if array is None or reason:
            raise FrameError(frame, reason or "it has no pixels")
        if array.shape[:2] != (self.height, self.width):
            raise FrameError(frame, "its size differs from the other frames'")
        pixels = array[..., :3] if self.is_color else array.reshape(self.height, self.width, -1)[..., 0]
        result = self._convert(pixels)
        result.flags.writeable = False
        return result


_Form = tuple[int, int, int]  # height, width, components
_Conversion = Callable[[NDArray[Any]], Frame]


def _array_of(volume_node: Any) -> NDArray[Any] | None:
    """View the voxels of a volume node's first slice, (H, W) or (H, W, C); None where there are none."""
    image = image_of(volume_node)
    return None if image is None else array_from_image(image)[0]


def _form_and_conversion(sequence: Any) -> tuple[_Form, _Conversion]:
    """Return what all images of a sequence have in common, and how their pixels become uint8."""
    nodes = map(sequence.GetNthDataNode, range(sequence.GetNumberOfDataNodes()))
    images = [image for image in map(image_of, nodes) if image is not None]
    return _common_form(images), _conversion_to_uint8(images)


def _common_form(images: list[Any]) -> _Form:
    """Return height, width and number of components, the same for all images."""
    forms = {(*image.GetDimensions(), image.GetNumberOfScalarComponents()) for image in images}
    if not forms:
        raise SceneError(NO_IMAGES)
    if len(forms) > 1:
        raise SceneError("the sequence's images differ in size or in grey and colour; choose one cine's frames")
    width, height, slices, components = forms.pop()
    if slices != 1:
        raise SceneError(f"the sequence's images have {slices} slices each; choose a sequence of 2-D frames")
    return height, width, components


def _conversion_to_uint8(images: list[Any]) -> _Conversion:
    """Return the function that makes uint8 of this sequence's pixels, the same for every frame."""
    if all(image.GetScalarType() == vtk.VTK_UNSIGNED_CHAR for image in images):
        return lambda pixels: pixels
    ranges = [_finite_range(array_from_image(image)) for image in images]
    low, high = min(one[0] for one in ranges), max(one[1] for one in ranges)
    whole = all(image.GetScalarType() not in (vtk.VTK_FLOAT, vtk.VTK_DOUBLE) for image in images)
    if whole and low >= 0 and high <= 255:
        return lambda pixels: pixels.astype(np.uint8)
    scale = 255 / (high - low) if high > low else 0.0

    def convert(pixels: NDArray[Any]) -> Frame:
        scaled = np.nan_to_num((pixels.astype(np.float64) - low) * scale, nan=0.0, posinf=255.0, neginf=0.0)
        return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)

    return convert


def _finite_range(array: NDArray[Any]) -> tuple[float, float]:
    finite = array[np.isfinite(array)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
