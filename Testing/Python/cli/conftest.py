"""The console script called in this process, and a small folder of frames to give it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from engine_helpers import clip_of_moving_discs
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.cli import main as cli
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(logic: UltrasoundLesionWorkflow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the console script in this process; gives exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ultrasound-lesion-seg", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return call


@pytest.fixture
def frames_folder(tmp_path: Path) -> tuple[Path, NDArray[np.bool_]]:
    """A folder of PNG frames of a moving disc, a seed for frame 0 beside it, and the truth."""
    cine, truth = clip_of_moving_discs(frames=6)
    (tmp_path / "frames").mkdir()
    for index in range(6):
        Image.fromarray(cine.frames[index]).save(tmp_path / "frames" / f"{index}.png")
    Image.fromarray(truth[0][0]).save(tmp_path / "seed.png")
    return tmp_path, truth
