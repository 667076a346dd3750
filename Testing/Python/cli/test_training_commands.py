"""``train`` from the shell: one sentence for every mistake, with nothing of a path in it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny_bundle import write_untrained_bundle

from UltrasoundLesionSegLib.cli import training_commands

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder with a tiny model to train, and two stills."""
    write_untrained_bundle(tmp_path / "tiny", [{"steps": 2, "batch": 2, "sample": {"frames": 3, "size": 32}}])
    rng = np.random.default_rng(1)
    for name in ("images", "masks"):
        (tmp_path / "stills" / name).mkdir(parents=True)
    with (tmp_path / "stills" / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "patient", "split"])
        for number, split in enumerate(("train", "val")):
            mask = np.zeros((120, 110), np.uint8)
            cv2.ellipse(mask, (55, 60), (22, 15), 30, 0, 360, 255, -1)
            image = np.clip(130 - 80 * (mask > 0) + rng.normal(0, 20, mask.shape), 0, 255).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "stills" / "images" / f"s{number}.png"), image)
            cv2.imwrite(str(tmp_path / "stills" / "masks" / f"s{number}.png"), mask)
            writer.writerow([f"s{number}", f"p{number}", split])
    return tmp_path


def command(made: Path, **others: object) -> list[object]:
    options = {"config": made / "tiny" / "configs" / "train.json", "data": made / "stills", "output": made / "run"}
    given = {**options, "workers": 0, "threads": 1, **others}
    return ["train", *(part for name, value in given.items() for part in (f"--{name}", value))]


def test_a_model_is_trained_and_the_same_command_finds_nothing_left(run: Run, made: Path) -> None:
    code, out, said = run(*command(made))
    assert (code, said) == (0, "")
    assert "step 2/2: loss" in out
    assert (made / "run" / "checkpoint.pt").is_file()
    code, out, _ = run(*command(made))
    assert code == 0
    assert "step" not in out


def damaged(made: Path, kind: str) -> dict[str, object]:
    """Return options that name something of which one thing is wrong."""
    folder = made / "wrong"
    folder.mkdir()
    if kind in ("no json", "no section"):
        (folder / "train.json").write_text("{" if kind == "no json" else "{}")
        return {"config": folder / "train.json"}
    if kind == "no clips":
        return {"clips": folder}
    if kind in ("clip of text", "clip of colours"):
        (folder / "a.npz").write_bytes(b"PK no zip")
        if kind == "clip of colours":
            np.savez(folder / "a.npz", frames=np.zeros((4, 9, 9, 3), np.uint8), masks=np.zeros((4, 9, 9), bool))
        return {"clips": folder}
    if kind == "binary index":
        (folder / "index.csv").write_bytes(b"\xff\xfe\x00\x01")
        return {"data": folder}
    if kind == "text checkpoint":
        (folder / "checkpoint.pt").write_text("no checkpoint")
        return {"start": folder / "checkpoint.pt"}
    state = torch.nn.Linear(2, 2).state_dict()
    torch.save({"step": 1, "network": state, "average": state, "optimizer": {}}, folder / "checkpoint.pt")
    return {"output": folder}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no json", ["training configuration is not valid"]),
        ("no section", ["training configuration is not valid", "'train'"]),
        ("no clips", ["no clip"]),
        ("clip of text", ["clip to train on cannot be read"]),
        ("clip of colours", ["not grey frames"]),
        ("binary index", ["index.csv"]),
        ("text checkpoint", ["checkpoint cannot be read"]),
        ("other network", ["checkpoint of another network"]),
    ],
)
def test_a_damaged_input_is_named_in_one_sentence(run: Run, made: Path, kind: str, words: list[str]) -> None:
    refused(run(*command(made, **damaged(made, kind))), made, words)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("config", "nowhere/train.json", ["cannot be opened", "train.json"]),
        ("data", "nowhere", ["no index.csv"]),
        ("clips", "nowhere", ["no clip"]),
        ("start", "nowhere/checkpoint.pt", ["no checkpoint.pt"]),
        ("trunk", "nowhere.safetensors", ["no trunk"]),
        ("set", "stages.0.batch=0", ["batch"]),
        ("set", "stages.0.sample.frames=2", ["at least 3 frames"]),
        ("precision", "fp16", ["--precision fp16"]),
        ("output", "stills/index.csv", ["cannot be written"]),
    ],
)
def test_a_wrong_option_is_named_in_one_sentence(
    run: Run, made: Path, option: str, value: str, words: list[str]
) -> None:
    if option == "precision" and torch.cuda.is_available():
        pytest.skip("a GPU computes in fp16")
    given: object = value if option in ("set", "precision") else made / value
    refused(run(*command(made, **{option: given})), made, words)


def test_without_the_training_tools_the_command_says_how_to_get_them(
    run: Run, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_commands, "find_spec", lambda name: None)
    refused(run(*command(made)), made, ["training tools are not installed", "pip install"])


def test_ctrl_c_says_that_the_run_goes_on_later(run: Run, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from UltrasoundLesionSegLib.training import train

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "run_training", stopped)
    code, _, said = run(*command(made))
    assert code == 130
    assert "goes on from the last checkpoint" in said


def refused(ended: tuple[int, str, str], made: Path, words: list[str]) -> None:
    code, _, said = ended
    assert code == 2, said
    (sentence,) = said.strip().splitlines()
    assert sentence.startswith("error: ")
    assert str(made) not in sentence
    for word in words:
        assert word in sentence
