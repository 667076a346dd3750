"""``compare`` from the shell, on a batch folder as ``batch`` writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from review_helpers import store_as_done
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor
from UltrasoundLesionSegLib.reader_work.results import read_machine_result

Run = Callable[..., tuple[int, str, str]]
Folder = tuple[Path, NDArray[np.bool_]]


@pytest.fixture
def reviewed(run: Run, bright_model: BrightNetwork, frames_folder: Folder) -> Path:
    """A batch of one case of six frames, which readers A and B have done; A outlined frame 3, B a part of it."""
    folder, truth = frames_folder
    out = folder / "out"
    code, _, said = run(
        "segment", folder / "frames", "--seed", folder / "seed.png", "--output", out / "cases" / "case-0001"
    )
    assert code == 0, said
    machine = read_machine_result(out / "cases" / "case-0001")
    assert machine is not None
    (lesion,) = machine.lesions
    half = truth[3][0].copy()
    half[:, : half.shape[1] // 2] = False
    for reader, mask in (("A", truth[3][0]), ("B", half)):
        store_as_done(out, reader, "case-0001", [ReaderAnchor(3, lesion, mask, How.DRAWN)])
    return out


def test_two_readers_are_compared(run: Run, reviewed: Path) -> None:
    code, out, _ = run("compare", reviewed, "--reader", "A", "--reader", "B")
    assert code == 0
    assert "Frames that both outlined: 1 frame of 1 lesion, Dice 0." in out
    assert {path.name for path in (reviewed / "comparison" / "A-B").iterdir()} == {
        "comparison.csv",
        "comparison.json",
        "comparison.html",
    }
    page = (reviewed / "comparison" / "A-B" / "comparison.html").read_text()
    assert "Limits of agreement and ICC need at least 3 lesions, here 1." in page
    code, out, _ = run("compare", reviewed, "--reader", "A", "--reader", "model", "--output", reviewed / "other")
    assert code == 0
    assert (reviewed / "other" / "comparison.html").is_file()


def test_a_folder_that_is_no_batch_is_named(run: Run, reviewed: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "nowhere", tmp_path / "frames", tmp_path / "file", reviewed / "cases" / "case-0001"):
        code, _, said = run("compare", folder, "--reader", "A", "--reader", "B")
        assert code == 2
        (sentence,) = said.strip().splitlines()
        assert "the folder is no batch's output; name the folder that holds" in sentence


@pytest.mark.parametrize(
    ("readers", "words"),
    [(["A"], "--reader twice"), (["A", "C"], "the readers are: A, B"), (["A", "B C"], "reader's code is not usable")],
)
def test_wrong_readers_are_named(run: Run, reviewed: Path, readers: list[str], words: str) -> None:
    code, _, said = run("compare", reviewed, *(part for one in readers for part in ("--reader", one)))
    assert code == 2
    (sentence,) = said.strip().splitlines()
    assert words in sentence
    assert str(reviewed) not in sentence
