"""Figures that several documents and the panel give are the same everywhere, and come from a measurement."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PANEL = ROOT / "UltrasoundLesionSeg" / "UltrasoundLesionSegLib" / "gui" / "hardware.py"  # imports Qt: read as text
CPU_SPEED = re.findall(r'^CPU_SPEED = "(.*)"$', PANEL.read_text(encoding="utf-8"), re.M)[0]


def test_the_speed_on_a_processor_is_the_one_that_was_measured() -> None:
    measured = (ROOT / "Docs" / "results" / "speed.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| stpfnet_light \| (?:side by side|one after the other) .* (\d+) \|$", measured, re.M)
    slow, fast = sorted(round(int(row), -1) for row in rows)
    assert f"{slow} to {fast} frames a second" == CPU_SPEED


def test_panel_readme_and_tutorial_give_the_same_speed() -> None:
    for name in ("README.md", "Docs/tutorial.md"):
        found = re.findall(r"\d+ to \d+\s+frames a second", (ROOT / name).read_text(encoding="utf-8"))
        assert [re.sub(r"\s+", " ", one) for one in found] == [CPU_SPEED], name
