"""The repository for the Extensions Index: made from HEAD in one commit, and every check of the index can fail."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import index_checks
import make_release as maker
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
PARTS = ("CMakeLists.txt", "README.md", "LICENSE", "Docs", "Resources/UltrasoundLesionSeg.png")


def faults(folder: Path) -> list[str]:
    return [finding.sentence for finding in index_checks.check_repository(folder) if finding.is_fault]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """What the checks look at, copied from this checkout."""
    folder = tmp_path / "repository"
    for part in PARTS:
        target = folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / part).is_dir() else shutil.copy)(ROOT / part, target)
    return folder


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def describe(folder: Path, **changes: object) -> None:
    file = folder / index_checks.INDEX_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_the_checkout_is_ready_but_for_the_owner(repository: Path) -> None:
    findings = index_checks.check_repository(repository)
    assert [finding.sentence for finding in findings if finding.is_fault] == []
    to_fill_in = [one.sentence for one in findings if one.state is index_checks.State.TO_FILL_IN]
    assert len(to_fill_in) == 2
    assert "OWNER=" in to_fill_in[0]
    assert "CONTRIBUTORS=" in to_fill_in[1]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: describe(f, licence="Apache"), "schema 1.0.2"),
        (lambda f: describe(f, tier=6), "schema 1.0.2"),
        (lambda f: describe(f, category="Segmentation"), "EXTENSION_CATEGORY"),
        (lambda f: describe(f, scm_url="https://github.com/UltrasoundLesionSeg/Lesions.git"), "must be named"),
        (lambda f: replace(f / index_checks.INDEX_FILE, "\n", "\r\n"), "LF"),
        (lambda f: replace(f / "CMakeLists.txt", "contributors (Ultra", "contributors, Ultra"), "Name (Organisation)"),
        (lambda f: replace(f / "CMakeLists.txt", "slicer_breast.jpg", "absent.png"), "SCREENSHOTURLS"),
        (lambda f: replace(f / "CMakeLists.txt", "project(UltrasoundLesionSeg)", "project(Other)"), "project("),
        (lambda f: Image.new("RGB", (64, 64)).save(f / "Resources" / "UltrasoundLesionSeg.png"), "128 x 128"),
        (lambda f: replace(f / "README.md", "arxiv.org/abs/2403.11699", "arxiv.org"), "2403.11699"),
        (lambda f: replace(f / "README.md", "](Docs/images/", "](Docs/absent/"), "no picture"),
        (lambda f: (f / "LICENSE").unlink(), "LICENSE is missing"),
    ],
)
def test_a_fault_is_found(repository: Path, spoil: Callable[[Path], None], said: str) -> None:
    spoil(repository)
    found = faults(repository)
    assert any(said in sentence for sentence in found), found


def test_a_repository_over_the_limit_is_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_checks, "SIZE_LIMIT", index_checks.total_size(repository) - 1)
    assert ["largest" in sentence for sentence in faults(repository)] == [True]


@pytest.fixture(scope="module")
def checkout() -> Path:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout: there is no HEAD to release")
    return ROOT


def test_a_release_is_one_commit_of_head_with_owner_and_contributors(checkout: Path, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    findings = maker.make_release(checkout, folder, "somebody", "A Person (A Hospital)")
    assert all(one.state is index_checks.State.OK for one in findings), findings

    def git(where: Path, *arguments: str) -> list[str]:
        done = subprocess.run(["git", *arguments], cwd=where, check=True, capture_output=True, text=True)
        return done.stdout.splitlines()

    assert git(folder, "rev-list", "--count", "HEAD") == ["1"]
    assert git(folder, "status", "--porcelain") == []
    listed = git(checkout, "ls-tree", "-r", "--name-only", "HEAD")
    assert git(folder, "ls-tree", "-r", "--name-only", "HEAD") == listed
    assert "github.com/somebody/SlicerUltrasoundLesionSeg" in (folder / "CMakeLists.txt").read_text()
    assert json.loads((folder / index_checks.INDEX_FILE).read_text())["scm_url"].split("/")[3] == "somebody"
    with pytest.raises(maker.ReleaseError, match="not empty"):
        maker.make_release(checkout, folder)


def test_a_release_into_the_checkout_is_refused(checkout: Path) -> None:
    with pytest.raises(maker.ReleaseError, match="outside"):
        maker.make_release(checkout, checkout / "build" / "release")
    assert not (checkout / "build" / "release").exists()
