"""Cases in a row, and propagations in a row, leave a process as they found it. ``Testing/Drills/soak.py`` runs more."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from process_state import ProcessState, held
from stand_in_networks import BrightNetwork

from UltrasoundLesionSegLib.errors import SeedError
from UltrasoundLesionSegLib.mrml.scene_file import load_scene
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.write import SimulationFormat, write_simulation
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.case import run_case
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest, SeedFileRequest
from UltrasoundLesionSegLib.writers.masks import write_davis


def test_what_is_opened_is_seen_although_files_and_threads_of_others_end(
    logic: UltrasoundLesionWorkflow, tmp_path: Path
) -> None:
    end_other, end_own = threading.Event(), threading.Event()
    other = threading.Thread(target=end_other.wait)
    own = threading.Thread(target=end_own.wait)
    other_file = (tmp_path / "other").open("w")
    other.start()
    others = held()
    before = ProcessState.now(others)

    end_other.set()
    other.join()
    other_file.close()
    assert not ProcessState.now(others).growth_since(before)
    with (tmp_path / "own").open("w"):  # takes the number of the file that was closed
        own.start()
        grown = ProcessState.now(others).growth_since(before)
    end_own.set()
    own.join()
    assert grown == {"files": 1, "threads": 1}


def test_six_cases_in_a_row_leave_nothing(
    logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork, tmp_path: Path
) -> None:
    sources = []
    kinds: tuple[SimulationFormat, ...] = ("dicom", "avi")
    for number, kind in enumerate(kinds):
        simulated = simulate_cine(SimulationSettings(seed=number, frames=3, height=64, width=80))
        cine = write_simulation(simulated, tmp_path / kind, kind)
        seeds = write_davis(tmp_path / kind / "seed", simulated.truth.__getitem__, 1)
        sources.append((cine, seeds[0]))
    misfit = write_davis(tmp_path / "misfit", lambda _frame: np.ones((1, 50, 80), bool), 1)[0]

    states = []
    others = held()  # Qt ends the threads of its pool half a minute after the last test of the panel
    for number in range(6):
        cine, seed = sources[number % 2]
        fails = number == 3
        request = CaseRequest(cine, tmp_path / str(number), (SeedFileRequest(misfit if fails else seed),))
        if fails:
            with pytest.raises(SeedError):
                run_case(request)
        else:
            run_case(request)
        states.append(ProcessState.now(others))
    for state in states[2:]:  # each kind of source has been there once
        assert not state.growth_since(states[1])
    assert len(load_scene(tmp_path / "5" / "scene.mrb")) == 1  # this case's cine, not the ones before it


def test_five_propagations_of_one_cine_leave_no_orphans(
    logic: UltrasoundLesionWorkflow, bright_model: BrightNetwork, discs: tuple[Any, NDArray[np.bool_]]
) -> None:
    browser, truth = discs
    states = []
    others = held()
    for number in range(5):
        frame = 5 * number % len(truth)
        logic.setSeed(browser, truth[frame][0], frame=frame)
        if number >= 2:
            logic.releaseAnchor(browser, 5 * (number - 2) % len(truth))
        assert logic.propagate(browser).frames_computed
        logic.measure(browser)
        if number == 3:
            logic.undoPropagation(browser)
        states.append(ProcessState.now(others))
    for state in states[1:]:
        assert not state.growth_since(states[0])
