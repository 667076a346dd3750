"""Segments many cines in Slicer without a window, each from a mask beside it.

    Slicer --no-main-window --python-script Docs/examples/slicer_batch.py --cines FOLDER --output FOLDER

Every file in the folder of cines that has a mask beside it (``clip.dcm`` and ``clip.seed.png``, drawn on frame
``--frame``) is segmented and measured. A case that fails is named by its number and the others go on; the exit code is
then 1. In a plain Python with this package installed, ``ultrasound-lesion-seg segment`` and ``batch`` do the same.
"""

import argparse
import sys
from pathlib import Path

import slicer

from UltrasoundLesionSeg import UltrasoundLesionSegLogic
from UltrasoundLesionSegLib.errors import LesionSegError, SourceError

SEED_ENDING = ".seed.png"


def segment_case(logic, seed, output, arguments):
    """Load, seed, propagate, measure and export the cine that a mask lies beside."""
    stem = seed.name.removesuffix(SEED_ENDING)
    source = next((path for path in seed.parent.glob(f"{stem}.*") if path != seed), None)
    if source is None:
        raise SourceError("there is no cine beside the mask; give the file of the cine the name of its mask")
    browser = logic.loadCine(source)
    logic.setSeed(browser, seed, frame=arguments.frame)
    logic.propagate(browser, model=arguments.model, device=arguments.device)
    logic.export(browser, output, arguments.kinds)
    slicer.mrmlScene.Clear()
    logic.release()


def main():
    """Segment all cases; returns the number of those that failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cines", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--frame", type=int, default=0, help="frame that the masks were drawn on, counted from 0")
    parser.add_argument("--model", help="name of the model's bundle")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--kinds", nargs="+", default=["masks", "csv", "scene"])
    arguments = parser.parse_args()
    logic = UltrasoundLesionSegLogic()
    seeds = sorted(arguments.cines.glob(f"*{SEED_ENDING}"))
    failed = 0
    for number, seed in enumerate(seeds, start=1):
        try:
            segment_case(logic, seed, arguments.output / seed.name.removesuffix(SEED_ENDING), arguments)
            print(f"case {number} of {len(seeds)}: done")
        except LesionSegError as error:
            failed += 1
            print(f"case {number} of {len(seeds)}: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    slicer.util.exit(1 if main() else 0)
