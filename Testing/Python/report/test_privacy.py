"""Nothing that could name a patient goes into a file of this room: no path, no UID, no name of the source."""

import numpy as np
import pytest

from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.report.contact_sheet import write_contact_sheet
from UltrasoundLesionSegLib.report.html import write_report
from UltrasoundLesionSegLib.report.video import write_overlay_video
from UltrasoundLesionSegLib.writers.coco import write_coco
from UltrasoundLesionSegLib.writers.masks import write_davis, write_nifti
from UltrasoundLesionSegLib.writers.tables import write_frame_table, write_lesion_table

SECRETS = (b"Planted", b"1.2.999")


def test_no_output_holds_the_sources_path_or_uid(tmp_path, case):
    folder = tmp_path / "Planted_Folder"
    write_report(folder / "report.html", case, pixels_allowed=True)
    write_contact_sheet(folder / "sheet.png", case, pixels_allowed=True)
    for name in ("overlay.mp4", "overlay.avi"):
        write_overlay_video(folder / name, case, pixels_allowed=True)
    write_davis(folder / "masks", case.masks, len(case.cine))
    write_nifti(folder / "masks.nii.gz", case.masks, len(case.cine), case.cine.calibration)
    write_coco(folder / "masks.json", case.masks, len(case.cine), ["one", "two"], case.name)
    write_frame_table(folder / "frames.csv", [row for lesion in case.lesions for row in case.frame_rows(lesion)])
    write_lesion_table(folder / "lesions.csv", [case.lesion_row(lesion) for lesion in case.lesions])
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 8 + len(case.cine)
    for path in files:
        content = path.read_bytes()
        assert not any(secret in content for secret in SECRETS), path.suffix
        assert str(folder).encode() not in content


@pytest.mark.parametrize("writer", [write_report, write_contact_sheet, write_overlay_video])
def test_no_message_holds_the_targets_path(tmp_path, case, writer):
    (tmp_path / "Planted_Folder").mkdir()
    (tmp_path / "Planted_Folder" / "taken.mp4").mkdir()  # a folder where the file should go
    (tmp_path / "Planted_Folder" / "taken.mp4" / "full").write_text("x")
    with pytest.raises(OutputError) as caught:
        writer(tmp_path / "Planted_Folder" / "taken.mp4", case, pixels_allowed=True)
    assert "Planted" not in str(caught.value)


def test_representations_hold_no_path(case):
    assert "Planted" not in repr(replace_reader(case))


def replace_reader(case):
    """The case with frames whose representation is not the test's own."""
    from dataclasses import replace

    return replace(case, cine=replace(case.cine, frames=np.zeros((14, 90, 121), np.uint8)))
