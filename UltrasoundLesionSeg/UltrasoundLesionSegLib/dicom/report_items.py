"""Content items of a structured report (PS3.3 C.17.3), as plain data sets.

Built directly, because a report on a hundred frames has ten thousand of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from UltrasoundLesionSegLib.dicom.terminology import code_item


class Relation(str, Enum):
    """Relationship Type (0040,A010) of an item to the one that holds it (PS3.3 C.17.3.2.4)."""

    CONTAINS = "CONTAINS"
    CONTEXT = "HAS OBS CONTEXT"
    MODIFIER = "HAS CONCEPT MOD"
    INFERRED = "INFERRED FROM"
    SELECTED = "SELECTED FROM"


def container(
    name: Code, items: Sequence[Dataset], template: str | None = None, relation: Relation | None = Relation.CONTAINS
) -> Dataset:
    """Return a CONTAINER, with the DCMR template it follows; ``relation`` None makes it the root."""
    item = _item("CONTAINER", name, relation)
    item.ContinuityOfContent = "SEPARATE"
    if template is not None:
        identification = Dataset()
        identification.MappingResource = "DCMR"
        identification.TemplateIdentifier = template
        item.ContentTemplateSequence = [identification]
    item.ContentSequence = list(items)
    return item


def code_value(name: Code, value: Code, relation: Relation, children: Sequence[Dataset] = ()) -> Dataset:
    """Return a CODE item."""
    item = _item("CODE", name, relation, children)
    item.ConceptCodeSequence = [code_item(value)]
    return item


def text_value(name: Code, value: str, relation: Relation) -> Dataset:
    """Return a TEXT item."""
    item = _item("TEXT", name, relation)
    item.TextValue = value
    return item


def uid_value(name: Code, value: str, relation: Relation) -> Dataset:
    """Return a UIDREF item."""
    item = _item("UIDREF", name, relation)
    item.UID = value
    return item


def image(name: Code, reference: Dataset, relation: Relation) -> Dataset:
    """Return an IMAGE item for a reference made by ``instance_reference``."""
    item = _item("IMAGE", name, relation)
    item.ReferencedSOPSequence = [reference]
    return item


def number(name: Code, value: float, unit: Code, children: Sequence[Dataset] = ()) -> Dataset:
    """Return a NUM item: the value to three decimals for people, and as it is for programs (PS3.3 C.18.1)."""
    measured = Dataset()
    measured.NumericValue = f"{value:.3f}"
    measured.FloatingPointValue = value
    measured.MeasurementUnitsCodeSequence = [code_item(unit)]
    item = _item("NUM", name, Relation.CONTAINS, children)
    item.MeasuredValueSequence = [measured]
    return item


def line(name: Code, ends: Sequence[tuple[float, float]], selected_from: Dataset) -> Dataset:
    """Return an SCOORD item with a line on an image.

    Parameters
    ----------
    name : Code
        Purpose of the coordinates.
    ends : sequence of (row, column)
        In pixels, with the centre of the first pixel at (0, 0). DICOM counts (column, row) with that centre at
        (0.5, 0.5) (PS3.3 C.18.6.1.1).
    selected_from : Dataset
        The IMAGE item.
    """
    item = _item("SCOORD", name, Relation.INFERRED, [selected_from])
    item.GraphicType = "POLYLINE"
    item.GraphicData = [value + 0.5 for row, column in ends for value in (column, row)]
    return item


def _item(kind: str, name: Code, relation: Relation | None, children: Sequence[Dataset] = ()) -> Dataset:
    """Return what every content item has."""
    item = Dataset()
    item.ValueType = kind
    item.ConceptNameCodeSequence = [code_item(name)]
    if relation is not None:
        item.RelationshipType = relation.value
    if children:
        item.ContentSequence = list(children)
    return item
