"""A reader's done cases of a batch folder become lesions to learn from; the command writes a model or says why not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from UltrasoundLesionSegLib.adaptation import clips, reviewed, runs
from UltrasoundLesionSegLib.adaptation.reviewed import reviewed_lesions
from UltrasoundLesionSegLib.batch.folder import BatchFolder
from UltrasoundLesionSegLib.batch.manifest import BatchCase, ListedCase, read_listed, write_listed
from UltrasoundLesionSegLib.cine import Cine
from UltrasoundLesionSegLib.cli import main as cli
from UltrasoundLesionSegLib.dicom.patient import SIMULATED_PATIENT
from UltrasoundLesionSegLib.dicom.ultrasound_image import with_frame_rate, write_ultrasound_image
from UltrasoundLesionSegLib.errors import BatchError, FrameError, ReviewError
from UltrasoundLesionSegLib.reader_work.record import How, ReaderAnchor, ReviewState, SourceNote
from UltrasoundLesionSegLib.reader_work.results import no_masks
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder
from UltrasoundLesionSegLib.reader_work.work import Work
from UltrasoundLesionSegLib.readers.dicom_identity import patient_digest
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.review.case_cines import CaseCines

MovingDisc = Callable[[int], tuple[np.ndarray, np.ndarray]]
OUTLINED = (1, 4, 6)


class Study:
    """A batch folder in which reader A is done with every case."""

    def __init__(self, folder: Path, moving_disc: MovingDisc) -> None:
        self.out, self._folder, self._moving_disc = folder / "out", folder, moving_disc
        self._listed: list[ListedCase] = []

    def add(self, number: int, patient: str = "", dicom_id: str = "", outlined: tuple[int, ...] = OUTLINED) -> Path:
        """Add a case of PNG frames, or of a DICOM object with a Patient ID; returns its source."""
        frames, masks = self._moving_disc(number)
        source = self._folder / f"cine{number}"
        if dicom_id:
            source = source.with_suffix(".dcm")
            whose = replace(SIMULATED_PATIENT, patient_id=dicom_id)
            timed = with_frame_rate(Cine.from_array(frames), 20)
            write_ultrasound_image(timed, source, whose, body_part="BREAST", laterality="L")
        else:
            source.mkdir()
            for index, frame in enumerate(frames):
                Image.fromarray(frame).save(source / f"{index}.png")
        case = f"case-{number:04d}"
        self._listed.append(ListedCase(BatchCase(source, name=case, patient=patient), "done"))
        write_listed(BatchFolder(self.out).sources, self._listed)
        cine = read_cine(source)
        note = SourceNote(cine.identity.digest, len(cine), *cine.shape)
        anchors = [ReaderAnchor(frame, "Lesion", masks[frame], How.DRAWN) for frame in outlined]
        work = ReviewFolder(self.out).work("A", case)
        with work.hold() as hold:
            done = no_masks(note).with_anchors(anchors)
            work.store(hold, Work(note, anchors, state=ReviewState.DONE, result=done))
        return source


@pytest.fixture
def study(tmp_path: Path, moving_disc: MovingDisc) -> Study:
    return Study(tmp_path, moving_disc)


def test_patients_are_known_by_the_manifest_or_by_dicom(study: Study) -> None:
    study.add(0, patient="p7")
    study.add(1, dicom_id="ID-1")
    study.add(2, dicom_id="ID-1")
    study.add(3, dicom_id="ID-2", patient="p7")  # the manifest goes before
    study.add(4)
    found = reviewed_lesions(study.out, "A")
    assert [(one.name, one.patient) for one in found.lesions] == [
        ("case-0000-1", "patient-1"),
        ("case-0001-1", "patient-2"),
        ("case-0002-1", "patient-2"),
        ("case-0003-1", "patient-1"),
        ("case-0004-1", "patient-3"),
    ]
    (note,) = found.notes
    assert note.startswith("1 case of which the patient is not known")
    assert [sorted(one.masks) for one in found.lesions] == [[0, 3, 5]] * 5
    assert read_listed(BatchFolder(study.out).sources)[0].case.patient == "p7"


def test_a_digest_tells_patients_apart_and_says_no_id(study: Study) -> None:
    one, same, other = (study.add(number, dicom_id=who) for number, who in enumerate(("A-1", "A-1", "B-1")))
    digests = [patient_digest(path) for path in (one, same, other)]
    assert digests[0] == digests[1] != digests[2]
    assert "A-1" not in str(digests[0])
    assert patient_digest(study.add(3) / "0.png") is None
    assert patient_digest(study.out / "nowhere.dcm") is None


def test_what_cannot_be_learnt_from_is_counted(study: Study) -> None:
    gone, changed = study.add(0, patient="a"), study.add(1, patient="b")
    study.add(2, patient="c", outlined=(3,))
    study.add(3, patient="d")
    study.add(5, patient="f")
    (study.out / "review" / "A" / "case-0005" / "review.json").write_text("{")
    for path in gone.iterdir():
        path.unlink()
    Image.fromarray(np.zeros((96, 120), np.uint8)).save(changed / "0.png")
    found = reviewed_lesions(study.out, "A")
    assert [one.name for one in found.lesions] == ["case-0003-1"]
    assert [note.partition(" left")[0] for note in found.notes] == ["1 case", "2 done cases", "1 lesion"]
    with pytest.raises(ReviewError, match="the readers are: A"):
        reviewed_lesions(study.out, "B")
    BatchFolder(study.out).sources.unlink()
    with pytest.raises(BatchError, match=r"key/sources\.csv"):
        reviewed_lesions(study.out, "A")


def test_cines_that_moved_are_found_by_their_content_or_asked_for(study: Study, tmp_path: Path) -> None:
    for number, source in enumerate([study.add(0), study.add(1, dicom_id="X"), study.add(2)]):
        moved = tmp_path / "new disk" / "2026" / f"other name {number}{source.suffix}"
        moved.parent.mkdir(parents=True, exist_ok=True)
        source.rename(moved)
    with pytest.raises(ReviewError, match="--sources"):
        reviewed_lesions(study.out, "A")
    found = reviewed_lesions(study.out, "A", CaseCines(study.out, tmp_path / "new disk"))
    assert [one.name for one in found.lesions] == ["case-0000-1", "case-0001-1", "case-0002-1"]
    study.add(3)
    (note,) = reviewed_lesions(study.out, "A").notes[:1]
    assert note.startswith("3 done cases left out")
    assert "--sources" in note
    assert "worklist" in note


class OneFrameTorn:
    """Frames of which one cannot be read."""

    def __init__(self, frames: np.ndarray, torn: int) -> None:
        self._frames, self._torn = frames, torn

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int, /) -> np.ndarray:
        if index == self._torn:
            raise FrameError(index, "it is torn")
        return self._frames[index]


@pytest.mark.parametrize(("torn", "kept"), [(3, 0), (7, 1)])
def test_a_frame_that_cannot_be_read_costs_its_own_lesion_alone(
    study: Study, moving_disc: MovingDisc, monkeypatch: pytest.MonkeyPatch, torn: int, kept: int
) -> None:
    study.add(0, patient="a")
    whole = Cine.from_array(moving_disc(0)[0])
    damaged = replace(whole, frames=OneFrameTorn(moving_disc(0)[0], torn))
    monkeypatch.setattr(CaseCines, "cine", lambda self, case, sha256=None: damaged)
    found = reviewed_lesions(study.out, "A")
    assert len(found.lesions) == kept  # frame 7 is beyond the last outline: nobody needs it
    assert any("cannot be read" in note for note in found.notes) == (not kept)


def test_the_command_says_what_it_found(
    study: Study, tiny_model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        study.add(number, patient=f"p{number}")
    monkeypatch.setattr(clips, "REHEARSED", 1)
    monkeypatch.setattr(clips, "REHEARSED_FRAMES", 4)
    monkeypatch.setattr(clips, "REHEARSED_SIZE", 64)
    monkeypatch.setattr(runs, "BATCH", 2)
    monkeypatch.setattr(reviewed, "SECONDS_BETWEEN", 0.0)
    quick = reviewed.adapt

    def of_two_steps(lesions: object, settings: object, *rest: object) -> object:
        return quick(lesions, replace(settings, steps=2), *rest)  # type: ignore[arg-type, type-var]

    monkeypatch.setattr(reviewed, "adapt", of_two_steps)
    arguments = ["adapt", str(study.out), "--reader", "A", "--from", tiny_model, "--name", "own", "--workers", "0"]
    monkeypatch.setattr(sys, "argv", ["ultrasound-lesion-seg", *arguments, "--device", "cpu"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    out, err = capsys.readouterr()
    assert not stopped.value.code, err
    assert "on 3 patients that it had not seen" in out
    work = study.out / "adapt" / "own"
    assert json.loads((work / "progress.json").read_text())["share"] == 1
    written = (study.out / "models" / "own" / "models" / "model.safetensors").is_file()
    assert written == json.loads((work / "outcome.json").read_text())["is_better"]
    everything = "".join(path.read_text() for path in work.rglob("*") if path.is_file())
    assert str(study.out.parent) not in everything


LAUNCHED = """
import sys
from dataclasses import replace
from UltrasoundLesionSegLib.adaptation import clips, reviewed, runs
assert "slicer" not in sys.modules, "fitting a model needs no MRML, which takes seconds to load"
clips.REHEARSED, clips.REHEARSED_FRAMES, clips.REHEARSED_SIZE = 1, 4, 64
runs.BATCH, reviewed.SECONDS_BETWEEN, quick = 2, 0.0, reviewed.adapt
reviewed.adapt = lambda lesions, settings, *rest: quick(lesions, replace(settings, steps=STEPS), *rest)
from UltrasoundLesionSegLib.cli.main import main
main()
"""


def command(study: Study, model: str, folder: Path, steps: int, name: str = "own") -> list[str]:
    """Return a script with its arguments that is the command with small samples and a number of steps."""
    script = folder / "launched.py"
    script.write_text(LAUNCHED.replace("STEPS", str(steps)))
    arguments = ["adapt", str(study.out), "--reader", "A", "--from", model, "--name", name]
    return [str(script), *arguments, "--workers", "0", "--device", "cpu"]


@pytest.mark.slow
def test_a_killed_process_is_gone_on_with(study: Study, tiny_model: str, tmp_path: Path) -> None:
    for number in range(3):
        study.add(number, patient=f"p{number}")
    line = [sys.executable, *command(study, tiny_model, tmp_path, steps=30)]
    work = study.out / "adapt" / "own"
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + 600
        while not (work / "progress.json").is_file() or "fold 2" not in (work / "progress.json").read_text():
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    before = {path: path.stat().st_mtime_ns for path in work.glob("scores/*/*.json")}
    assert {path.parent.name for path in before} == {"start", "fold-1"}
    assert (work / "clips").is_dir()
    ended = subprocess.run(line, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "on 3 patients that it had not seen" in ended.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before  # nothing was scored twice
    assert not (work / "clips").exists()
    undisturbed = [sys.executable, *command(study, tiny_model, tmp_path, steps=30, name="other")]
    assert subprocess.run(undisturbed, capture_output=True, timeout=600, check=False).returncode == 0
    figures = [json.loads((study.out / "adapt" / name / "outcome.json").read_text()) for name in ("own", "other")]
    assert {**figures[0], "name": "other"} == figures[1]


@pytest.mark.slow
def test_two_processes_adapt_together(study: Study, tiny_model: str, tmp_path: Path) -> None:
    for number in range(3):
        study.add(number, patient=f"p{number}")
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launcher += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    ended = subprocess.run(
        [*launcher, *command(study, tiny_model, tmp_path, steps=3)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("on 3 patients that it had not seen") == 1  # one process speaks
    assert json.loads((study.out / "adapt" / "own" / "outcome.json").read_text())["steps"] == 3


BAD_CALLS = {
    "no such folder": ({"OUT": "nowhere"}, "the folder is no batch's output"),
    "a folder of cines": ({"OUT": "cine0"}, "the folder is no batch's output"),
    "a file": ({"OUT": "cine0/0.png"}, "the folder is no batch's output"),
    "a name with a path": ({"--name": "../own"}, "the model's name cannot be a folder's"),
    "no name": ({"--name": ""}, "the model's name cannot be a folder's"),
    "a name that is taken": ({"--name": "tiny"}, "there is a model named 'tiny' already"),
    "no minute": ({"--minutes": "0"}, "the value of --minutes cannot be used: it should be greater than or equal to 1"),
    "a device that is not there": ({"--device": "abacus"}, "the device 'abacus' is unknown"),
    "a reader whom nobody knows": ({"--reader": "Z"}, "the folder has no work of reader 'Z'; the readers are: A, B"),
    "a person's name": ({"--reader": "Jane Doe"}, "the reader's code is not usable"),
    "a reader with no case": ({"--reader": "B"}, "lesions of 0 patients to learn from, but 3 are needed"),
    "a reader with too few cases": ({}, "lesions of 1 patient to learn from, but 3 are needed"),
    "a model that is not there": ({"--from": "other"}, "the model 'other' is unknown"),
    "a model that suggests": ({"--from": "bas_s"}, "is made to suggest, not to propagate; choose one of: "),
    "no folder of sources": ({"--sources": "nowhere"}, "the folder to look for moved cines in is not there"),
    "a file for the models": ({"--models": "cine0/0.png"}, "the folder for the models cannot be written"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_a_call_that_cannot_work_is_one_sentence_and_leaves_nothing(
    study: Study,
    tiny_model: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    study.add(0, patient="p0")
    (study.out / "review" / "B").mkdir()
    changed, said = BAD_CALLS[name]
    call = {"OUT": "out", "--reader": "A", "--from": tiny_model, "--name": "own", "--workers": "0"} | changed
    for what in {"OUT", "--sources", "--models"} & call.keys():
        call[what] = str(tmp_path / call[what])
    arguments = [call.pop("OUT"), *(part for option in call.items() for part in option)]
    monkeypatch.setattr(sys, "argv", ["ultrasound-lesion-seg", "adapt", *arguments])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert said in err
    assert "\n" not in err.strip()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
