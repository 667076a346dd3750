"""The code blocks of a document, run as they are printed.

A block that a test cannot run stands below the comment ``<!-- not run: REASON -->``. A block whose first line names a
file (``json patient.json``) is that file. Shell lines are read by a small shell of our own, which runs the package's
commands in this process: starting Python for each would take minutes.
"""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from UltrasoundLesionSegLib.cli.main import main as run_command_line

COMMAND = "ultrasound-lesion-seg"
# these fork processes of their own, which a process with threads of PyTorch must not
FORKING = ("UltrasoundLesionSegLib.training.simulated_clips",)
FORKING_COMMANDS = ("train",)
SECONDS = 300  # for a command in a process of its own
RUN = ("bash", "python")
SHOWN = ("text", "json", "csv")  # not code: output, files
_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>\w*)(?: (?P<file>\S+))?\n(?P<code>.*?)^```$",
    re.M | re.S,
)
_ASSIGNMENT = re.compile(r"([A-Z_]+)=(.*)", re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    language: str
    code: str
    file: str | None
    reason: str | None

    @property
    def runs(self) -> bool:
        return self.language in RUN and self.reason is None


def blocks_of(document: Path) -> list[Block]:
    return [
        Block(found["language"], found["code"], found["file"], found["reason"])
        for found in _BLOCK.finditer(document.read_text(encoding="utf-8"))
    ]


def indented_blocks_of(document: Path) -> list[str]:
    """Return code that stands in no fence, where ``blocks_of`` does not see it."""
    text = _BLOCK.sub("", document.read_text(encoding="utf-8"))
    return re.findall(r"\n\n    [^\n]+", text)


class Runner:
    """Runs blocks in one folder; names of Python blocks and variables of the shell live on from block to block."""

    def __init__(self, folder: Path, **names: Any) -> None:
        self.folder = folder
        self.names: dict[str, Any] = names
        self.environment = {"HOME": str(folder / "home")}

    def run(self, block: Block) -> None:
        if block.file:
            (self.folder / block.file).write_text(block.code, encoding="utf-8")
        if not block.runs:
            return
        with patch.dict(os.environ, self.environment):
            if block.language == "python":
                exec(compile(block.code, "<document>", "exec"), self.names)
            else:
                self._run_shell(block.code)

    def _run_shell(self, code: str) -> None:
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(os.path.expandvars(line), comments=True)
            assigned = [_ASSIGNMENT.fullmatch(word) for word in words if word != "export"]
            if words and all(assigned):
                for pair in filter(None, assigned):
                    self.environment[pair[1]] = os.environ[pair[1]] = os.path.expanduser(pair[2])
                continue
            if words:
                self._run_command([os.path.expanduser(word) for word in words])

    def _run_command(self, words: list[str]) -> None:
        if words[0] == COMMAND and words[1] in FORKING_COMMANDS:
            words = ["python", "-m", "UltrasoundLesionSegLib.cli.start", *words[1:]]
        if words[0] == COMMAND:
            self._in_process(run_command_line, words)
        elif words[:2] == ["python", "-m"] and words[2] not in (*FORKING, "UltrasoundLesionSegLib.cli.start"):
            self._in_process(lambda: runpy.run_module(words[2], run_name="__main__", alter_sys=True), words[2:])
        else:
            words = [sys.executable, *words[1:]] if words[0] == "python" else words
            done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, timeout=SECONDS)
            if done.returncode:
                raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}\n{done.stderr}")

    def _in_process(self, call: Any, arguments: list[str]) -> None:
        with patch.object(sys, "argv", arguments):
            try:
                call()
            except SystemExit as end:
                if end.code:
                    raise RuntimeError(f"{' '.join(arguments)}: exit {end.code}") from end
