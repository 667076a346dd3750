"""A simulation on disk: the cine in four formats, the truth beside it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image

from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.readers.dicom_identity import patient_digest
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.write import SimulationFormat, write_simulation

SETTINGS = SimulationSettings(seed=4, frames=6, height=96, width=112, lesions=2)


@pytest.mark.parametrize("kind", ["dicom", "avi", "davis", "nrrd"])
def test_cine_and_truth_are_read_back(tmp_path: Path, kind: SimulationFormat) -> None:
    simulated = simulate_cine(SETTINGS)
    back = read_cine(write_simulation(simulated, tmp_path, kind))
    assert len(back) == 6
    assert np.abs(back.frames[5].astype(int) - simulated.cine.frames[5]).mean() < 4
    masks = sorted((tmp_path / "truth").iterdir())
    assert [path.name for path in masks] == [f"{index:05d}.png" for index in range(6)]
    labels = np.asarray(Image.open(masks[5]))
    for lesion, mask in enumerate(simulated.truth[5], start=1):
        np.testing.assert_array_equal(labels == lesion, mask)


def test_every_seed_is_another_patient(tmp_path: Path) -> None:
    patients = []
    for number, seed in enumerate((4, 4, 5)):
        simulated = simulate_cine(SimulationSettings(seed=seed, frames=2, height=64, width=64))
        patients.append(patient_digest(write_simulation(simulated, tmp_path / str(number))))
    assert patients[0] == patients[1] != patients[2]


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="choose one of dicom, avi, davis, nrrd"):
        write_simulation(simulate_cine(SETTINGS), tmp_path, cast(SimulationFormat, "gif"))
    assert not list(tmp_path.iterdir())


def test_a_shorter_simulation_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    for frames in (6, 4):
        simulated = simulate_cine(SimulationSettings(seed=4, frames=frames, height=96, width=112))
        cine = write_simulation(simulated, tmp_path, "davis")
    assert len(read_cine(cine)) == 4
    for folder in (tmp_path / "truth", tmp_path / "Annotations" / "cine"):
        assert len(list(folder.iterdir())) == 4


@pytest.mark.parametrize("own", ["cine.avi", "truth/00007.png"])
def test_what_is_no_simulations_is_not_replaced(tmp_path: Path, own: str) -> None:
    (tmp_path / own).parent.mkdir(exist_ok=True)
    (tmp_path / own).write_text("a user's own file")
    with pytest.raises(OutputError, match="is no simulation's and would be replaced; choose another folder"):
        write_simulation(simulate_cine(SETTINGS), tmp_path, "dicom")
    assert (tmp_path / own).read_text() == "a user's own file"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / own]


def test_an_earlier_simulation_is_replaced(tmp_path: Path) -> None:
    simulated = simulate_cine(SETTINGS)
    kinds: tuple[SimulationFormat, ...] = ("avi", "avi", "dicom")
    for kind in kinds:
        assert write_simulation(simulated, tmp_path, kind).exists()
