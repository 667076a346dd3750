"""A simulated cine as files, with its truth beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from UltrasoundLesionSegLib.dicom.patient import SIMULATED_PATIENT
from UltrasoundLesionSegLib.dicom.ultrasound_image import write_ultrasound_image
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.simulation.cine import SimulatedCine
from UltrasoundLesionSegLib.writers.frames import write_avi, write_davis_folder, write_sequence_nrrd
from UltrasoundLesionSegLib.writers.masks import write_davis

SimulationFormat = Literal["dicom", "avi", "davis", "nrrd"]
NAME = "cine"
TRUTH = "truth"
CINES = (f"{NAME}.dcm", f"{NAME}.avi", f"JPEGImages/{NAME}", f"{NAME}.seq.nrrd")


def write_simulation(simulated: SimulatedCine, output: Path, kind: SimulationFormat = "dicom") -> Path:
    """Write a simulated cine and, in the folder ``truth``, its masks as palette PNGs 00000.png and on.

    An earlier simulation in the folder is replaced.

    Parameters
    ----------
    simulated : SimulatedCine
    output : Path
        A folder; made if absent.
    kind : {"dicom", "avi", "davis", "nrrd"}
        ``cine.dcm``, of another patient for each seed; ``cine.avi``; ``JPEGImages/cine/`` with the masks in
        ``Annotations/cine/``; ``cine.seq.nrrd``.

    Returns
    -------
    Path
        The cine: what ``readers.open.read_cine`` reads.

    Raises
    ------
    OutputError
        When the kind is unknown, a file cannot be written, or the folder has a cine or a folder of that name which is
        no simulation's: not both.
    """
    if kind not in get_args(SimulationFormat):
        raise OutputError(
            f"'{kind}' is no format of simulations; choose one of {', '.join(get_args(SimulationFormat))}"
        )
    if any((output / one).exists() for one in CINES) != (output / TRUTH).exists():
        raise OutputError(
            f"the folder has a '{NAME}' or a '{TRUTH}' that is no simulation's and would be replaced; choose another "
            "folder"
        )
    cine, masks = simulated.cine, simulated.truth.__getitem__
    if kind == "dicom":
        source = output / f"{NAME}.dcm"
        # every seed is another breast
        whose = replace(SIMULATED_PATIENT, patient_id=f"{SIMULATED_PATIENT.patient_id}-{simulated.settings.seed}")
        write_ultrasound_image(cine, source, whose, body_part="BREAST", laterality="L", derivation="Simulated")
    elif kind == "avi":
        source = write_avi(cine, output / f"{NAME}.avi", frames_per_second=simulated.settings.frames_per_second)
    elif kind == "davis":
        source = write_davis_folder(cine, output, NAME, masks)
    else:
        source = write_sequence_nrrd(cine, output / f"{NAME}.seq.nrrd")
    write_davis(output / TRUTH, masks, len(cine))
    return source
