"""A drill that was killed leaves its folder: the next start begins anew, and empties no folder of anybody else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import readers
from drill_folder import drill_folder


def test_a_drill_begins_anew_after_one_that_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[list[str]] = []

    def kill(output: Path, *_: object) -> None:
        met.append(sorted(path.name for path in output.parent.iterdir() if not path.name.startswith(".")))
        output.mkdir()
        (output / "review.json").touch()

    for part in ("kill_at_random", "two_at_once"):
        monkeypatch.setattr(readers, part, kill)
    monkeypatch.setattr(readers, "kill_at_every_step", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["readers.py", "--folder", str(tmp_path / "readers-drill")])
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            readers.main()
        assert ended.value.code is False
    assert met == [[], ["killed"]] * 2


def test_what_no_drill_made_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    (tmp_path / "file").touch()
    for name in ("mine", "file"):
        with pytest.raises(SystemExit, match="made by no drill"):
            drill_folder(tmp_path / name)
    assert (tmp_path / "mine" / "thesis.txt").exists()
    (tmp_path / "empty").mkdir()
    assert drill_folder(tmp_path / "empty") == tmp_path / "empty"


@pytest.mark.parametrize("script", sorted(Path(readers.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_every_drill_with_a_folder_of_its_own_begins_so(script: Path) -> None:
    source = script.read_text(encoding="utf-8")
    assert ("drill_folder(" in source) == ('"--folder"' in source or script.stem == "drill_folder")
