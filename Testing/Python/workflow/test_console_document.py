"""The code in Docs/console.md does what the document says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from UltrasoundLesionSegLib.engine.bundles import list_bundles
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.write import write_simulation

DOCUMENT = Path(__file__).resolve().parents[3] / "Docs" / "console.md"


def test_every_block_runs_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer

    from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

    assert list_bundles(), "no model is installed"
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 6
    write_simulation(simulate_cine(SimulationSettings(seed=4, frames=12)), tmp_path / "cine", "dicom")
    monkeypatch.chdir(tmp_path)
    # where another test has started slicer-core, slicer.app is there but no module is
    logic = UltrasoundLesionWorkflow()
    slicer.mrmlScene.Clear(0)
    monkeypatch.setattr(slicer.util, "getModuleLogic", lambda name: logic)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(DOCUMENT), "exec"), names)
    masks, table = names["masks"], names["table"]
    assert masks.shape[0] == len(table) == 12  # type: ignore[attr-defined, arg-type]
    np.testing.assert_allclose(table["area_mm2"], masks.sum(axis=(1, 2)) * 0.01)  # type: ignore[index, attr-defined]
    one, back = names["one"], names["back"]
    assert one.any()  # type: ignore[attr-defined]
    np.testing.assert_array_equal(one, back)  # type: ignore[arg-type]
    assert len(list((tmp_path / "results" / "masks").glob("*.png"))) == 12
    assert (tmp_path / "results" / "segmentation.dcm").stat().st_size > 0
    summary = names["measured"].lesion_rows()[0].summary  # type: ignore[attr-defined]
    assert summary.frames_measured == 12
    assert np.isfinite(summary.long_axis_there)
    slicer.mrmlScene.Clear(0)
