"""The Python packages that Slicer does not have: whether they are there, and how they are installed.

PyTorch comes through Slicer's PyTorch extension, which knows which build suits the computer; everything else through
``slicer.packaging.pip_ensure`` where Slicer has it (5.12) and through ``slicer.util.pip_install`` behind a question
elsewhere. Nothing is installed without consent, at start-up, or from another thread than the main one. Slicer's own
numpy, VTK and SimpleITK, and the PyTorch that the extension installed, are held by a constraints file. The lowest
versions are in ``Resources/requirements.txt``.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import logging
import re
import subprocess
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import slicer

logger = logging.getLogger(__name__)

TITLE = "Ultrasound Lesion Segmentation"
# packages of Slicer and of the PyTorch extension: their versions are never changed
HELD = ("numpy", "vtk", "SimpleITK", "scipy", "requests", "torch", "torchvision")
REQUIREMENTS = Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"
TORCH_MINIMUM = "2.4.1"  # what MONAI 1.5 needs; MONAI 1.4 does not go with Slicer's numpy 2
MONAI_NEEDS_TORCH = (("1.6", "2.8"),)  # from this version of MONAI on: this version of PyTorch


@dataclass(frozen=True)
class Need:
    """A package that must be there.

    Parameters
    ----------
    module : str
        Name to import.
    package : str
        Name on PyPI.
    megabytes : int
        About how much is downloaded with what it needs itself.
    purposes : tuple of str
        What it is needed for: ``read``, ``compute``, ``export``, ``batch`` (``processBatch`` in the console) or
        ``train``.
    """

    module: str
    package: str
    megabytes: int
    purposes: tuple[str, ...]

    @property
    def minimum(self) -> str:
        """Lowest version that does."""
        return TORCH_MINIMUM if self.package == "torch" else _minimums()[self.package]

    @property
    def requirement(self) -> str:
        """The requirement as pip understands it, within what the installed PyTorch allows."""
        requirement = f"{self.package}>={self.minimum}"
        if self.package != "monai":
            return requirement
        torch = _release(_installed_version("torch") or "0")
        limits = [version for version, needed in MONAI_NEEDS_TORCH if torch < _release(needed)]
        return f"{requirement},<{limits[0]}" if limits else requirement

    def is_met(self) -> bool:
        """Whether the package can be found in a version that does. A half-done installation is not found."""
        if importlib.util.find_spec(self.module) is None:
            return False
        installed = _installed_version(self.package)
        if installed is None:
            # another distribution may bring the same module, as opencv-python brings cv2
            return self.package == "opencv-python-headless"
        return _release(installed) >= _release(self.minimum)

    def describe(self) -> str:
        """Return the name with the size of the download, and the version that it takes the place of."""
        size = "200 MB, with CUDA 2,500 MB" if self.package == "torch" else f"{self.megabytes} MB"
        installed = _installed_version(self.package)
        return f"{self.package} ({size}, replaces version {installed})" if installed else f"{self.package} ({size})"


NEEDS = (
    Need("torch", "torch", 200, ("compute", "export")),
    Need("monai", "monai", 2, ("compute", "export")),
    Need("safetensors", "safetensors", 1, ("compute",)),
    Need("cv2", "opencv-python-headless", 55, ("read", "compute", "export")),
    Need("pydicom", "pydicom", 3, ("read", "export")),
    Need("highdicom", "highdicom", 2, ("export",)),
    Need("pylibjpeg", "pylibjpeg", 1, ("read",)),  # pydicom finds the next two through it
    Need("openjpeg", "pylibjpeg-openjpeg", 3, ("read",)),
    Need("rle", "pylibjpeg-rle", 2, ("read",)),
    Need("PIL", "pillow", 7, ("read", "export")),
    Need("av", "av", 36, ("read",)),
    Need("tifffile", "tifffile", 1, ("read",)),
    Need("matplotlib", "matplotlib", 20, ("batch",)),
    Need("accelerate", "accelerate", 5, ("train",)),
)
USUAL = ("read", "compute", "export", "batch")  # training is for few: its packages are asked for when it is wanted


_met: set[Need] = set()  # packages that were found are not checked again


def missing_needs(purposes: Collection[str] = USUAL) -> list[Need]:
    """Return the packages for these purposes that are not there; takes milliseconds and imports none of them."""
    importlib.invalidate_caches()
    needed = [need for need in NEEDS if not set(purposes).isdisjoint(need.purposes)]
    _met.update(need for need in needed if need not in _met and need.is_met())
    return [need for need in needed if need not in _met]


def install(needs: list[Need]) -> str:
    """Install packages, asking first; can be repeated whatever became of the time before.

    Parameters
    ----------
    needs : list of Need

    Returns
    -------
    str
        What went wrong, as a sentence; '' when nothing did.
    """
    if any(need.package == "torch" for need in needs):
        problem = _install_torch()
        if problem:
            return problem
    others = [need for need in needs if need.package != "torch"]
    return _install_with_pip(others) if others else ""


def _install_torch() -> str:
    try:
        import PyTorchUtils
    except ImportError:
        return (
            "PyTorch is installed through Slicer's extension PyTorch: install that in the Extensions Manager, "
            "restart Slicer, and press the button again."
        )
    try:
        torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(
            askConfirmation=True, torchVersionRequirement=f">={TORCH_MINIMUM}"
        )
    except Exception as error:
        logger.error("PyTorch was not installed: %s", type(error).__name__)
        return "PyTorch could not be installed; look into the log, restart Slicer and try again."
    return "" if torch is not None else "PyTorch was not installed."


def _install_with_pip(needs: list[Need]) -> str:
    requirements = [need.requirement for need in needs]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("".join(f"{line}\n" for line in held_versions()))
        try:
            if _has_pip_ensure():
                slicer.packaging.pip_ensure(requirements, constraints=constraints, requester=TITLE)
            elif _agreed(needs):
                slicer.util.pip_install([*requirements, "--constraint", str(constraints)])
            else:
                return "Nothing was installed."
        except subprocess.CalledProcessError as error:
            logger.error("pip ended with %s", error.returncode)
            return "Installing failed; check the network and press the button again."
        except RuntimeError:  # what pip_ensure raises when the user declines
            return "Nothing was installed."
    return ""


@functools.cache
def _minimums() -> dict[str, str]:
    """Return the lowest version of each package in the requirements file."""
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return dict(line.split(">=") for line in lines if ">=" in line)


def _has_pip_ensure() -> bool:
    try:
        return hasattr(importlib.import_module("slicer.packaging"), "pip_ensure")
    except ImportError:
        return False


def _agreed(needs: list[Need]) -> bool:
    listed = "\n".join(f"- {need.describe()}" for need in needs)
    return bool(
        slicer.util.confirmOkCancelDisplay(
            f"These Python packages will be downloaded and installed into Slicer:\n\n{listed}", windowTitle=TITLE
        )
    )


def held_versions() -> list[str]:
    """Return the constraints that keep what Slicer brings, e.g. ``numpy==2.0.2``."""
    versions = {package: _installed_version(package) for package in HELD}
    return [f"{package}=={version}" for package, version in versions.items() if version]


def _installed_version(package: str) -> str | None:
    """Return the version of a package in this Python, None where its installation is not complete."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers at the start of a version: ``2.5.1+cu124`` is (2, 5, 1)."""
    numbers = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in numbers.group().split(".")) if numbers else ()
