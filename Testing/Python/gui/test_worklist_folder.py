"""A batch's folder that is moved away, comes back, or is begun anew while a case of it is open."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any


def test_a_folder_that_is_moved_away_leaves_list_and_case_as_they_are(reader: Any, tmp_path: Path) -> None:
    names = reader.names()
    reader.activate(0)
    reader.output.rename(tmp_path / "away")
    reader.click("worklistRefreshButton")
    assert "its disk is not connected" in reader.message()
    assert reader.names() == names
    assert reader.user.read("openCaseLabel").startswith(f"{names[0]} is open")
    (tmp_path / "away").rename(reader.output)
    reader.click("worklistRefreshButton")
    assert reader.message() == ""
    reader.draw(2)
    reader.click("closeCaseButton")
    assert reader.record(names[0]).frames_drawn == (2,)


def test_no_case_is_opened_in_a_folder_that_was_moved_away(reader: Any, tmp_path: Path) -> None:
    reader.output.rename(tmp_path / "away")
    for act in (lambda: reader.activate(0), lambda: reader.click("nextCaseButton")):
        act()
        assert "its disk is not connected" in reader.message()
        assert reader.browser is None
        assert not reader.output.exists()


def test_a_case_that_was_let_go_of_while_its_folder_was_away_can_be_opened_again(reader: Any, tmp_path: Path) -> None:
    first = reader.names()[0]
    reader.activate(0)
    reader.output.rename(tmp_path / "away")
    reader.draw(2)
    reader.browser.SetSelectedItemNumber(3)
    reader.wait()
    assert not reader.user.sees("openCaseLabel")
    assert reader.user.module.widget.panel.anchors() == {"lesion-1": {2: True}}, "the cine stays, with what was drawn"
    shutil.rmtree(reader.output)
    (tmp_path / "away").rename(reader.output)
    a_minute_ago = time.time() - 60
    os.utime(reader.output / "review" / "A" / first / "hold.json", (a_minute_ago, a_minute_ago))
    reader.activate(0)
    assert reader.user.read("openCaseLabel").startswith(f"{first} is open")


def test_a_case_that_the_batch_no_longer_lists_stays_open_with_what_is_drawn(reader: Any) -> None:
    names = reader.names()
    reader.activate(0)
    sources = reader.output / "key" / "sources.csv"
    lines = sources.read_text(encoding="utf-8").splitlines(keepends=True)
    sources.write_text("".join(line for line in lines if names[0] not in line), encoding="utf-8")
    reader.click("worklistRefreshButton")
    assert reader.names() == names[1:]
    assert reader.user.read("openCaseLabel") == f"{names[0]} is open; the batch no longer lists it."
    reader.draw(2)
    reader.browser.SetSelectedItemNumber(3)
    reader.click("closeCaseButton")
    assert reader.record(names[0]).frames_drawn == (2,)


def test_a_frame_without_a_mask_is_not_confirmed_and_it_is_said_why(reader: Any) -> None:
    reader.activate(0)
    reader.click("confirmButton")
    assert reader.user.read("lesionMessageLabel").startswith("Frame 0 has no mask to confirm")
    assert not any(reader.user.module.widget.panel.anchors().values())
