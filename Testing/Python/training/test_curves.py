from __future__ import annotations

from pathlib import Path

import cv2

from UltrasoundLesionSegLib.training.curves import draw_curves, read_column
from UltrasoundLesionSegLib.training.run_state import RunLog


def test_curves_are_drawn_of_what_the_log_holds(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.csv", 0)
    log.add(step=20, seconds=0.5, learning_rate=0.1, loss=2.0, train_dice=0.4)
    log.add(step=20, val_loss=1.5, val_dice=0.6)
    log.add(step=40, seconds=0.5, learning_rate=0.1, loss=1.0, train_dice=0.7)
    assert read_column(tmp_path / "log.csv", "loss") == ([20, 40], [2.0, 1.0])
    assert read_column(tmp_path / "log.csv", "val_dice") == ([20], [0.6])
    draw_curves([tmp_path], tmp_path / "curves.png")
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture is not None
    assert picture.std() > 10
