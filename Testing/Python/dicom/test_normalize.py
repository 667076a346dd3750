from datetime import datetime

import pytest
from pydicom.dataset import Dataset

from UltrasoundLesionSegLib.dicom import normalize


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("20240229", "20240229"),
        ("2024.02.29", "20240229"),
        ("2024-02-29", "20240229"),
        (" 20240229 ", "20240229"),
        ("20230229", ""),  # no such day
        ("20241301", ""),
        ("240229", ""),
        ("Doe^Jane", ""),
        ("", ""),
    ],
)
def test_date(written, expected):
    assert normalize.date(written) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("14:04:38", "140438"),
        ("140438.1234567", "140438.123456"),
        ("140438", "140438"),
        ("1404", "1404"),
        ("14", "14"),
        ("14:04", "1404"),
        ("240000", ""),
        ("146000", ""),
        ("1404.5", ""),  # a fraction of a minute
        ("2 pm", ""),
        ("", ""),
    ],
)
def test_time(written, expected):
    assert normalize.time(written) == expected


@pytest.mark.parametrize(
    ("written", "expected"), [("F", "F"), ("m", "M"), ("O", "O"), ("Female", "F"), ("UNKNOWN", ""), ("", ""), ("N", "")]
)
def test_sex(written, expected):
    assert normalize.sex(written) == expected


def dataset(**attributes):
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"AcquisitionDateTime": "20240131101529.5+0100"}, (datetime(2024, 1, 31, 10, 15, 29, 500000), "+0100")),
        (
            {"AcquisitionDateTime": "20240131101529", "TimezoneOffsetFromUTC": "-0500"},
            (datetime(2024, 1, 31, 10, 15, 29), "-0500"),
        ),
        ({"AcquisitionDateTime": "202401311015"}, (datetime(2024, 1, 31, 10, 15), "")),
        ({"AcquisitionDate": "20240131", "AcquisitionTime": "101529"}, (datetime(2024, 1, 31, 10, 15, 29), "")),
        ({"AcquisitionDate": "20240131", "AcquisitionTime": "235960"}, (datetime(2024, 1, 31, 23, 59, 59), "")),
        ({"ContentDate": "20240131", "ContentTime": "101529", "ImageType": ["DERIVED", "PRIMARY"]}, None),
        (
            {"ContentDate": "20240131", "ContentTime": "101529", "ImageType": ["ORIGINAL", "PRIMARY"]},
            (datetime(2024, 1, 31, 10, 15, 29), ""),
        ),
        ({"AcquisitionDate": "20240131"}, None),
        ({"AcquisitionDateTime": "2024"}, None),
        ({}, None),
    ],
)
def test_start_of_acquisition(attributes, expected):
    assert normalize.acquisition_start(dataset(**attributes)) == expected


def test_text_joins_values_and_knows_what_is_absent():
    made = dataset(ImageType=["ORIGINAL", "PRIMARY"], StudyID=" 4 ", AccessionNumber=None)
    assert normalize.text(made, "ImageType") == "ORIGINAL\\PRIMARY"
    assert normalize.text(made, "StudyID") == "4"
    assert normalize.text(made, "AccessionNumber") == normalize.text(made, "PatientID") == ""
