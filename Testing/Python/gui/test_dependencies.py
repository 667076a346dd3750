"""First use: what is missing is named, installed after consent, and can be repeated."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import slicer
from pydicom.pixels.decoders.pylibjpeg import DECODER_DEPENDENCIES
from pydicom.uid import HTJ2K, JPEG2000, HTJ2KLossless, RLELossless

from UltrasoundLesionSegLib.errors import BatchError

ROOT = Path(__file__).resolve().parents[3]
LIBRARY = ROOT / "UltrasoundLesionSeg" / "UltrasoundLesionSegLib"
SHELL_ONLY = ("adaptation", "cli", "evaluation", "training", "dicom/send.py")  # never imported inside Slicer


@pytest.fixture
def dependencies(session: Any, monkeypatch: pytest.MonkeyPatch):
    from UltrasoundLesionSegLib.gui import dependencies

    monkeypatch.setattr(dependencies, "_met", set())
    return dependencies


@pytest.fixture
def absent(dependencies: Any, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Modules that cannot be found; a test adds and removes names."""
    names: set[str] = set()
    found, installed = importlib.util.find_spec, dependencies._installed_version
    monkeypatch.setattr(dependencies, "_installed_version", lambda one: None if one in names else installed(one))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in names else found(name, *rest))
    return names


class Pip:
    """Stands for ``slicer.util.pip_install``: notes what it was asked and lets the modules appear."""

    def __init__(self, absent: set[str], fails: int = 0) -> None:
        self.absent, self.fails = absent, fails
        self.calls: list[list[str]] = []
        self.constraints: list[str] = []

    def __call__(self, arguments: list[str]) -> None:
        self.calls.append(arguments)
        place = arguments.index("--constraint")
        self.constraints = Path(arguments[place + 1]).read_text().split()
        if self.fails:
            self.fails -= 1
            raise subprocess.CalledProcessError(1, "pip")
        self.absent.clear()


@pytest.fixture
def without_pip_ensure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "slicer.packaging", types.ModuleType("slicer.packaging"))


@pytest.fixture(autouse=True)
def nothing_known(dependencies: Any) -> None:
    """Look for everything anew in every test."""


def test_nothing_is_said_when_everything_is_there(user: Any) -> None:
    assert not user.sees("dependencyFrame")


def test_what_is_missing_is_named_with_its_size(absent: set[str], dependencies: Any, user: Any) -> None:
    absent.update({"torch", "monai"})
    dependencies._met.clear()
    user.module.leave()
    user.module.open()
    assert "torch (200 MB, with CUDA 2,500 MB), monai (2 MB)" in user.read("dependencyLabel")


