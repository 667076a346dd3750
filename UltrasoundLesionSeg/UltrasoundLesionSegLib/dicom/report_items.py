"""Content items of a structured report (PS3.3 C.17.3), as bytes (``encoding``).

Built directly, because a report on a hundred frames has ten thousand of them. Only what differs between frames is
encoded for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from UltrasoundLesionSegLib.dicom.encoding import elements, item, sequence
from UltrasoundLesionSegLib.dicom.terminology import code_item

_VOCABULARY = 512  # more than a report has names and values; nothing of a patient is among them


class Relation(str, Enum):
    """Relationship Type (0040,A010) of an item to the one that holds it (PS3.3 C.17.3.2.4)."""

    CONTAINS = "CONTAINS"
    CONTEXT = "HAS OBS CONTEXT"
    MODIFIER = "HAS CONCEPT MOD"
    INFERRED = "INFERRED FROM"
    SELECTED = "SELECTED FROM"


def root(name: Code, template: str) -> Dataset:
    """Return the root CONTAINER with the DCMR template it follows, without its Content Sequence."""
    dataset = _identity("CONTAINER", name, None)
    dataset.update(_structure(template))
    return dataset


def content(items: Sequence[bytes]) -> bytes:
    """Return the Content Sequence (0040,A730) with these items."""
    return sequence("ContentSequence", items) if items else b""


def container(name: Code, items: Sequence[bytes], template: str | None = None) -> bytes:
    """Return a CONTAINER that another contains, with the DCMR template it follows."""
    return _item("CONTAINER", name, Relation.CONTAINS, _encoded_structure(template), items)


def code_value(name: Code, value: Code, relation: Relation, children: Sequence[bytes] = ()) -> bytes:
    """Return a CODE item."""
    return _item("CODE", name, relation, _code_sequence("ConceptCodeSequence", *value), children)


def text_value(name: Code, value: str, relation: Relation) -> bytes:
    """Return a TEXT item."""
    return _item("TEXT", name, relation, _elements(TextValue=value))


def uid_value(name: Code, value: str, relation: Relation) -> bytes:
    """Return a UIDREF item."""
    return _item("UIDREF", name, relation, _elements(UID=value))


def image(name: Code, reference: Dataset, relation: Relation) -> bytes:
    """Return an IMAGE item for a reference made by ``instance_reference``."""
    # (0008,1199) comes before what every item has
    return item(sequence("ReferencedSOPSequence", [item(elements(reference))]) + _head("IMAGE", relation, *name))


def number(name: Code, value: float, unit: Code, children: Sequence[bytes] = ()) -> bytes:
    """Return a NUM item: the value to three decimals for people, and as it is for programs (PS3.3 C.18.1)."""
    figures = _elements(NumericValue=f"{value:.3f}", FloatingPointValue=value)
    measured = item(_code_sequence("MeasurementUnitsCodeSequence", *unit) + figures)
    return _item("NUM", name, Relation.CONTAINS, sequence("MeasuredValueSequence", [measured]), children)


def line(name: Code, ends: Sequence[tuple[float, float]], selected_from: bytes) -> bytes:
    """Return an SCOORD item with a line on an image.

    Parameters
    ----------
    name : Code
        Purpose of the coordinates.
    ends : sequence of (row, column)
        In pixels, with the centre of the first pixel at (0, 0). DICOM counts (column, row) with that centre at
        (0.5, 0.5) (PS3.3 C.18.6.1.1).
    selected_from : bytes
        The IMAGE item.
    """
    points = [value + 0.5 for row, column in ends for value in (column, row)]
    # (0070,0022) and (0070,0023) come after the Content Sequence
    graphic = _elements(GraphicType="POLYLINE", GraphicData=points)
    return item(_head("SCOORD", Relation.INFERRED, *name) + content([selected_from]) + graphic)


def _item(kind: str, name: Code, relation: Relation, value: bytes, children: Sequence[bytes] = ()) -> bytes:
    """Return an item whose value has tags between (0040,A043) and (0040,A730)."""
    return item(_head(kind, relation, *name) + value + content(children))


@lru_cache(_VOCABULARY)
def _head(kind: str, relation: Relation, *name: str) -> bytes:
    """Return what every item has. The name comes in parts: codes that differ in meaning only are equal to pydicom."""
    return elements(_identity(kind, Code(*name), relation))


@lru_cache(_VOCABULARY)
def _code_sequence(keyword: str, *code: str) -> bytes:
    """Return a sequence with one code, which comes in parts as in ``_head``."""
    return sequence(keyword, [item(elements(code_item(Code(*code))))])


def _identity(kind: str, name: Code, relation: Relation | None) -> Dataset:
    dataset = Dataset()
    dataset.ValueType = kind
    dataset.ConceptNameCodeSequence = [code_item(name)]
    if relation is not None:
        dataset.RelationshipType = relation.value
    return dataset


def _structure(template: str | None) -> Dataset:
    """Return what a CONTAINER has beside its name and its items."""
    dataset = Dataset()
    dataset.ContinuityOfContent = "SEPARATE"
    if template is not None:
        identification = Dataset()
        identification.MappingResource = "DCMR"
        identification.TemplateIdentifier = template
        dataset.ContentTemplateSequence = [identification]
    return dataset


@lru_cache(_VOCABULARY)
def _encoded_structure(template: str | None) -> bytes:
    return elements(_structure(template))


def _elements(**values: object) -> bytes:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return elements(dataset)
