"""The heap keeps what the next frame needs, and gives everything back when asked."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from UltrasoundLesionSegLib.engine.heap import keep_working_memory, return_free_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident_kb():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() // 1024

def frames():
    before = faults()
    for _ in range(50):
        layers = [torch.ones(1 << 19) for _ in range(4)]  # 2 MB each
        del layers
    return faults() - before

if "keep" in sys.argv:
    keep_working_memory()
frames()
print(frames())
kept = resident_kb()
return_free_memory()
print(kept - resident_kb())
"""


def run(*arguments: str) -> tuple[int, int]:
    said = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"OMP_NUM_THREADS": "1"},
    )
    faults, returned_kb = said.stdout.split()
    return int(faults), int(returned_kb)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heap")
def test_kept_memory_is_not_fetched_again_and_can_be_given_back() -> None:
    faults, returned_kb = run("keep")
    assert faults < 1000  # 4 tensors of 512 pages, 50 times, are 102,400
    assert returned_kb > 6000
