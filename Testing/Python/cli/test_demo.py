"""The demo: one seed that no person drew, something to review, and files that show it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from UltrasoundLesionSegLib.cli import demo
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings
from UltrasoundLesionSegLib.workflow.pictures import ANCHOR_INK


def test_the_cine_of_the_demo_leaves_the_plane_once_and_its_seed_shows_the_lesion() -> None:
    simulated = demo.simulate_cine(demo.SETTINGS)
    visible = [bool(simulated.truth[frame].any()) for frame in range(len(simulated.cine))]
    changes = [frame for frame in range(1, len(visible)) if visible[frame] != visible[frame - 1]]
    assert visible[0]
    assert visible[demo.SEED_FRAME]
    assert len(changes) == 2


def test_it_writes_a_report_a_video_and_pictures_that_mark_the_simulated_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        demo, "SETTINGS", SimulationSettings(seed=6, frames=20, height=160, width=160, leaves_plane=True)
    )
    monkeypatch.setattr(demo, "SEED_FRAME", 2)
    demo.run_demo(tmp_path, "bas_s_propagate", "cpu")
    said = capsys.readouterr().out
    assert "simulated seed" in said
    assert "frame to look at first" in said
    result = tmp_path / "result"
    assert "simulated seed" in (result / "report.html").read_text(encoding="utf-8")
    assert "drawn by a person<" not in (result / "report.html").read_text(encoding="utf-8")
    assert (result / "overlay.mp4").stat().st_size > 0
    assert (result / "measurements.dcm").is_file()
    if (tmp_path / "pictures").is_dir():  # where this machine can draw
        seed = np.asarray(Image.open(tmp_path / "pictures" / "frame_00002.png").convert("RGB"))
        assert tuple(seed[0, 0]) == ANCHOR_INK
        other = np.asarray(Image.open(tmp_path / "pictures" / "frame_00000.png").convert("RGB"))
        assert tuple(other[0, 0]) != ANCHOR_INK
