"""A reader's done cases of a batch -> outlined lesions, and the adaptation to them."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from UltrasoundLesionSegLib.adaptation.adapt import adapt
from UltrasoundLesionSegLib.adaptation.lesions import OutlinedLesion, outlined_lesion
from UltrasoundLesionSegLib.adaptation.outcome import Outcome
from UltrasoundLesionSegLib.adaptation.request import AdaptProgress, AdaptSettings, Tell, check_patients, checked_start
from UltrasoundLesionSegLib.batch.manifest import check_name
from UltrasoundLesionSegLib.cine import Cine, Mask, SourceKind
from UltrasoundLesionSegLib.errors import FrameError, ModelError, OutputError, ReviewError
from UltrasoundLesionSegLib.reader_work.record import ReaderAnchor, ReviewState
from UltrasoundLesionSegLib.reader_work.store import ReviewFolder
from UltrasoundLesionSegLib.readers.dicom_identity import patient_digest
from UltrasoundLesionSegLib.report.wording import counted
from UltrasoundLesionSegLib.review.case_cines import CaseCines
from UltrasoundLesionSegLib.writers.atomic import atomic_path
from UltrasoundLesionSegLib.writers.system_lock import try_lock

FOLDER, MODELS = "adapt", "models"  # in the batch's folder
PROGRESS = "progress.json"
SECONDS_BETWEEN = 1.0  # of two writings of the progress
MOVED = "name the folder it was moved to with --sources, or open the case in Slicer's worklist, which asks for it"
NOTES = {  # what is counted, and what is said of it
    "damaged": ("case", "left out, because the files of the reader's work are damaged"),
    "missing": ("done case", f"left out, because the cine is not where it was; {MOVED}"),
    "changed": ("done case", "left out, because the source has changed or cannot be read"),
    "few": ("lesion", "left out, because it is outlined on fewer than two frames or never visible"),
    "unreadable": ("lesion", "left out, because a frame of the cine cannot be read"),
    "unknown": (
        "case",
        "of which the patient is not known, so that each source counts as a patient of its own: where a patient has "
        "several, the figures are too good (the manifest's column 'patient' tells them apart)",
    ),
}


@dataclass(frozen=True)
class Reviewed:
    """What a reader's work gives to learn from.

    Parameters
    ----------
    lesions : list of OutlinedLesion
    notes : list of str
        What a person should know: one sentence each.
    """

    lesions: list[OutlinedLesion]
    notes: list[str]


def reviewed_lesions(output: Path, reader: str, cines: CaseCines | None = None) -> Reviewed:
    """Return the lesions of a reader's done cases with everything that the reader outlined or confirmed.

    Patients are distinguished by the manifest's column ``patient``, else by the digest of DICOM's Patient ID; a source
    that says nothing counts as a patient of its own. Here they are numbers.

    Parameters
    ----------
    output : Path
        Folder of a batch.
    reader : str
    cines : CaseCines, optional
        Where the batch's cines are; where its key says, when left out.

    Raises
    ------
    ReviewError
        When the reader is unknown, or the cine of no done case is found.
    BatchError
        When the folder has no list of sources.
    """
    cines = cines or CaseCines(output)
    listed = cines.listed
    folder = ReviewFolder(output)
    folder.check_known(reader)
    patients: dict[str, str] = {}
    lesions: list[OutlinedLesion] = []
    left: Counter[str] = Counter()
    for case, record in folder.records(reader).items():
        if isinstance(record, ReviewError):
            left["damaged"] += case in listed  # a copy of a case's folder is no case
            continue
        if record.state is not ReviewState.DONE or record.source is None:
            continue
        cine = cines.cine(case, record.source)
        try:
            masks = _masks(folder.work(reader, case).anchors())
        except ReviewError:
            left["damaged"] += 1
            continue
        if cine is None:
            left["missing" if case in cines.missing else "changed"] += 1
            continue
        who = listed[case].patient or _patient_of(cine)
        left["unknown"] += who is None
        number = patients.setdefault(who or f"source {cine.identity.digest}", f"patient-{len(patients) + 1}")
        for index, outlines in enumerate(masks.values(), start=1):
            lesion = outlined_lesion(f"{case}-{index}", number, cine, outlines)
            if lesion is None:
                left["few"] += 1
            elif not _is_readable(lesion.cine):
                left["unreadable"] += 1
            else:
                lesions.append(lesion)
    if left["missing"] and not lesions:
        raise ReviewError(f"the cines of the done cases are not where they were; {MOVED}")
    return Reviewed(
        lesions, [f"{counted(left[kind], what)} {said}" for kind, (what, said) in NOTES.items() if left[kind]]
    )


def _masks(anchors: list[ReaderAnchor]) -> dict[str, dict[int, Mask]]:
    """Return masks by lesion and frame."""
    found: dict[str, dict[int, Mask]] = {}
    for one in anchors:
        found.setdefault(one.lesion, {})[one.frame] = one.mask
    return found


def _is_readable(cine: Cine) -> bool:
    """Tell whether all frames can be read: one that cannot would end the whole work in the middle."""
    try:
        for _ in cine:
            pass
    except FrameError:
        return False
    return True


def _patient_of(cine: Cine) -> str | None:
    if cine.identity.kind not in (SourceKind.DICOM_MULTIFRAME, SourceKind.DICOM_SERIES) or not cine.identity.paths:
        return None
    return patient_digest(cine.identity.paths[0])


def adapt_to_reader(
    output: Path,
    reader: str,
    settings: AdaptSettings,
    models: Path,
    progress: Tell | None = None,
    cines: CaseCines | None = None,
) -> Outcome:
    """Fit a model to a reader's done cases of a batch (``adapt``).

    The work is kept in ``OUT/adapt/NAME``, with ``progress.json``, which says how far it is: ``share``,
    ``sentence`` and ``seconds_left`` of ``AdaptProgress``. To cancel, end the process: the same call goes on later.

    Parameters
    ----------
    output : Path
        Folder of a batch.
    reader : str
    settings : AdaptSettings
    models : Path
        Folder in which the model's bundle appears.
    progress : callable or None
    cines : CaseCines, optional
        Where the batch's cines are; where its key says, when left out.

    Raises
    ------
    LesionSegError
        As ``adapt`` does, and when the name or the reader is not usable.
    """
    began = time.monotonic()
    check_name(settings.name, of="model")
    work = output / FOLDER / settings.name
    checked_start(settings, models)
    reviewed = reviewed_lesions(output, reader, cines)
    check_patients(reviewed.lesions)  # before anything is written
    tell = _noted(work / PROGRESS, progress)
    with _alone(output / FOLDER / f".{settings.name}.lock"):
        return adapt(reviewed.lesions, settings, work, models, tell, reviewed.notes, began)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock while a model is trained; the other processes of the same training (``RANK``) do not take it."""
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"the batch's folder cannot be written ({reason}); get permission to write there") from None
    with file:
        if try_lock(file) is False:  # None: a drive that knows no locks
            raise ModelError(
                "a model of this name is being trained from this batch already; wait for that, or give another name"
            )
        yield


def _noted(path: Path, progress: Tell | None) -> Callable[[AdaptProgress], None]:
    """Return what tells the progress and writes it to a file, at most once a second."""
    written = [float("-inf")]

    def tell(step: AdaptProgress) -> None:
        now = time.monotonic()
        if now - written[0] >= SECONDS_BETWEEN or step.share >= 1:
            written[0] = now
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(asdict(step)) + "\n", encoding="utf-8")
        if progress is not None:
            progress(step)

    return tell
