"""Patient and study of an image made by this program, as given by a caller or a JSON file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from pydicom.uid import RE_VALID_UID

from UltrasoundLesionSegLib.errors import OutputError

# most characters of the value representations LO, SH, and of a PN's group (PS3.5 6.2)
_LONG, _SHORT = 64, 16


@dataclass(frozen=True)
class PatientModule:
    """Whose cine it is and in which study it goes (PS3.3 C.7.1.1, C.7.2.1).

    Parameters
    ----------
    patient_name, patient_id : str
        Name as in DICOM (``Family^Given``); may be ''. Never shown by ``repr``.
    birth_date, study_date : str
        ``YYYYMMDD``, or ''.
    study_time : str
        ``HHMMSS``, or ''.
    study_id : str
    sex : str
        ``M``, ``F``, ``O`` or ''.
    accession_number : str
    study_instance_uid : str
        Of the study it joins; a new one when ''.
    description : str
        Of the series; may be read by anyone who sees the list of series.

    Raises
    ------
    OutputError
        When the identifier is empty, or a value does not fit its DICOM type.
    """

    patient_name: str = field(repr=False)
    patient_id: str = field(repr=False)
    birth_date: str = field(default="", repr=False)
    study_date: str = ""
    study_time: str = ""
    study_id: str = ""
    sex: str = ""
    accession_number: str = field(default="", repr=False)
    study_instance_uid: str = field(default="", repr=False)
    description: str = "Ultrasound cine"

    def __post_init__(self) -> None:
        if not self.patient_id.strip():
            raise OutputError(f"the patient's identifier must have 1 to {_LONG} characters; give one")
        for what, text, most in (
            ("patient's name", max(self.patient_name.split("="), key=len), _LONG),  # of its up to three groups
            ("patient's identifier", self.patient_id, _LONG),
            ("description", self.description, _LONG),
            ("study's identifier", self.study_id, _SHORT),
            ("accession number", self.accession_number, _SHORT),
        ):
            _check_text(what, text, most)
        for what, date in (("birth date", self.birth_date), ("study date", self.study_date)):
            if date and not _matches(date, "[0-9]{8}", "%Y%m%d"):
                raise OutputError(f"the {what} is not a date; write it as YYYYMMDD or leave it out")
        if self.study_time and not _matches(self.study_time, "[0-9]{6}", "%H%M%S"):
            raise OutputError("the study time is not a time; write it as HHMMSS or leave it out")
        if self.sex not in ("", "M", "F", "O"):
            raise OutputError("the patient's sex is none of M, F, O; give one of them or leave it out")
        if self.study_instance_uid and not re.fullmatch(RE_VALID_UID, self.study_instance_uid):
            raise OutputError("the study's UID is not a DICOM UID; correct it or leave it out")


def read_patient(path: Path) -> PatientModule:
    """Read a patient module from a JSON file with the names of ``PatientModule``'s parameters.

    A field that is missing, ``null`` or empty is empty; a whole number is its digits.

    Raises
    ------
    OutputError
        When the file cannot be opened, is no such JSON, has another field or one twice, or a value that is neither text
        nor a whole number.
    """
    known = [one.name for one in fields(PatientModule)]
    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=_each_once)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"the patient file cannot be opened ({reason}); name one that exists") from None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise OutputError(f"the patient file is no JSON object with (some of) {', '.join(known)}; correct it")
    if set(content) - set(known):
        raise OutputError(f"the patient file has a field that is unknown; the fields are {', '.join(known)}")
    given = {"patient_name": "", "patient_id": ""}
    given |= {key: _text(key, value) for key, value in content.items() if value is not None}
    return PatientModule(**given)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object's fields; of one that is there twice, JSON would take the last, another patient's maybe."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise OutputError("the patient file has a field twice; leave one of both out")
    return dict(pairs)


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise OutputError(f"the field {name} of the patient file is neither text nor a whole number; write it in quotes")


def _check_text(what: str, text: str, most: int) -> None:
    if len(text) > most:
        raise OutputError(f"the {what} has {len(text)} characters, but DICOM allows {most}; shorten it")
    # a backslash parts values (PS3.5 6.2); a surrogate is no character
    if any(ord(one) < 32 or one in "\\\x7f" or 0xD800 <= ord(one) < 0xE000 for one in text):
        raise OutputError(f"the {what} has a backslash or characters that are no text; type it again")


def _matches(text: str, pattern: str, meaning: str) -> bool:
    """Whether a text has this pattern and is a date or time that exists."""
    if not re.fullmatch(pattern, text):
        return False
    try:
        datetime.strptime(text, meaning)
    except ValueError:
        return False
    return True


SIMULATED_PATIENT = PatientModule(
    "Simulated^Phantom",
    "SIMULATION",
    study_date="20000101",
    study_time="000000",
    study_id="SIMULATION",
    description="Simulated breast ultrasound",
)