def test_a_batch_from_the_console_says_what_is_missing_and_what_to_do(
    absent: set[str], dependencies: Any, user: Any, tmp_path: Path
) -> None:
    absent.add("matplotlib")
    dependencies._met.clear()
    with pytest.raises(BatchError, match="not installed: matplotlib; open the module Ultrasound Lesion Segmentation"):
        user.module.widget.logic.processBatch(tmp_path, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_an_old_version_is_missing_too(dependencies: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.4.4" if name == "pydicom" else version(name))
    assert [need.describe() for need in dependencies.missing_needs()] == ["pydicom (3 MB, replaces version 2.4.4)"]


def test_propagating_without_them_points_to_the_button(
    discs: Any, absent: set[str], dependencies: Any, bright_model: Any
) -> None:
    discs.draw(0, discs.truth[0, 0])
    dependencies._met.clear()
    absent.add("monai")
    discs.user.click("propagateButton")
    assert discs.user.read("propagateButton") == "Propagate"
    assert discs.user.sees("installButton")
    assert bright_model.segmented == 0


def test_installing_asks_and_holds_numpy(
    absent: set[str], dependencies: Any, user: Any, without_pip_ensure: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = Pip(absent)
    asked: list[str] = []
    monkeypatch.setattr(slicer.util, "pip_install", pip)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: asked.append(text) or True)
    dependencies._met.clear()
    absent.update({"monai", "highdicom"})
    user.module.widget.panel.dependencies.check()
    user.click("installButton")
    assert "- monai (2 MB)\n- highdicom (2 MB)" in asked[0]
    assert pip.calls[0][:2] == ["monai>=1.5", "highdicom>=0.27"]
    for package in ("numpy", "torch"):
        assert f"{package}=={importlib.metadata.version(package)}" in pip.constraints
    assert not user.sees("dependencyFrame")


def test_declining_installs_nothing(
    absent: set[str], dependencies: Any, user: Any, without_pip_ensure: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = Pip(absent)
    monkeypatch.setattr(slicer.util, "pip_install", pip)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: False)
    dependencies._met.clear()
    absent.add("monai")
    user.module.widget.panel.dependencies.check()
    user.click("installButton")
    assert pip.calls == []
    assert "Nothing was installed." in user.read("dependencyLabel")
    assert "Still missing: monai (2 MB)." in user.read("dependencyLabel")


def test_an_installation_that_failed_can_be_repeated(
    absent: set[str], dependencies: Any, user: Any, without_pip_ensure: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = Pip(absent, fails=1)
    monkeypatch.setattr(slicer.util, "pip_install", pip)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: True)
    dependencies._met.clear()
    absent.add("monai")
    user.module.widget.panel.dependencies.check()
    user.click("installButton")
    assert "Installing failed" in user.read("dependencyLabel")
    user.click("installButton")
    assert len(pip.calls) == 2
    assert not user.sees("dependencyFrame")


def test_pip_ensure_is_used_where_slicer_has_it(
    absent: set[str], dependencies: Any, user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[list[str], str]] = []

    def pip_ensure(requirements: list[str], constraints: Path, requester: str) -> None:
        assert "numpy==" in Path(constraints).read_text()
        calls.append((requirements, requester))
        absent.clear()

    packaging = types.ModuleType("slicer.packaging")
    vars(packaging)["pip_ensure"] = pip_ensure
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    monkeypatch.setattr(slicer, "packaging", packaging, raising=False)
    dependencies._met.clear()
    absent.add("safetensors")
    user.module.widget.panel.dependencies.check()
    user.click("installButton")
    assert calls == [(["safetensors>=0.4"], "Ultrasound Lesion Segmentation")]


def test_torch_comes_through_the_pytorch_extension_only(
    absent: set[str], dependencies: Any, user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slicer.util, "pip_install", lambda _: pytest.fail("torch must not be installed by pip"))
    dependencies._met.clear()
    absent.add("torch")
    user.module.widget.panel.dependencies.check()
    user.click("installButton")
    assert "Extensions Manager" in user.read("dependencyLabel")

    class Logic:
        def installTorch(self, askConfirmation: bool, torchVersionRequirement: str) -> object:  # noqa: N802, N803
            assert askConfirmation
            absent.clear()
            return object()

    extension = types.ModuleType("PyTorchUtils")
    vars(extension)["PyTorchUtilsLogic"] = Logic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    user.click("installButton")
    assert not user.sees("dependencyFrame")


@pytest.mark.parametrize(
    ("version", "has_driver", "words"),
    [
        (None, False, ""),
        ("2.5.1+cpu", False, "No CUDA GPU was found"),
        ("2.5.1+cpu", True, "installed without CUDA"),
        ("2.5.1+cu124", True, "An NVIDIA GPU was found"),
    ],
)
def test_the_computing_device_is_told_without_importing_torch(
    session: Any, monkeypatch: pytest.MonkeyPatch, version: str | None, has_driver: bool, words: str
) -> None:
    from UltrasoundLesionSegLib.gui import hardware

    monkeypatch.setattr(hardware, "_torch_version", lambda: version)
    monkeypatch.setattr(hardware.shutil, "which", lambda name: "found" if has_driver else None)
    monkeypatch.setattr(hardware.platform, "system", lambda: "Linux")
    assert words in hardware.describe_hardware()[0]


@pytest.mark.parametrize(
    ("torch", "wanted"), [("2.7.1+cu126", "monai>=1.5,<1.6"), ("2.8.0+cu128", "monai>=1.5"), ("2.10.0", "monai>=1.5")]
)
def test_monai_is_one_that_goes_with_the_installed_torch(
    dependencies: Any, monkeypatch: pytest.MonkeyPatch, torch: str, wanted: str
) -> None:
    monkeypatch.setattr(dependencies, "_installed_version", lambda name: torch if name == "torch" else None)
    (monai,) = [need for need in dependencies.NEEDS if need.package == "monai"]
    assert monai.requirement == wanted


def test_without_torch_nothing_else_is_installed(
    absent: set[str], dependencies: Any, user: Any, without_pip_ensure: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = Pip(absent)
    monkeypatch.setattr(slicer.util, "pip_install", pip)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)  # the extension is not there
    dependencies._met.clear()
    absent.update({"torch", "monai"})
    user.module.widget.panel.dependencies.check()
    user.click("installButton")
    assert pip.calls == []


def test_the_requirements_file_names_what_is_installed_by_pip(dependencies: Any) -> None:
    lines = dependencies.REQUIREMENTS.read_text().splitlines()
    named = [line.split(">=")[0] for line in lines if not line.startswith("#")]
    assert named == [need.package for need in dependencies.NEEDS if need.package != "torch"]


def imported_by(file: Path) -> set[str]:
    """Packages that a file imports, at its top or inside of a function, without Python's own and ours."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"UltrasoundLesionSegLib"}


def test_every_package_that_is_imported_inside_slicer_is_asked_for(dependencies: Any) -> None:
    """A reader that imports a package which Slicer lacks would make every cine unreadable there."""
    there = {"slicer", "vtk", "qt", "ctk", "DICOMLib", "PyTorchUtils", "SampleData", *dependencies.HELD}
    optional = {"openvino", "pandas", "distributed"}  # used where somebody installed them
    asked_for = {need.module for need in dependencies.NEEDS}
    lacking = {}
    for file in sorted(LIBRARY.rglob("*.py")):
        name = file.relative_to(LIBRARY).as_posix()
        if name.split("/")[0] not in SHELL_ONLY and name not in SHELL_ONLY:
            lacking[name] = imported_by(file) - there - optional - asked_for
    assert len(lacking) > 100
    assert {name: packages for name, packages in lacking.items() if packages} == {}


def test_slicer_gets_all_that_pydicom_decodes_with(dependencies: Any) -> None:
    """For a compression that pydicom decodes through pylibjpeg, its base package is needed as well as the decoder."""
    asked_for = {need.package for need in dependencies.NEEDS}
    for syntax in (HTJ2K, HTJ2KLossless, JPEG2000, RLELossless):
        assert {one.partition(">=")[0] for one in DECODER_DEPENDENCIES[syntax]} <= asked_for


def test_slicer_and_the_package_ask_for_the_same_versions(dependencies: Any) -> None:
    floors = dict(re.findall(r'"([\w.-]+)>=([\d.]+)', (ROOT / "pyproject.toml").read_text(), re.M))
    assert {need.package: need.minimum for need in dependencies.NEEDS} == {
        need.package: floors[need.package] for need in dependencies.NEEDS
    }


@pytest.mark.parametrize(
    ("button", "lacking", "package", "message"),
    [
        ("loadSampleButton", "cv2", "opencv-python-headless", "cineMessageLabel"),
        ("loadFileButton", "pydicom", "pydicom", "cineMessageLabel"),
        ("propagateButton", "monai", "monai", "propagateMessageLabel"),
    ],
)
def test_a_button_that_needs_them_says_so_beside_it(
    discs: Any, absent: set[str], dependencies: Any, button: str, lacking: str, package: str, message: str
) -> None:
    dependencies._met.clear()
    absent.add(lacking)
    discs.user.module.session.file_dialogs.waiting.append("anything")
    discs.user.click(button)
    discs.user.module.session.file_dialogs.waiting.clear()
    assert discs.user.read(message).startswith(f"Not installed yet: {package}. Press the button at the top")


def test_what_is_installed_is_no_longer_said_to_be_missing(
    discs: Any, absent: set[str], dependencies: Any, without_pip_ensure: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slicer.util, "pip_install", Pip(absent))
    answers = [False, True]
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: answers.pop(0))
    dependencies._met.clear()
    absent.add("monai")
    discs.user.click("propagateButton")
    discs.user.click("installButton")
    assert discs.user.read("propagateMessageLabel").startswith("Not installed yet: monai.")
    discs.user.click("installButton")
    assert not discs.user.sees("propagateMessageLabel")


def test_nothing_heavy_is_imported_when_slicer_starts() -> None:
    """Slicer imports the module's file at start-up: in under 0.2 s of its own, without torch and its kin."""
    code = """
import sys, time, types
sys.path.insert(0, sys.argv[1]); sys.path.insert(0, sys.argv[2])
from slicer_harness.facts import Facts, VERSIONS
from slicer_harness.session import Session
with Session(Facts(*VERSIONS)) as session:
    import slicer.i18n, slicer.parameterNodeWrapper, slicer.ScriptedLoadableModule, slicer.util, vtk
    before = set(sys.modules)
    for name in [one for one in before if one.startswith("UltrasoundLesionSegLib")]:
        del sys.modules[name]  # the harness has used some of it already
    started = time.process_time()
    from pathlib import Path
    module = session.load_module(Path(sys.argv[2]) / "UltrasoundLesionSeg.py")
    print(time.process_time() - started)
    heavy = {"torch", "monai", "cv2", "pydicom", "highdicom", "SimpleITK", "matplotlib", "PIL", "av", "safetensors"}
    print(sorted(heavy & {one.split(".")[0] for one in sys.modules}))
    module.open()
    print(sorted(heavy & {one.split(".")[0] for one in sys.modules}))
    module.unload()
"""
    repository = Path(__file__).resolve().parents[3]
    arguments = [str(repository / "Testing" / "Gui"), str(repository / "UltrasoundLesionSeg")]
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    seconds, at_start, when_opened = ran.stdout.splitlines()[-3:]
    assert at_start == "[]"
    assert when_opened == "[]"
    assert float(seconds) < 0.2


def test_slicers_start_brings_no_numpy() -> None:
    """Neither the module's file nor what it does once Slicer has started; Slicer's own modules are named only."""
    code = """
import sys
from unittest.mock import MagicMock
class Base: pass
for name in ("slicer", "slicer.i18n", "slicer.util", "slicer.ScriptedLoadableModule", "vtk", "SampleData", "qt"):
    sys.modules[name] = MagicMock()
for name in ("Module", "ModuleLogic", "ModuleTest", "ModuleWidget"):
    setattr(sys.modules["slicer.ScriptedLoadableModule"], f"ScriptedLoadable{name}", Base)
sys.modules["slicer.util"].VTKObservationMixin = type("Mixin", (), {})
sys.path.insert(0, sys.argv[1])
import UltrasoundLesionSeg
UltrasoundLesionSeg.onStartupCompleted()
assert sys.modules["SampleData"].SampleDataLogic.registerCustomSampleDataSource.called
print(sorted({"numpy", "torch", "cv2"} & set(sys.modules)))
"""
    folder = str(Path(__file__).resolve().parents[3] / "UltrasoundLesionSeg")
    ran = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines() == ["[]"], ran.stderr
