"""Make the repository that is published for Slicer's Extensions Index, and check it as the index does.

    make release [RELEASE=FOLDER] [OWNER=account] [CONTRIBUTORS="Name (Organisation), ..."]

The index refuses a repository of more than 100 MB, its history included. So the published repository has one commit:
the files of HEAD. It is written to a new folder outside the checkout; this repository is not changed. CONTRIBUTING.md
says what comes next.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from index_checks import (
    INDEX_FILE,
    PLACEHOLDER_OWNER,
    SIZE_LIMIT,
    Finding,
    check_repository,
    total_size,
)

ROOT = Path(__file__).resolve().parents[2]
TEXT_SUFFIXES = {".cff", ".json", ".md", ".py", ".toml", ".txt", ".ui"}
FOR_A_PERSON = (
    "push this repository to https://github.com/{owner}/SlicerUltrasoundLesionSeg, branch main",
    "give it the topic 3d-slicer-extension, and switch Wiki, Projects and Discussions off",
    "open the addresses of icon and screenshot in a browser: the index downloads both",
    f"send a pull request with {INDEX_FILE.as_posix()} to https://github.com/Slicer/ExtensionsIndex",
)


class ReleaseError(Exception):
    """A mistake in the call; its text is one sentence."""


def make_release(root: Path, destination: Path, owner: str = "", contributors: str = "") -> list[Finding]:
    """Write the release repository and return what its checks found.

    Parameters
    ----------
    root : Path
        The checkout; its HEAD is released, not its uncommitted changes.
    destination : Path
        A new or empty folder outside the checkout.
    owner : str
        GitHub account that will own the repository; written into all addresses. '' leaves the placeholder.
    contributors : str
        ``Name (Organisation), Name (Organisation)``; '' leaves what CMakeLists.txt says.

    Raises
    ------
    ReleaseError
        When the destination is in the checkout or not empty, or git fails.
    """
    destination = destination.resolve()
    if destination.is_relative_to(root.resolve()):
        raise ReleaseError("the release folder lies in the checkout; name one outside of it: make release RELEASE=...")
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise ReleaseError("the release folder is not empty; delete it, or name another: make release RELEASE=...")
    destination.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(_git(root, "archive", "HEAD"))) as files:
        files.extractall(destination, filter="data")
    _fill_in(destination, owner, contributors)
    _commit(root, destination)
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        _git(Path(folder), "clone", "--quiet", destination.as_uri(), str(clone))  # an address: the index copies, too
        return check_repository(clone)


def _fill_in(destination: Path, owner: str, contributors: str) -> None:
    """Write owner and contributors over the placeholders."""
    if owner:
        for file in sorted(path for path in destination.rglob("*") if path.suffix in TEXT_SUFFIXES and path.is_file()):
            text = file.read_text(encoding="utf-8")
            for host in ("github.com", "raw.githubusercontent.com"):
                text = text.replace(f"{host}/{PLACEHOLDER_OWNER}/", f"{host}/{owner}/")
            file.write_text(text, encoding="utf-8")
    if contributors:
        cmake = destination / "CMakeLists.txt"
        lines = cmake.read_text(encoding="utf-8").splitlines(keepends=True)
        filled = [
            f'set(EXTENSION_CONTRIBUTORS "{contributors}")\n' if line.startswith("set(EXTENSION_CONTRIBUTORS") else line
            for line in lines
        ]
        cmake.write_text("".join(filled), encoding="utf-8")


def _commit(root: Path, destination: Path) -> None:
    """Make the one commit, with HEAD's author and date: the same HEAD gives the same commit."""
    name, address, date = _git(root, "log", "-1", "--format=%an%n%ae%n%aI").decode("utf-8").splitlines()
    version = _git(root, "describe", "--always", "--tags").decode("utf-8").strip()
    _git(destination, "init", "--quiet", "--initial-branch=main")
    _git(destination, "add", "--all", "--force", ".")
    identity = ("-c", f"user.name={name}", "-c", f"user.email={address}")
    message = f"UltrasoundLesionSeg, release of {version}"
    _git(destination, *identity, "commit", "--quiet", f"--date={date}", "--message", message, date=date)


def _git(folder: Path, *arguments: str, date: str = "") -> bytes:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    if date:
        environment["GIT_COMMITTER_DATE"] = date
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, env=environment)
    except FileNotFoundError as error:
        raise ReleaseError("git is not installed; install it") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip()
        raise ReleaseError(f"git {arguments[0]} failed: {said}") from error
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description="Make and check the repository for Slicer's Extensions Index.")
    parser.add_argument("destination", type=Path, help="new folder outside the checkout")
    parser.add_argument("--owner", default="", help="GitHub account that will own the repository")
    parser.add_argument("--contributors", default="", help="'Name (Organisation), Name (Organisation)'")
    given = parser.parse_args()
    try:
        if _git(ROOT, "status", "--porcelain").strip():
            print("note: uncommitted changes are not in the release; it is made from HEAD")
        findings = make_release(ROOT, given.destination, given.owner, given.contributors)
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for finding in findings:
        print(f"{finding.state.value:>8}  {finding.sentence}")
    print(f"release: {given.destination} ({total_size(given.destination) / 2**20:.1f} of {SIZE_LIMIT / 2**20:.0f} MB)")
    print("what a person does next:")
    for step in FOR_A_PERSON:
        print(f"  - {step.format(owner=given.owner or 'OWNER')}")
    return int(any(finding.is_fault for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
