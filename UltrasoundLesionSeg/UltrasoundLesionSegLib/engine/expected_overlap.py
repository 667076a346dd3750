"""The expected overlap of a mask with what a person would draw there: a calibrated estimate of its Dice coefficient.

An additive model (Hastie and Tibshirani, Generalized Additive Models, 1986): each signal has a curve, and a few pairs
of signals have a surface (Lou et al., Accurate Intelligible Models with Pairwise Interactions, KDD 2013). Their values
are summed, and a last curve turns the sum into a Dice coefficient. Curves and surfaces are data in a model's bundle
(``configs/expected_overlap.json``), fitted on clips whose truth is known (``evaluation/fit_overlap.py``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from UltrasoundLesionSegLib.engine.signals import SIGNALS, Signals

MOST_KNOTS = 64
EDGE = 1e-4  # from 0 and 1: keeps log odds finite
# inputs of the model for frames between two anchors (``blend_inputs``)
OF_BLEND = ("weighted", "lower", "agreement", "nearest", "decided")


@dataclass(frozen=True)
class Curve:
    """Linear between knots, constant beyond the outermost.

    Parameters
    ----------
    knots, values : tuple of float
        Of equal length, the knots ascending.
    missing : float
        The value where the input is nan.
    """

    knots: tuple[float, ...]
    values: tuple[float, ...]
    missing: float = 0.0

    def __call__(self, value: float) -> float:
        """Return the curve's value."""
        return self.missing if math.isnan(value) else float(np.interp(value, self.knots, self.values))


@dataclass(frozen=True)
class Surface:
    """Bilinear between the knots of two inputs, constant beyond the outermost.

    Parameters
    ----------
    inputs : (str, str)
        Their names.
    knots : (tuple of float, tuple of float)
        Of each input, ascending.
    values : tuple of tuple of float
        A row for each knot of the first input, and a last one for where it is nan; in it a number for each knot of the
        second one, and a last one for where it is nan.
    """

    inputs: tuple[str, str]
    knots: tuple[tuple[float, ...], tuple[float, ...]]
    values: tuple[tuple[float, ...], ...]

    def __call__(self, inputs: Mapping[str, float]) -> float:
        """Return the surface's value."""
        rows, columns = (
            knot_shares(np.array([inputs[name]]), knots)[0] for name, knots in zip(self.inputs, self.knots, strict=True)
        )
        return float(rows @ np.array(self.values) @ columns)


@dataclass(frozen=True)
class AdditiveModel:
    """Curves and surfaces of several inputs, summed, and a curve of the sum.

    Parameters
    ----------
    curves : mapping of str to Curve
        By the input's name.
    surfaces : tuple of Surface
    overlap : Curve
        The sum to the expected overlap.
    """

    curves: Mapping[str, Curve]
    surfaces: tuple[Surface, ...]
    overlap: Curve

    def __call__(self, inputs: Mapping[str, float]) -> float:
        """Return the expected overlap, 0 to 1."""
        alone = sum(curve(inputs[name]) for name, curve in self.curves.items())
        return self.overlap(alone + sum(surface(inputs) for surface in self.surfaces))


def knot_shares(values: NDArray[np.float64], knots: Sequence[float]) -> NDArray[np.float64]:
    """Return each knot's share in each value, by linear interpolation, and in a last column whether it is nan.

    Parameters
    ----------
    values : ndarray of float, shape (N,)
    knots : sequence of float
        Ascending.

    Returns
    -------
    ndarray of float, shape (N, knots + 1)
        Each row adds up to 1.
    """
    shares = [np.interp(values, knots, one) for one in np.eye(len(knots))]
    found = np.stack([*shares, np.zeros(len(values))], axis=1)
    found[np.isnan(values)] = np.eye(len(knots) + 1)[-1]
    return found


class Judge(Protocol):
    """Tells the expected overlap of masks as they are made."""

    def of_one(self, signals: Signals) -> float:
        """Return the expected overlap of what one direction of propagation gave."""
        ...

    def of_blend(
        self, expected: tuple[float, float], distances: tuple[int, int], agreement: float, decided: float
    ) -> float:
        """Return the expected overlap of the blend between two anchors."""
        ...


