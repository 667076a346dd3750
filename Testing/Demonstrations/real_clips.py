"""Segment the real clips from seeds drawn by hand and render what Slicer shows.

    .venv/bin/python Testing/Demonstrations/real_clips.py [NAME ...] [--output FOLDER]

The pictures are real_NAME.jpg in build/real_clips; Docs/images has that of the breast clip. The data is looked for in
../shared/data, or where ULS_DATA points. The seeds are the outlines below.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import slicer
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.cli.progress_bar import propagation_bar
from UltrasoundLesionSegLib.mrml.scene_file import load_scene
from UltrasoundLesionSegLib.mrml.segmentation_sequence import SegmentationSequence
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.case import run_case
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest, SeedFileRequest
from UltrasoundLesionSegLib.workflow.pictures import save_slice_views

ROOT = Path(__file__).resolve().parents[2]
OUTLINE_WIDTH = 3  # pixels; thinner ones vanish when the picture is scaled down
FILL_OPACITY = 0.12


@dataclass(frozen=True)
class Clip:
    """A real clip and a seed: an ellipse (row, column, half height, half width in pixels) on a frame."""

    source: str
    frame: int
    ellipse: tuple[int, int, int, int]
    shown: tuple[int, ...]

    def seed(self, shape: tuple[int, int]) -> NDArray[np.uint8]:
        row, column, half_height, half_width = self.ellipse
        mask = np.zeros(shape, np.uint8)
        cv2.ellipse(mask, (column, row), (half_width, half_height), 0, 0, 360, 255, -1)
        return mask


CLIPS = {
    # the two parts are joined at frame 62/63: the lesion is the same, the sweep is another one
    "breast": Clip("cine/breast_series_dicom", 30, (231, 403, 62, 75), (0, 30, 45, 62, 63, 122)),
    # the left ventricle, because it beats: what a tracker must follow
    "echo": Clip(
        "cine/dicom_us/echo_sonosite_120f_ybr422_jpegbaseline.dcm", 60, (180, 356, 72, 36), (0, 24, 48, 72, 96, 119)
    ),
    # a consolidation under the pleura
    "lung_linear": Clip("cine/lung_video/Pneu_prospective_file3.mp4", 75, (82, 190, 24, 48), (0, 30, 60, 90, 120, 150)),
    # the shadow of a rib
    "lung_convex": Clip(
        "cine/lung_video/Reg_pat1Image_132943.mpeg", 140, (108, 252, 60, 22), (0, 56, 112, 168, 224, 279)
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Segment the real clips and make a picture of each.")
    parser.add_argument("names", nargs="*", choices=[[], *CLIPS], help="clips; all by default")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "real_clips")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    data = Path(os.environ.get("ULS_DATA") or ROOT.parent / "shared" / "data")
    for name in chosen.names or list(CLIPS):
        clip = CLIPS[name]
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder)
            seed = output / "seed.png"
            Image.fromarray(clip.seed(read_cine(data / clip.source).shape)).save(seed)
            request = CaseRequest(data / clip.source, output / "result", (SeedFileRequest(seed, clip.frame),))
            with propagation_bar() as advance:
                record = run_case(request, advance).record
            slicer.mrmlScene.Clear(0)
            load_scene(output / "result" / "scene.mrb")
            browser = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
            display = SegmentationSequence.find(browser).proxy.GetDisplayNode()
            display.SetSliceIntersectionThickness(OUTLINE_WIDTH)
            display.SetOpacity2DFill(FILL_OPACITY)
            overview = save_slice_views(browser, clip.shown, output / "pictures", (460, 460))
            Image.open(overview).convert("RGB").save(chosen.output / f"real_{name}.jpg", quality=88)
            logic = UltrasoundLesionWorkflow()
            worst = logic.reviewOrder(browser)[:5]
            slicer.mrmlScene.Clear(0)
        print(
            name,
            record["model"]["name"],
            record["seconds"],
            "frames computed:",
            record["frames_computed"],
            "to look at:",
            worst,
        )


if __name__ == "__main__":
    main()
