"""A cine for a simulated person whose model is fitted to the lesion, as "Fit to this lesion" does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.engine.bundles import Bundle
from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.evaluation.methods import Model
from UltrasoundLesionSegLib.evaluation.sessions import Filled, Follower, Masks, ModelFollower, Session
from UltrasoundLesionSegLib.fitting.lesion_fit import FitSettings, between, fit_steps
from UltrasoundLesionSegLib.fitting.way_back import Evidence, farthest, is_kept
from UltrasoundLesionSegLib.measurement.overlap import dice
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
        ways_back = self._ways_back(((fitted, found), (self.follower, plain)))
        evidence = [
            Evidence(tuple(led_back), _shown(results))
            for led_back, results in zip(ways_back, (found, plain), strict=True)
        ]
        return found if is_kept(*evidence) else plain

    def _ways_back(self, both: Sequence[tuple[Follower, Mapping[int, Filled]]]) -> list[list[float]]:
        """Return how well each lesion of both results leads back to what was drawn, from the frame farthest from it.

        A lesion that neither result shows there has nothing to lead back.
        """
        agreement: list[list[float]] = [[] for _ in both]
        for lesion in range(self.lesions):
            way = farthest(both[0][1], {frame: masks[lesion] for frame, masks in self.anchors.items()})
            if way is None:
                continue
            ends = [results[way.frame].masks[lesion].unpack() > 0.5 for _, results in both]
            if not any(end.any() for end in ends):
                continue
            for (follower, _), end, own in zip(both, ends, agreement, strict=True):
                back = follower.fill(self.cine, {way.frame: end[None]}, way.frames)[way.anchor] if end.any() else None
                own.append(0.0 if back is None else dice(back.masks[0].unpack() > 0.5, way.drawn))
        return agreement


def _shown(results: Mapping[int, Filled]) -> int:
    """Return on how many frames the lesions are shown, summed over them."""
    return sum(bool((mask.unpack() > 0.5).any()) for one in results.values() for mask in one.masks)
