"""Segments many cines in Slicer without a window: what ``ultrasound-lesion-seg batch`` does, with Slicer's own Python.

    Slicer --no-main-window --python-script Docs/examples/slicer_batch.py --cines FOLDER --output FOLDER

``--cines`` names a folder of cines with their seeds beside them (``clip.dcm`` and ``clip.seed.30.png``, drawn on frame
30), or a manifest: see Docs/batch.md. Started again, it finishes what is left. The exit code is 1 when a case failed.
"""

import argparse
import sys
from pathlib import Path

import slicer

from UltrasoundLesionSeg import UltrasoundLesionSegLogic
from UltrasoundLesionSegLib.errors import LesionSegError


def main():
    """Segment all cases; returns the number of those that failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cines", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", help="name of the model's bundle")
    parser.add_argument("--suggest", help="frame on which a model proposes a seed where there is none, or 'middle'")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--processes", type=int, help="cases at a time; by default what the machine holds")
    arguments = vars(parser.parse_args())
    if (arguments["suggest"] or "").isdigit():
        arguments["suggest"] = int(arguments["suggest"])
    result = UltrasoundLesionSegLogic().processBatch(arguments.pop("cines"), arguments.pop("output"), **arguments)
    print(f"cases computed: {len(result.computed)}, finished before: {len(result.finished)}")
    for name, reason in result.failed.items():
        print(f"{name}: {reason}", file=sys.stderr)
    return len(result.failed)


if __name__ == "__main__":
    try:
        failed = main()
    except LesionSegError as error:  # the batch could not start
        print(f"error: {error}", file=sys.stderr)
        slicer.util.exit(2)
    slicer.util.exit(1 if failed else 0)
