"""``python -m monai.bundle run`` on a folder of frames and a seed, for every bundle that is shipped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from monai.bundle import run
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.engine.bundle_writing import run_section, save_weights, write_bundle
from UltrasoundLesionSegLib.engine.bundles import CLICK, PROPAGATE, find_bundle, list_bundles
from UltrasoundLesionSegLib.simulation.cine import SimulatedCine, SimulationSettings, simulate_cine

FRAMES, SEED_FRAME = 6, 2
SHIPPED = sorted(bundle.name for bundle in list_bundles())


@pytest.fixture(scope="module")
def simulated() -> SimulatedCine:
    return simulate_cine(SimulationSettings(seed=4, frames=FRAMES, height=128, width=160))


@pytest.fixture(scope="module")
def folder(simulated: SimulatedCine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``frames/`` and ``seed.png``, as a person has them."""
    folder = tmp_path_factory.mktemp("clip")
    (folder / "frames").mkdir()
    for frame in range(FRAMES):
        Image.fromarray(simulated.cine.frames[frame]).save(folder / "frames" / f"{frame:03d}.png")
    Image.fromarray(simulated.truth[SEED_FRAME].any(axis=0).astype(np.uint8) * 255).save(folder / "seed.png")
    return folder


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return 2 * int((found & truth).sum()) / int(found.sum() + truth.sum())


def masks_in(output: Path) -> list[NDArray[np.bool_]]:
    files = sorted(output.iterdir())
    assert [file.name for file in files] == [f"{frame:05d}.png" for frame in range(FRAMES)]
    return [np.asarray(Image.open(file)) > 0 for file in files]


def arguments(name: str, folder: Path, output: Path) -> dict[str, object]:
    bundle = find_bundle(name)
    given: dict[str, object] = {
        "config_file": str(bundle.folder / "configs" / "inference.json"),
        "bundle_root": str(bundle.folder),
        "frames": str(folder / "frames"),
        "output": str(output),
    }
    if bundle.role == PROPAGATE:
        given |= {"seed": str(folder / "seed.png"), "seed_frame": SEED_FRAME}
    if bundle.role == CLICK:
        seed = np.asarray(Image.open(folder / "seed.png")) > 0
        given |= {"point": [float(place.mean()) for place in seed.nonzero()], "point_frame": SEED_FRAME}
    return given


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_bundle_segments_a_folder_of_frames(
    name: str, simulated: SimulatedCine, folder: Path, tmp_path: Path
) -> None:
    run(**arguments(name, folder, tmp_path / "masks"))
    if find_bundle(name).role == CLICK:
        assert [file.name for file in (tmp_path / "masks").iterdir()] == [f"{SEED_FRAME:05d}.png"]
        return
    masks = masks_in(tmp_path / "masks")
    truth = [np.logical_or.reduce(simulated.truth[frame]) for frame in range(FRAMES)]
    if find_bundle(name).role == PROPAGATE:
        np.testing.assert_array_equal(masks[SEED_FRAME], truth[SEED_FRAME])
        assert min(dice(mask, true) for mask, true in zip(masks, truth, strict=True)) > 0.75
    else:
        assert all(mask.any() for mask in masks)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_bundle_has_the_section_that_new_ones_get(name: str) -> None:
    bundle = find_bundle(name)
    described = json.loads((bundle.folder / "configs" / "inference.json").read_text())
    expected = run_section(bundle.role)
    assert {key: described.get(key) for key in expected} == expected


def test_a_model_that_draws_from_clicks_writes_the_clicked_frame(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ULS_MODELS", str(tmp_path))
    network = {"_target_": "UltrasoundLesionSegLib.engine.networks.bas.BasClick", "channels": [8, 12, 16]}
    write_bundle(tmp_path / "tiny_click", network | {"blocks": [1, 1, 1]}, "Tiny", "A small network.")
    save_weights(tmp_path / "tiny_click", find_bundle("tiny_click").build_network())
    given = arguments("tiny_click", folder, tmp_path / "masks")
    run(**given)
    assert [file.name for file in (tmp_path / "masks").iterdir()] == [f"{SEED_FRAME:05d}.png"]
    for change, sentence in (
        ({"point": []}, "--point"),
        ({"point": [1, 999]}, "outside"),
        ({"point_frame": 99}, "no frame 99"),
    ):
        with pytest.raises(SystemExit, match=sentence):
            run(**(given | change))


def test_the_command_as_documented(folder: Path, tmp_path: Path) -> None:
    bundle = find_bundle("bas_s_propagate")
    command = [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", "--config_file", "configs/inference.json"]
    command += ["--frames", str(folder / "frames"), "--seed", str(folder / "seed.png"), "--seed_frame", str(SEED_FRAME)]
    command += ["--output", str(tmp_path / "masks")]
    subprocess.run(command, cwd=bundle.folder, check=True, capture_output=True, env=os.environ, timeout=120)
    assert masks_in(tmp_path / "masks")[0].any()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seed": ""}, "needs a seed"),
        ({"seed_frame": 99}, "99"),
        ({"frames": "absent"}, "error: "),
    ],
)
def test_what_cannot_work_ends_in_one_sentence(
    folder: Path, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    with pytest.raises(SystemExit, match=sentence):
        run(**(arguments("bas_s_propagate", folder, tmp_path / "masks") | change))
    assert not (tmp_path / "masks").exists()
