"""What SECURITY.md promises: nothing from outside is executed, nothing leaves the machine, nothing is shown raw."""

from __future__ import annotations

import ast
import csv
import os
import ssl
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from UltrasoundLesionSegLib.cine import Calibration, Cine, SourceIdentity, SourceKind, Timing
from UltrasoundLesionSegLib.dicom.send import Tls
from UltrasoundLesionSegLib.errors import SourceError
from UltrasoundLesionSegLib.measurement.columns import LesionRow
from UltrasoundLesionSegLib.measurement.frame import measure_frame
from UltrasoundLesionSegLib.measurement.lesion import summarize_lesion
from UltrasoundLesionSegLib.readers import video
from UltrasoundLesionSegLib.report.case import CaseReport, LesionReport, ModelRecord
from UltrasoundLesionSegLib.report.html import make_report
from UltrasoundLesionSegLib.writers.tables import write_lesion_table

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "UltrasoundLesionSeg" / "UltrasoundLesionSegLib"
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_NAMES = {"os.system", "os.popen", "pickle.load", "pickle.loads", "marshal.loads", "yaml.load", "shelve.open"}
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill", "urllib.request", "http.client", "ftplib", "telnetlib"}
# the file that speaks to an archive, the one that reaches the cluster a person names, and two that ask for the host's
# own name
NETWORK = {
    "requests": {"dicom/send.py"},
    "pynetdicom": {"dicom/send.py"},
    "distributed": {"batch/cluster.py"},
    "socket": {"batch/lock.py", "reader_work/hold.py"},
}


def files() -> list[Path]:
    return [*sorted(PACKAGE.rglob("*.py")), ROOT / "UltrasoundLesionSeg" / "UltrasoundLesionSeg.py"]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_nothing_is_executed_or_fetched(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            keywords = {one.arg: ast.unparse(one.value) for one in node.keywords}
            assert name not in FORBIDDEN_CALLS | FORBIDDEN_NAMES, f"{path.name} calls {name}"
            assert keywords.get("shell", "False") == "False", f"{path.name} calls a shell"
            assert name != "torch.load" or keywords.get("weights_only") == "True", f"{path.name} unpickles weights"
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not modules & FORBIDDEN_MODULES
    for module, allowed in NETWORK.items():
        inside = path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else path.name
        assert module not in {one.split(".")[0] for one in modules} or inside in allowed, f"{inside} imports {module}"


OFFLINE = """
import importlib.util, socket, sys, traceback

def refuse(*arguments, **options):
    stack = "".join(traceback.format_stack()[-6:])
    if "_has_ipv6" not in stack:  # urllib3 binds an address of this computer's own when it is imported
        print("a socket was asked for by", stack, file=sys.stderr)
    raise OSError("no network")

class Refused(socket.socket):  # other classes are derived from it
    __init__ = refuse

socket.socket = Refused
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse
from pathlib import Path
from UltrasoundLesionSegLib.workflow.case import run_case
from UltrasoundLesionSegLib.workflow.case_request import CaseRequest, SeedFileRequest
from UltrasoundLesionSegLib.simulation.cine import SimulationSettings, simulate_cine
from UltrasoundLesionSegLib.simulation.write import write_simulation

folder = Path(sys.argv[1])
source = write_simulation(simulate_cine(SimulationSettings(seed=1, frames=3, height=96, width=96)), folder, "dicom")
seed = SeedFileRequest(folder / "truth" / "00000.png")
kinds = ("sr", "report")
devices = ["cpu", "openvino"] if importlib.util.find_spec("openvino") else ["cpu"]
for device in devices:
    options = {"model": "bas_s_propagate", "further_kinds": kinds, "device": device}
    run_case(CaseRequest(source, folder / device, (seed,), **options))
print("done", *devices)
"""


def test_the_whole_job_needs_no_network(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OFFLINE, str(tmp_path)]
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "no_proxy": "*"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    last_line = (done.stdout.splitlines() or [""])[-1]
    assert last_line.startswith("done cpu"), done.stderr[-2000:]
    assert "a socket was asked for" not in done.stderr, done.stderr[-2000:]
    for device in last_line.split()[1:]:
        names = {one.name for one in (tmp_path / device).iterdir()}
        assert {"segmentation.dcm", "measurements.dcm", "report.html"} <= names


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n%b\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile %b\n",
    ],
)
def test_playlists_open_no_other_file(tmp_path: Path, content: bytes) -> None:
    import cv2

    inner = tmp_path / "inner.avi"
    writer = cv2.VideoWriter(str(inner), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    assert len(video.read_video(inner)) == 1
    (tmp_path / "list.avi").write_bytes(content % str(inner).encode())
    with pytest.raises(SourceError, match="cannot be decoded"):
        video.read_video(tmp_path / "list.avi")


def test_a_relative_name_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    folder = Path("http:") / "archive.example"
    monkeypatch.chdir(tmp_path)
    folder.mkdir(parents=True)
    writer = cv2.VideoWriter(str(tmp_path / folder / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    assert len(video.read_video(folder / "a.avi")) == 1


def test_certificates_are_verified_unless_a_test_says_otherwise() -> None:
    context = Tls().context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


HOSTILE = "<img src=x onerror=alert(1)>&\"'</script><script>alert(2)</script>"


def hostile_case() -> CaseReport:
    frames = np.full((3, 40, 48), 90, np.uint8)
    mask = np.zeros((40, 48), bool)
    mask[10:25, 12:30] = True
    calibration = Calibration(0.1, 0.1, HOSTILE, HOSTILE)
    timing = Timing(np.arange(3) / 25, HOSTILE)
    identity = SourceIdentity(SourceKind.MEMORY, "ab" * 32)
    cine = Cine(frames, 40, 48, False, identity, calibration, (), timing, (HOSTILE,))
    measured = tuple(measure_frame(mask, frame, calibration) for frame in frames)
    lesion = LesionReport(HOSTILE, (255, 0, 0), (0, 1, 2), measured, summarize_lesion(measured, (0, 1, 2), timing))
    return CaseReport(
        cine,
        lambda _: mask[np.newaxis],
        (lesion,),
        ModelRecord(HOSTILE, HOSTILE, HOSTILE),
        {HOSTILE: HOSTILE},
        {HOSTILE: HOSTILE},
        {1: HOSTILE},
        datetime(2026, 1, 1),
    )


def test_every_text_of_the_report_is_escaped() -> None:
    page = make_report(hostile_case(), pixels_allowed=True)
    assert page.count("alert(1)") >= 10
    assert "<img src=x" not in page
    assert "<script" not in page
    assert "onerror" not in page.replace("src=x onerror=alert", "")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0"])
def test_names_are_no_formulas_in_a_spreadsheet(tmp_path: Path, name: str) -> None:
    case = hostile_case()
    row = case.lesion_row(case.lesions[0])
    target = write_lesion_table(tmp_path / "lesions.csv", [LesionRow(name, row.summary)])
    with target.open(newline="", encoding="utf-8") as stream:
        cells = [cell for line in csv.reader(stream) for cell in line]
    assert f"'{name}" in cells
    assert name not in cells
