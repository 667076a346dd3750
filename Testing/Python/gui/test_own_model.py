"""A model fitted to the reader's cases from the panel, by a real process with a tiny network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_bundle import write_tiny_bundle

from UltrasoundLesionSegLib.gui import adapt_process
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewState, SourceNote
from UltrasoundLesionSegLib.reader_work.results import no_masks
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.review.worklist import Worklist, begin

# small samples, a number of steps instead of minutes, and no judgement by chance
QUICK = """
import sys
sys.path.insert(0, {root!r})
from dataclasses import replace
from UltrasoundLesionSegLib.adaptation import clips, process, reviewed, runs
from UltrasoundLesionSegLib.adaptation.outcome import Outcome
clips.REHEARSED, clips.REHEARSED_FRAMES, clips.REHEARSED_SIZE, runs.BATCH = 1, 4, 64, 2
process.SECONDS_BETWEEN, whole = 0.0, reviewed.adapt
reviewed.adapt = lambda lesions, settings, *rest: whole(lesions, replace(settings, steps={steps}, workers=0), *rest)
Outcome.is_better = property(lambda self: {better})
process.main()
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``quick(steps, better)``: the process trains that many steps and comes to that judgement."""

    def make(steps: int, better: bool = False) -> None:
        code = QUICK.format(root=str(adapt_process._ROOT), steps=steps, better=better)
        monkeypatch.setattr(adapt_process, "_command", lambda: [sys.executable, "-c", code])

    return make


@pytest.fixture
def person(
    module: Any, cines: tuple[Path, NDArray[np.bool_]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], Any]:
    """``person(3)``: reader A, done with that many cases, before the part of the panel that trains."""
    from slicer_harness.user import User

    write_tiny_bundle(tmp_path / "tiny-models" / "tiny")
    monkeypatch.setenv("ULS_MODELS", str(tmp_path / "tiny-models"))
    source, truth = cines
    output = tmp_path / "out"
    begin(source, output)

    def done(cases: int) -> Any:
        worklist = Worklist(output, "A")
        for one in worklist.cases()[:cases]:
            cine = read_cine(worklist.source_of(one.name))
            note = SourceNote(cine.identity.digest, len(cine), cine.height, cine.width)
            anchors = [ReaderAnchor(frame, "Lesion", truth[frame], How.DRAWN) for frame in (0, 2, 4)]
            with worklist.open(one.name) as case:
                case.store(anchors, note, state=ReviewState.DONE, result=no_masks(note).with_anchors(anchors))
        module.open()
        user = User(module)
        user.see("worklistCollapsibleButton").setProperty("collapsed", False)
        user.type_into("worklistReaderEdit", "A")
        module.session.file_dialogs.waiting.append(str(output))
        user.click("worklistOpenButton")
        user.see("ownModelCollapsibleButton").setProperty("collapsed", False)
        user.choose("startModelComboBox", "tiny")
        user.type_into("ownModelNameEdit", "ours")
        return user

    return done


def is_over(user: Any) -> bool:
    return bool(user.read("adaptButton") == "Train")


def test_what_the_training_says_is_in_sight(
    person: Callable[[int], Any], low_window: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = person(3)
    monkeypatch.setattr(adapt_process, "_command", lambda: [sys.executable, "-c", "import time; time.sleep(600)"])
    area = low_window(user)
    area.ensureWidgetVisible(user.see("worklistOpenButton"), 0, 0)
    assert not user.sees("adaptLabel")
    user.click("adaptButton")
    user.wait_until(lambda: not user.see("adaptLabel").visibleRegion().isEmpty())
    area.ensureWidgetVisible(user.see("worklistOpenButton"), 0, 0)
    user.click("adaptButton")
    user.wait_until(lambda: not user.see("adaptLabel").visibleRegion().isEmpty())


@pytest.mark.slow
def test_a_model_is_trained_cancelled_gone_on_with_and_chosen(
    person: Callable[[int], Any], quick: Callable[..., None], tmp_path: Path
) -> None:
    user = person(3)
    quick(2)
    user.click("adaptButton")
    user.wait_until(lambda: is_over(user), 600)
    text = user.read("adaptLabel")
    assert text.startswith("No model was written, because none is shown to be better than tiny")
    assert "3 cases of which the patient is not known" in text
    assert not (tmp_path / "out" / "models").exists()

    quick(100_000)
    user.click("adaptButton")
    assert not user.module.widget.panel.busy, "the reader works on meanwhile"
    user.wait_until(lambda: user.read("adaptLabel").startswith("Training for fold 1 of 3"), 600)
    assert user.sees("adaptProgressBar")
    process = user.module.widget.panel.sections[1]._own_model._process._process
    user.click("adaptButton")
    assert process.poll() is not None
    assert user.read("adaptLabel").startswith("Cancelled; what is done is kept.")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "adapt" / "ours").glob("scores/start/*")}
    assert len(kept) == 3

    quick(2, better=True)
    user.click("adaptButton")
    user.wait_until(lambda: is_over(user), 600)
    assert user.read("adaptLabel").startswith("The model ours is better than tiny and was written; on 3 patients")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "nothing was scored twice"
    user.choose("modelComboBox", "tiny, adapted: ours")
    user.click("adaptButton")
    user.wait_until(lambda: is_over(user), 600)
    assert user.read("adaptLabel") == "There is a model named 'ours' already; give the new one another name."


def test_what_cannot_be_learnt_from_is_said(person: Callable[[int], Any], quick: Callable[..., None]) -> None:
    user = person(1)
    user.type_into("ownModelNameEdit", " ")
    user.click("adaptButton")
    assert user.read("adaptLabel").startswith("The new model has no name")
    user.type_into("ownModelNameEdit", "our own")
    user.click("adaptButton")
    assert is_over(user)
    user.type_into("ownModelNameEdit", "another")  # the module still knows the model "ours" of the test before
    quick(2)
    user.click("adaptButton")
    user.wait_until(lambda: is_over(user), 600)
    assert "there are lesions of 1 patient to learn from, but 3 are needed" in user.read("adaptLabel").lower()


def test_the_process_ends_with_the_panel(person: Callable[[int], Any], quick: Callable[..., None]) -> None:
    user = person(3)
    quick(100_000)
    user.click("adaptButton")
    process = user.module.widget.panel.sections[1]._own_model._process._process
    user.module.reload()
    assert process.poll() is not None


def test_nothing_is_offered_before_a_case_is_done(person: Callable[[int], Any]) -> None:
    assert not person(0).see("adaptButton").isEnabled()
