"""Whose image it is: what a patient file may hold, and what is refused without being quoted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from UltrasoundLesionSegLib.dicom.patient import PatientModule, read_patient
from UltrasoundLesionSegLib.errors import OutputError


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"patient_id": " "}, "identifier"),
        ({"birth_date": "31.1.1970"}, "birth date"),
        ({"birth_date": "19700231"}, "birth date"),
        ({"study_date": "2024-02-29"}, "study date"),
        ({"study_time": "10:15"}, "study time"),
        ({"study_time": "256100"}, "study time"),
        ({"sex": "female"}, "sex"),
        ({"patient_name": "Doe^" + "J" * 61}, "65 characters"),
        ({"patient_id": "P\\7"}, "backslash"),
        ({"patient_name": "Doe^Jane\n"}, "no text"),
        ({"accession_number": "1" * 17}, "allows 16"),
        ({"study_instance_uid": "mine"}, "UID"),
    ],
)
def test_a_patient_that_does_not_fit_is_refused_without_being_quoted(given: dict[str, str], said: str) -> None:
    with pytest.raises(OutputError, match=said) as refused:
        PatientModule(**{"patient_name": "Doe^Jane", "patient_id": "P-7", **given})
    assert "Doe" not in str(refused.value)
    assert "Doe" not in repr(PatientModule("Doe^Jane", "P-7"))


def test_a_patient_file_is_read_or_refused_without_being_quoted(tmp_path: Path) -> None:
    (tmp_path / "patient.json").write_text('{"patient_name": "Doe^Jane", "patient_id": "P-7", "sex": "F"}')
    assert read_patient(tmp_path / "patient.json") == PatientModule("Doe^Jane", "P-7", sex="F")
    for text in ("[]", "Doe", '{"name": "Doe"}'):
        (tmp_path / "patient.json").write_text(text)
        with pytest.raises(OutputError, match="the patient file") as refused:
            read_patient(tmp_path / "patient.json")
        assert "Doe" not in str(refused.value)
    with pytest.raises(OutputError, match="the patient file"):
        read_patient(tmp_path / "nowhere.json")


def patient_file(tmp_path: Path, content: dict[str, Any]) -> Path:
    (tmp_path / "patient.json").write_text(json.dumps(content))
    return tmp_path / "patient.json"


def test_null_empty_and_missing_fields_are_empty(tmp_path: Path) -> None:
    content = {"patient_id": 12345, "patient_name": None, "birth_date": None, "sex": ""}
    assert read_patient(patient_file(tmp_path, content)) == PatientModule("", "12345")
    assert read_patient(patient_file(tmp_path, {"patient_id": "P1"})) == PatientModule("", "P1")
    with pytest.raises(OutputError, match="identifier must have"):
        read_patient(patient_file(tmp_path, {"patient_name": "Doe^Jane", "patient_id": None}))


def test_the_patient_file_from_the_field(shared_data: Path) -> None:
    patient = read_patient(shared_data / "field" / "21_null_in_the_patient_file" / "patient.json")
    assert (patient.patient_name, patient.patient_id) == ("", "12345")


@pytest.mark.parametrize("value", [["Doe"], {"family": "Doe"}, 1.5, True])
def test_values_of_another_kind_are_refused_by_the_name_of_their_field(tmp_path: Path, value: Any) -> None:
    with pytest.raises(OutputError, match="field patient_name of the patient file is neither text nor") as refused:
        read_patient(patient_file(tmp_path, {"patient_id": "P1", "patient_name": value}))
    assert "Doe" not in str(refused.value)


def test_a_field_that_is_unknown_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="unknown; the fields are patient_name, patient_id, birth_date") as refused:
        read_patient(patient_file(tmp_path, {"patient_id": "P1", "Doe": "x"}))
    assert "Doe" not in str(refused.value)


def test_a_field_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "patient.json").write_text('{"patient_id": "P1", "patient_name": "Doe^Jane", "patient_id": "P2"}')
    with pytest.raises(OutputError, match="the patient file has a field twice"):
        read_patient(tmp_path / "patient.json")
