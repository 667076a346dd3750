"""What must be installed first: named with sizes, installed by one button."""

from __future__ import annotations

from functools import partial
from typing import Any

from UltrasoundLesionSegLib.gui.dependencies import USUAL, Need, install, missing_needs
from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.messages import PassingMessage, Tone, tell, telling
from UltrasoundLesionSegLib.gui.section import Section


class DependencySection(Section):
    """A frame at the top of the panel, there only while something is missing."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._purposes = {*USUAL}
        self._offers: list[PassingMessage] = []
        self.ui.installButton.connect("clicked(bool)", self.install)
        self.ui.dependencyFrame.visible = False

    def enter(self) -> None:
        """Look whether anything is missing."""
        self.check()

    def busy_changed(self) -> None:
        """Install nothing that is being imported or computed with."""
        self.ui.installButton.enabled = not self.host.busy

    def check(self) -> list[Need]:
        """Look for what is missing and say so; starts no pip and imports nothing."""
        missing = missing_needs(self._purposes)
        self.ui.dependencyFrame.visible = bool(missing)
        if missing:
            listed = ", ".join(need.describe() for need in missing)
            tell(self.ui.dependencyLabel, f"To be installed before first use: {listed}.", Tone.CAUTION)
        return missing

    def offer(self, purpose: str, label: Any) -> bool:
        """Return whether everything for a purpose is there; otherwise say in a label what is missing and what to do.

        Parameters
        ----------
        purpose : str
            ``read``, ``compute``, ``export`` or ``train``.
        label : qt.QLabel
        """
        self._purposes.add(purpose)
        self.check()
        lacking = self._lacking(purpose)
        if lacking:
            listed = ", ".join(lacking)
            tell(label, f"Not installed yet: {listed}. Press the button at the top of the panel first.", Tone.CAUTION)
            self._offers.append(PassingMessage(label, partial(self._lacking, purpose)))
            self._offers[-1].said()
        return not lacking

    def _lacking(self, purpose: str) -> list[str]:
        return [need.package for need in missing_needs(self._purposes) if purpose in need.purposes]

    def install(self) -> None:
        """Install what is missing, after the user agreed."""
        missing = self.check()
        problem = ""
        with telling(self.ui.dependencyLabel, wait=True):
            problem = install(missing)
        left = self.check()
        for offer in self._offers:
            offer.check()
        if left and problem:
            tell(
                self.ui.dependencyLabel, f"{problem} Still missing: {', '.join(n.describe() for n in left)}.", Tone.BAD
            )
        elif not left:
            self.host.packages_changed()
