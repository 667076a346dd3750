from __future__ import annotations

import pytest
import vtk

from UltrasoundLesionSegLib.mrml.plain_images import plain_classes

PLAIN = (vtk.vtkImageData, vtk.vtkPointData)


def shown() -> list[type]:
    return [type(plain()) for plain in PLAIN]


def test_others_find_vtks_subclasses_as_they_were() -> None:
    before = shown()
    with plain_classes:
        with plain_classes:
            assert shown() == [*PLAIN]
        assert shown() == [*PLAIN]  # leaving the inner one does not end the outer one
    assert shown() == before
    with pytest.raises(ValueError), plain_classes:
        raise ValueError
    assert shown() == before