@dataclass(frozen=True)
class OverlapEstimate:
    """The expected overlap from what is known of a mask.

    Parameters
    ----------
    seen, unseen : AdditiveModel
        Of what one direction of propagation gave, from its ``Signals``: where it sees the lesion, and where its mask is
        empty.
    blend : AdditiveModel
        Of the blend between two anchors, from the expected overlaps of both directions.
    """

    seen: AdditiveModel
    unseen: AdditiveModel
    blend: AdditiveModel

    def of_one(self, signals: Signals) -> float:
        """Return the expected overlap of what one direction of propagation gave."""
        model = self.seen if math.isnan(signals.unseen) else self.unseen
        return model(asdict(signals))

    def of_blend(
        self, expected: tuple[float, float], distances: tuple[int, int], agreement: float, decided: float
    ) -> float:
        """Return the expected overlap of the blend between two anchors.

        Of two results that differ at most one is right: where it is the blend half the time, the mean is
        ``(1 + agreement) / 2``, and more is never expected.

        Parameters
        ----------
        expected : (float, float)
            Of the forward and of the backward result.
        distances : (int, int)
            Frames from the left and from the right anchor, each > 0.
        agreement : float
            Dice of both results.
        decided : float
            Soft Dice of the blend and its mask: what the blend expects itself.
        """
        return min(self.blend(blend_inputs(expected, distances, agreement, decided)), (1 + agreement) / 2)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> OverlapEstimate:
        """Read an estimate from a bundle's JSON.

        Raises
        ------
        KeyError, TypeError, AttributeError, ValueError
            When the description is not valid: a part is missing, a signal is unknown, or a number is no number.
        """
        seen, unseen = (_model(content[name], SIGNALS) for name in ("seen", "unseen"))
        return cls(seen, unseen, _model(content["blend"], OF_BLEND))


def blend_inputs(
    expected: tuple[float, float], distances: tuple[int, int], agreement: float, decided: float
) -> dict[str, float]:
    """Return what the model of the blend is told; the same for a cine played backwards."""
    near = distances[1] / sum(distances)
    return {
        "weighted": log_odds(near * expected[0] + (1 - near) * expected[1]),
        "lower": log_odds(min(expected)),
        "agreement": agreement,
        "nearest": float(min(distances)),
        "decided": decided,
    }


def log_odds(share: float) -> float:
    """Return the log odds of a number in [0, 1], kept finite."""
    bounded = min(max(share, EDGE), 1 - EDGE)
    return math.log(bounded / (1 - bounded))


def _model(content: Mapping[str, Any], known: tuple[str, ...]) -> AdditiveModel:
    curves = {name: _curve(one) for name, one in content["curves"].items()}
    surfaces = tuple(_surface(one) for one in content.get("surfaces", []))
    if not {*curves, *(name for surface in surfaces for name in surface.inputs)} <= set(known):
        raise ValueError(f"a curve or a surface is of none of the inputs {', '.join(known)}")
    overlap = _curve(content["overlap"])
    if not all(0 <= value <= 1 for value in overlap.values):
        raise ValueError("an expected overlap is not between 0 and 1")
    return AdditiveModel(curves, surfaces, overlap)


def _curve(content: Mapping[str, Any]) -> Curve:
    knots, values = _knots(content["knots"]), tuple(_finite(one) for one in content["values"])
    if len(knots) != len(values):
        raise ValueError(f"a curve has {len(knots)} knots and {len(values)} values")
    return Curve(knots, values, _finite(content.get("missing", 0.0)))


def _surface(content: Mapping[str, Any]) -> Surface:
    one, other = (str(name) for name in content["inputs"])
    rows, columns = (_knots(knots) for knots in content["knots"])
    values = tuple(tuple(_finite(value) for value in row) for row in content["values"])
    if [len(row) for row in values] != [len(columns) + 1] * (len(rows) + 1):
        raise ValueError("a surface has not one value for each pair of knots, and for a missing input")
    return Surface((one, other), (rows, columns), values)


def _knots(content: Sequence[Any]) -> tuple[float, ...]:
    knots = tuple(_finite(one) for one in content)
    if not 1 <= len(knots) <= MOST_KNOTS or any(a >= b for a, b in pairwise(knots)):
        raise ValueError(f"there are {len(knots)} knots, or they do not ascend")
    return knots


def _finite(number: object) -> float:
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
        raise ValueError(f"{number!r} is no finite number")
    return float(number)
