"""A cine for a simulated person whose model is fitted to the lesion, as "Fit to this lesion" does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.engine.bundles import Bundle
from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.evaluation.methods import Model
from UltrasoundLesionSegLib.evaluation.sessions import Filled, Follower, Masks, ModelFollower, Session
from UltrasoundLesionSegLib.fitting.lesion_fit import FitSettings, between, fit_steps, is_surer
from UltrasoundLesionSegLib.mrml.steps import run_to_end


class Fit(Protocol):
    """Fits what carries masks through a cine to what is drawn on it."""

    def __call__(self, cine: Cine, anchors: Mapping[int, Masks]) -> Follower | None:
        """Return what was fitted to all anchors; None where they are too small. Its name is that of its weights."""
        ...


class ModelFit:
    """The program's own fit.

    Parameters
    ----------
    bundle : Bundle
        A model whose role is to propagate.
    device : str
        Of the propagation; the fit runs on the CPU.
    """

    def __init__(self, bundle: Bundle, device: str) -> None:
        self._bundle = bundle
        self._device = device

    def __call__(self, cine: Cine, anchors: Mapping[int, Masks]) -> Follower | None:
        """Fit to all anchors; the lesions one after the other, as the program does."""
        by_lesion = zip(*(anchors[frame] for frame in sorted(anchors)), strict=True)
        drawn = [
            (cine.frames[frame], mask)
            for masks in by_lesion
            for frame, mask in zip(sorted(anchors), masks, strict=True)
            if mask.any()
        ]
        settings = FitSettings()
        try:
            led_to = run_to_end(fit_steps(self._bundle, drawn, settings))
        except SeedError:
            return None
        fitted = between(self._bundle, led_to, settings.share)
        follower = ModelFollower(Model(fitted, self._device))
        follower.name = f"{fitted.name} {fitted.sha256}"
        return follower


@dataclass
class FittedSession(Session):
    """A session whose model is fitted anew to all anchors whenever there are others.

    Parameters
    ----------
    fit : Fit
    """

    fit: Fit = field(kw_only=True)

    def results(self) -> dict[int, Filled]:
        """Return what the fitted model finds, or the model as it is where the program would not keep the fit."""
        plain = self._filled_by(self.follower)
        fitted = self.fit(self.cine, self.anchors)
        if fitted is None:
            return plain
        found = self._filled_by(fitted)
        return found if is_surer(_expected(found), _expected(plain)) else plain


def _expected(results: Mapping[int, Filled]) -> float:
    """Return the mean expected overlap of all masks."""
    return float(np.mean([one.expected for one in results.values()]))
