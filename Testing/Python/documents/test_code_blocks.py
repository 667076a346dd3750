"""Every code block of the documents runs as it is printed."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import slicer
from blocks import RUN, SHOWN, Runner, blocks_of, indented_blocks_of

from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(page.relative_to(ROOT).as_posix() for page in (*ROOT.glob("*.md"), *(ROOT / "Docs").rglob("*.md")))
FEWEST_RUN = {  # the pages whose blocks the tests below run
    "README.md": 2,
    "console": 6,
    "batch": 2,
    "dicom": 3,
    "models": 3,
    "segment": 1,
    "simulator": 2,
    "training": 9,
    "tutorial_study": 2,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like the checkout to the commands of the documents, and may be written to."""
    folder = tmp_path / "checkout"
    (folder / "home").mkdir(parents=True)
    shutil.copytree(ROOT / "Resources" / "Models", folder / "Resources" / "Models")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder / "home"))
    UltrasoundLesionWorkflow()  # starts slicer-core where no other test has
    slicer.mrmlScene.Clear(0)
    return folder


@pytest.fixture
def busbra(folder: Path) -> Path:
    """Eight stills of eight patients where the documents look for BUS-BRA."""
    data = folder / "busbra"
    rng = np.random.default_rng(1)
    rows = []
    for number in range(8):
        mask = np.zeros((150, 130), np.uint8)
        cv2.ellipse(mask, (60 + number, 70), (20, 15), 10 * number, 0, 360, 255, -1)
        image = np.where(mask > 0, 50, 130) + 12 * cv2.GaussianBlur(rng.normal(0, 2, mask.shape), (0, 0), 1.2)
        for kind, picture in (("images", np.clip(image, 0, 255).astype(np.uint8)), ("masks", mask)):
            (data / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(data / kind / f"s{number}.png"), picture)
        rows.append({"id": f"s{number}", "patient": number, "split": "train" if number < 3 else "val"})
    with (data / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["id", "patient", "split"])
        writer.writeheader()
        writer.writerows(rows)
    return data


def run_page(name: str, folder: Path) -> Runner:
    runner = Runner(folder)
    for block in blocks_of(ROOT / name):
        runner.run(block)
    return runner


@pytest.mark.parametrize("name", PAGES)
def test_every_block_says_what_it_is(name: str) -> None:
    blocks = blocks_of(ROOT / name)
    assert {block.language for block in blocks} <= {*RUN, *SHOWN}, "a block has no language, or one that no test knows"
    assert indented_blocks_of(ROOT / name) == [], "code stands in no fence"
    assert sum("```" in line for line in (ROOT / name).read_text().splitlines()) == 2 * len(blocks)
    key = Path(name).stem if name.startswith("Docs") else name
    run = sum(block.runs for block in blocks)
    assert run >= FEWEST_RUN[key] if key in FEWEST_RUN else run == 0, "a block is not run, and does not say why"


def test_tutorial_of_a_study(folder: Path) -> None:
    run_page("Docs/tutorial_study.md", folder)
    with (folder / "out" / "cases.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert {row["state"] for row in rows} == {"done"}


def test_readme(folder: Path) -> None:
    run_page("README.md", folder)
    assert (folder / "result" / "run.json").is_file()
    assert (folder / "result_python" / "measurements.csv").is_file()


def test_segment(folder: Path) -> None:
    run_page("Docs/segment.md", folder)
    assert len(list((folder / "clip_result" / "masks").glob("*.png"))) == 8


def test_console(folder: Path) -> None:
    names = run_page("Docs/console.md", folder).names
    assert len(list((folder / "results" / "masks").glob("*.png"))) == 12
    assert (folder / "results" / "segmentation.dcm").stat().st_size > 0
    masks, table = names["masks"], names["table"]
    assert masks.shape[0] == len(table) == 12
    np.testing.assert_allclose(table["area_mm2"], masks.sum(axis=(1, 2)) * 0.01)
    assert names["one"].any()
    np.testing.assert_array_equal(names["one"], names["back"])
    summary = names["measured"].lesion_rows()[0].summary
    assert summary.frames_measured == 12
    assert np.isfinite(summary.long_axis_there)


def test_batch(folder: Path) -> None:
    result = run_page("Docs/batch.md", folder).names["result"]
    assert not result.failed
    assert (folder / "out" / "index.html").is_file()


def test_dicom(folder: Path) -> None:
    run_page("Docs/dicom.md", folder)
    for name in ("seg.dcm", "sr.dcm", "clip.dcm"):
        assert (folder / name).stat().st_size > 0


def test_models(folder: Path) -> None:
    run_page("Docs/models.md", folder)
    assert len(list((folder / "masks").glob("*.png"))) == 8
    assert len(list((folder / "suggested").glob("*.png"))) == 8
    assert (folder / "my_models" / "stm_light" / "models" / "model.safetensors").is_file()


def test_simulator(folder: Path) -> None:
    run_page("Docs/simulator.md", folder)
    assert (folder / "somewhere" / "cine.dcm").is_file()


def test_training(folder: Path, busbra: Path) -> None:
    run_page("Docs/training.md", folder)
    assert (folder / "results" / "hard" / "table.md").is_file()
    assert (folder / "runs" / "on_videos" / "checkpoint.pt").is_file()
    assert (folder / "home" / "uls" / "models" / "my_model" / "models" / "model.safetensors").is_file()
