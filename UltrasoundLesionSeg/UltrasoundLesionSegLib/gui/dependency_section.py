"""What must be installed first: named with sizes, installed by one button."""

from __future__ import annotations

from UltrasoundLesionSegLib.gui.dependencies import Need, install, missing_needs
from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.messages import Tone, tell, telling
from UltrasoundLesionSegLib.gui.section import Section


class DependencySection(Section):
    """A frame at the top of the panel, there only while something is missing."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.ui.installButton.connect("clicked(bool)", self.install)
        self.ui.dependencyFrame.visible = False

    def enter(self) -> None:
        """Look whether anything is missing."""
        self.check()

    def check(self) -> list[Need]:
        """Look for what is missing and say so; starts no pip and imports nothing."""
        missing = missing_needs()
        self.ui.dependencyFrame.visible = bool(missing)
        if missing:
            listed = ", ".join(need.describe() for need in missing)
            tell(self.ui.dependencyLabel, f"To be installed before first use: {listed}.", Tone.CAUTION)
        return missing

    def offer(self, purpose: str) -> bool:
        """Return whether everything for a purpose is there; otherwise point at the button.

        Parameters
        ----------
        purpose : str
            ``read``, ``compute`` or ``export``.
        """
        return not [need for need in self.check() if purpose in need.purposes]

    def install(self) -> None:
        """Install what is missing, after the user agreed."""
        missing = self.check()
        problem = ""
        with telling(self.ui.dependencyLabel, wait=True):
            problem = install(missing)
        left = self.check()
        if left and problem:
            tell(
                self.ui.dependencyLabel, f"{problem} Still missing: {', '.join(n.describe() for n in left)}.", Tone.BAD
            )
        elif not left:
            self.host.packages_changed()
