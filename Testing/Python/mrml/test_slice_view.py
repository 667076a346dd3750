"""Pictures of a slice view, in a process of their own: OpenGL without a driver can crash."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

PICTURE = """
    import numpy as np
    from UltrasoundLesionSegLib.mrml import headless
    scene = headless.start()
    from UltrasoundLesionSegLib.cine import Calibration, Cine, Origin
    from UltrasoundLesionSegLib.errors import OutputError
    from UltrasoundLesionSegLib.mrml.cine_nodes import add_cine
    from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
    from UltrasoundLesionSegLib.mrml.segments import SegmentInfo
    from UltrasoundLesionSegLib.mrml.slice_view import SliceView
    frames = np.full((2, 100, 200), 90, np.uint8)
    frames[:, :50, :100] = 250  # bright where the skin and the left of the image are
    browser = add_cine(Cine.from_array(frames, Calibration(0.1, 0.1, "test")))
    lesions = SegmentationSequence.create(browser, [SegmentInfo("a", "A", (1.0, 0.0, 0.0))])
    mask = np.zeros((100, 200), bool)
    mask[60:90, 120:180] = True
    lesions.write(1, {"a": mask}, {"a": Origin.MODEL})
    before = scene.GetNumberOfNodes()
    try:
        with SliceView(browser, 400, 300) as view:
            plain, overlaid = view.picture(0).astype(int), view.picture(1).astype(int)
    except OutputError as error:
        print("refused:", error)
        raise SystemExit
    # 200 x 100 pixels fill 400 x 200 of the picture's 400 x 300
    assert plain.shape == (300, 400, 3)
    assert plain[20].max() == 0 == plain[290].max()
    assert plain[80, 60].min() > 200 > 150 > plain[80, 300].max() > 50 < plain[220, 60].max() < 150
    row, column = 50 + 2 * 75, 2 * 150
    assert plain[row, column, 0] - plain[row, column, 1] == 0
    assert overlaid[row, column, 0] - overlaid[row, column, 1] > 25
    assert (overlaid[80, 60] == plain[80, 60]).all()
    assert (scene.GetNumberOfNodes(), browser.GetSelectedItemNumber()) == (before, 0)
    view.close()
    print("drawn")
"""


def run(extra: dict[str, str]) -> subprocess.CompletedProcess[str]:
    code = textwrap.dedent(PICTURE)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **extra}, check=False
    )


def test_a_frame_is_drawn_upright_with_its_lesion() -> None:
    result = run({})
    if result.stdout.startswith("refused"):
        pytest.skip("this machine has no offscreen OpenGL")
    assert (result.stdout.strip(), result.returncode) == ("drawn", 0), result.stderr[-800:]


@pytest.mark.skipif(sys.platform != "linux", reason="the variables are those of Linux's OpenGL loader")
def test_a_machine_that_cannot_draw_says_so() -> None:
    nowhere = {
        "__EGL_VENDOR_LIBRARY_DIRS": "/nonexistent",
        "__EGL_VENDOR_LIBRARY_FILENAMES": "/nonexistent",
        "DISPLAY": "",
    }
    result = run(nowhere)
    assert result.returncode == 0, result.stderr[-500:]
    if result.stdout.startswith("drawn"):
        pytest.skip("this machine draws by OSMesa as well")
    assert "software OpenGL" in result.stdout
