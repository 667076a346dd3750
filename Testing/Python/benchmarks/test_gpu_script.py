"""The script for a GPU, tried on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_script_for_a_gpu_runs_on_a_cpu_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {name: value for name, value in os.environ.items() if name != "DATA"} | {"FRAMES": "2", "PATH": path}

    def run() -> str:
        command = ["bash", str(ROOT / "Testing/Gpu/run.sh"), str(tmp_path), "cpu"]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout

    assert "propagation: begun" in run()
    figures = json.loads((tmp_path / "propagation.json").read_text())
    assert figures["device"] == "CPU"
    assert {"stpfnet_light", "bas_s_propagate"} <= set(figures["models"])
    for rows in figures["models"].values():
        assert rows["float32"]["lowest Dice with the CPU"] == 1
    assert "propagation: done before" in run()
