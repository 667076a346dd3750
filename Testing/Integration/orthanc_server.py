"""A real Orthanc for a test: on free ports of loopback, in a folder of its own, ended with the test."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests

DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
TITLE = "ORTHANC"
CALLING_TITLE = "ULTRASOUNDSEG"
TOKEN = "integration-token-4711"
_START_SECONDS = 60


@dataclass(frozen=True)
class Orthanc:
    """Where a running server listens, and how to ask it."""

    http_port: int
    dicom_port: int
    scheme: str = "http"
    headers: dict[str, str] = field(default_factory=dict)
    verify: str | bool = True

    @property
    def web(self) -> str:
        """Address of its DICOMweb service."""
        return f"{self.rest}/dicom-web"

    @property
    def rest(self) -> str:
        """Address of its REST API."""
        return f"{self.scheme}://localhost:{self.http_port}"

    def get(self, path: str) -> requests.Response:
        """GET from the REST API."""
        return self._request("GET", path)

    def clear(self) -> None:
        """Delete everything."""
        for patient in self.get("/patients").json():
            self._request("DELETE", f"/patients/{patient}")

    def _request(self, method: str, path: str) -> requests.Response:
        session = requests.Session()
        session.trust_env = False
        answer = session.request(method, self.rest + path, headers=self.headers, verify=self.verify, timeout=30)
        answer.raise_for_status()
        return answer

    def files(self) -> dict[str, bytes]:
        """Every stored file by SOP Instance UID, as Orthanc gives it back."""
        found = {}
        for instance in self.get("/instances").json():
            uid = self.get(f"/instances/{instance}").json()["MainDicomTags"]["SOPInstanceUID"]
            found[uid] = self.get(f"/instances/{instance}/file").content
        return found


@contextmanager
def https_in_front(server: Orthanc, certificate: Path, key: Path) -> Iterator[Orthanc]:
    """Put HTTPS in front of a server, as a reverse proxy in a hospital does.

    Debian 12's Orthanc 1.10 ends with a segmentation fault on the first HTTPS request of its own: its web server looks
    for a function that OpenSSL 3 has renamed.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                outside = context.wrap_socket(self.request, server_side=True)
            except (ssl.SSLError, OSError):
                return  # a client that does not trust us
            with outside, socket.create_connection(("127.0.0.1", server.http_port)) as inside:
                back = threading.Thread(target=_pass_on, args=(inside, outside), daemon=True)
                back.start()
                _pass_on(outside, inside)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as front:
        front.daemon_threads = True
        threading.Thread(target=front.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield replace(server, http_port=front.server_address[1], scheme="https", verify=str(certificate))
        finally:
            front.shutdown()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes until the source ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_orthanc(folder: Path, server: Orthanc, **options: Any) -> Iterator[Orthanc]:
    """Run Orthanc until the block ends.

    It answers loopback alone: HTTP from elsewhere is refused, and DICOM is taken only from our title on 127.0.0.1.
    """
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(DICOMWEB_PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "HttpPort": server.http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomPort": server.dicom_port,
        "DicomAet": TITLE,
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "DicomCheckModalityHost": True,
        "DicomModalities": {"us": [CALLING_TITLE, "127.0.0.1", 1]},
        # its DCMTK is older than the Label Map Segmentation SOP class
        "UnknownSopClassAccepted": True,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orthanc.json").write_text(json.dumps(configuration | options))
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(["Orthanc", "orthanc.json"], cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(server, process, folder / "log.txt")
            yield server
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(server: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            server.get("/system")
            return
        except requests.RequestException:
            time.sleep(0.1)
    raise RuntimeError(f"Orthanc did not start:\n{log.read_text(errors='replace')}")
