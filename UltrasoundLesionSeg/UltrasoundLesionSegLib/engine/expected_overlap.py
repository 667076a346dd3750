"""The expected overlap of a mask with what a person would draw there: a calibrated estimate of its Dice coefficient.

An additive model (Hastie and Tibshirani, Generalized Additive Models, 1986): each signal has a curve, the curves'
values are summed, and a last curve turns the sum into a Dice coefficient. The curves are data in a model's bundle
(``configs/expected_overlap.json``), fitted on clips whose truth is known (``evaluation/fit_overlap.py``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from UltrasoundLesionSegLib.engine.signals import SIGNALS, Signals

MOST_KNOTS = 64
EDGE = 1e-4  # from 0 and 1: keeps log odds finite
# inputs of the model for frames between two anchors (``blend_inputs``)
OF_BLEND = ("weighted", "lower", "agreement", "nearest")


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
class AdditiveModel:
    """Curves of several inputs, summed, and a curve of the sum.

    Parameters
    ----------
    curves : mapping of str to Curve
        By the input's name.
    overlap : Curve
        The sum to the expected overlap.
    """

    curves: Mapping[str, Curve]
    overlap: Curve

    def __call__(self, inputs: Mapping[str, float]) -> float:
        """Return the expected overlap, 0 to 1."""
        return self.overlap(sum(curve(inputs[name]) for name, curve in self.curves.items()))


class Judge(Protocol):
    """Tells the expected overlap of masks as they are made."""

    def of_one(self, signals: Signals) -> float:
        """Return the expected overlap of what one direction of propagation gave."""
        ...

    def of_blend(self, expected: tuple[float, float], distances: tuple[int, int], agreement: float) -> float:
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

    def of_blend(self, expected: tuple[float, float], distances: tuple[int, int], agreement: float) -> float:
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
        """
        return min(self.blend(blend_inputs(expected, distances, agreement)), (1 + agreement) / 2)

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


def blend_inputs(expected: tuple[float, float], distances: tuple[int, int], agreement: float) -> dict[str, float]:
    """Return what the model of the blend is told; the same for a cine played backwards."""
    near = distances[1] / sum(distances)
    return {
        "weighted": log_odds(near * expected[0] + (1 - near) * expected[1]),
        "lower": log_odds(min(expected)),
        "agreement": agreement,
        "nearest": float(min(distances)),
    }


def log_odds(share: float) -> float:
    """Return the log odds of a number in [0, 1], kept finite."""
    bounded = min(max(share, EDGE), 1 - EDGE)
    return math.log(bounded / (1 - bounded))


def _model(content: Mapping[str, Any], known: tuple[str, ...]) -> AdditiveModel:
    curves = {name: _curve(one) for name, one in content["curves"].items()}
    if not set(curves) <= set(known):
        raise ValueError(f"a curve is of none of the inputs {', '.join(known)}")
    overlap = _curve(content["overlap"])
    if not all(0 <= value <= 1 for value in overlap.values):
        raise ValueError("an expected overlap is not between 0 and 1")
    return AdditiveModel(curves, overlap)


def _curve(content: Mapping[str, Any]) -> Curve:
    knots, values = (tuple(_finite(one) for one in content[name]) for name in ("knots", "values"))
    if not 1 <= len(knots) == len(values) <= MOST_KNOTS or any(a >= b for a, b in pairwise(knots)):
        raise ValueError(f"a curve has {len(knots)} knots and {len(values)} values, or its knots do not ascend")
    return Curve(knots, values, _finite(content.get("missing", 0.0)))


def _finite(number: object) -> float:
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
        raise ValueError(f"{number!r} is no finite number")
    return float(number)
