"""The adaptation as a process of its own, apart from the training itself."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from UltrasoundLesionSegLib.adaptation import process
from UltrasoundLesionSegLib.adaptation.request import AdaptProgress


@pytest.mark.parametrize("is_there", [True, False])
def test_it_ends_when_its_window_vanished_before_it_was_ready(
    is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def adapt(output: Path, reader: str, settings: Any, models: Path, tell: Any, cines: Any) -> None:
        tell(AdaptProgress(0.5, "half of it", 60.0))
        raise RuntimeError

    (tmp_path / "review").mkdir()
    monkeypatch.setattr(os, "nice", lambda _: 0)
    monkeypatch.setattr(process, "adapt_to_reader", adapt)
    request = {"output": str(tmp_path), "models": str(tmp_path), "reader": "A", "settings": {"start": "a", "name": "b"}}
    monkeypatch.setattr(sys, "argv", ["-c", json.dumps(request)])
    if is_there:
        process.main(os.getppid())
        assert "half of it" in capsys.readouterr().out
    else:
        with pytest.raises(SystemExit, match="the window is gone"):
            process.main(os.getpid())
        assert "half of it" not in capsys.readouterr().out


def test_a_folder_that_is_no_batch_is_told_to_the_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "nice", lambda _: 0)
    request = {"output": str(tmp_path), "models": str(tmp_path), "reader": "A", "settings": {"start": "a", "name": "b"}}
    monkeypatch.setattr(sys, "argv", ["-c", json.dumps(request)])
    process.main()
    assert "no batch's output" in json.loads(capsys.readouterr().out)["failed"]
