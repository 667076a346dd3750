import logging
import socket
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pydicom
import pytest
from dicom_helpers import write_certificate, write_multiframe
from pydicom.dataset import Dataset
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt
from pynetdicom.sop_class import UltrasoundImageStorage, UltrasoundMultiFrameImageStorage

from UltrasoundLesionSegLib.dicom.send import Sent, StoreNode, Tls, WebServer, send_by_store, send_by_web
from UltrasoundLesionSegLib.errors import LesionSegError, OutputError

TOKEN = "secret-token-4711"


@pytest.fixture
def files(tmp_path):
    frames = np.arange(2 * 40 * 50, dtype=np.uint8).reshape(2, 40, 50)
    return [write_multiframe(tmp_path / f"{number}.dcm", frames + number) for number in range(3)]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost that signs itself, and its key."""
    return write_certificate(tmp_path_factory.mktemp("tls"))


def server_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


# --- C-STORE


@contextmanager
def archive(status=0x0000, sop_class=UltrasoundMultiFrameImageStorage, context=None, titles=(), break_at=None):
    """A C-STORE archive on loopback; yields its port and what it received."""
    received: list[Dataset] = []

    def store(event):
        if len(received) == break_at:
            event.assoc.abort()
        received.append(event.dataset)
        return status

    entity = AE(ae_title="ARCHIVE")
    entity.require_calling_aet = list(titles)
    entity.require_called_aet = True
    entity.add_supported_context(sop_class, ALL_TRANSFER_SYNTAXES)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)], ssl_context=context
    )
    try:
        yield server.socket.getsockname()[1], received
    finally:
        server.shutdown()


def test_store_sends_data_sets_as_they_are(files):
    steps = []
    with archive() as (port, received):
        sent = send_by_store(files, StoreNode("127.0.0.1", port, "ARCHIVE"), lambda *step: steps.append(step))
    assert sent == Sent(3, 0)
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert received == [pydicom.dcmread(path) for path in files]


def test_store_counts_warnings(files):
    with archive(status=0xB000) as (port, received):
        assert send_by_store(files, StoreNode("127.0.0.1", port, "ARCHIVE")) == Sent(3, 3)
    assert len(received) == 3


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (0xA700, "out of resources"),
        (0xA900, "match its SOP class"),
        (0xC1FF, "cannot understand"),
        (0x0211, "status 0211"),
        (0x0124, "does not permit"),
    ],
)
def test_store_says_why_the_archive_refused(files, status, reason):
    with archive(status=status) as (port, _), pytest.raises(OutputError, match=f"file 1 of 3.*{reason}.*0 were stored"):
        send_by_store(files, StoreNode("127.0.0.1", port, "ARCHIVE"))


def test_store_when_the_connection_breaks(files):
    with (
        archive(break_at=1) as (port, _),
        pytest.raises(OutputError, match=r"file 2 of 3.*connection broke.*1 were stored"),
    ):
        send_by_store(files, StoreNode("127.0.0.1", port, "ARCHIVE"))


def test_store_to_nobody_and_to_the_wrong_title(files):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OutputError, match="cannot be reached"):
        send_by_store(files, StoreNode("127.0.0.1", port, "ARCHIVE"))
    with archive(titles=["SOMEONE"]) as (port, _), pytest.raises(OutputError, match="entity titles"):
        send_by_store(files, StoreNode("127.0.0.1", port, "ARCHIVE"))
    with (
        archive(sop_class=UltrasoundImageStorage) as (port, _),
        pytest.raises(OutputError, match="none of these kinds"),
    ):
        send_by_store(files, StoreNode("127.0.0.1", port, "ARCHIVE"))


def test_store_can_be_cancelled(files):
    def cancel(done, total):
        raise LesionSegError("cancelled")

    with archive() as (port, received):
        with pytest.raises(LesionSegError, match="cancelled"):
            send_by_store(files, StoreNode("127.0.0.1", port, "ARCHIVE"), cancel)
        assert len(received) == 1


def test_store_over_tls(files, certificate):
    with archive(context=server_context(certificate)) as (port, received):
        sent = send_by_store(files, StoreNode("localhost", port, "ARCHIVE", tls=Tls(trusted=certificate[0])))
        assert sent.stored == len(received) == 3
        with pytest.raises(OutputError, match=r"cannot be reached.*TLS"):
            send_by_store(files, StoreNode("localhost", port, "ARCHIVE", tls=Tls()))
        assert send_by_store(files, StoreNode("localhost", port, "ARCHIVE", tls=Tls(verify=False))).stored == 3


def test_certificates_that_are_not_there(files, tmp_path):
    with pytest.raises(OutputError, match="certificate or key cannot be read"):
        send_by_store(files, StoreNode("localhost", 1, "ARCHIVE", tls=Tls(trusted=tmp_path / "none.pem")))


@pytest.mark.parametrize("send", [send_by_store, send_by_web])
def test_what_is_not_dicom_is_not_sent(send, tmp_path):
    (tmp_path / "text.dcm").write_text("no")
    node = StoreNode("127.0.0.1", 1, "A") if send is send_by_store else WebServer("http://127.0.0.1:1")
    with pytest.raises(OutputError, match="file 1 of 1 to send is not readable DICOM"):
        send([tmp_path / "text.dcm"], node)
    with pytest.raises(OutputError, match="nothing to send"):
        send([], node)


# --- DICOMweb


@contextmanager
def web_archive(code=200, answer=b"", kind="application/dicom+json", context=None):
    """An HTTP server on loopback that answers every POST alike; yields its port and the requests."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while length := int(self.rfile.readline(), 16):
                    body += self.rfile.read(length)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, dict(self.headers), body))
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_port, requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_web_sends_each_file_with_the_token(files, caplog):
    caplog.set_level(logging.DEBUG)
    with web_archive() as (port, requests):
        server = WebServer(f"http://127.0.0.1:{port}/dicom-web/", TOKEN)
        assert send_by_web(files, server) == Sent(3, 0)
    assert [path for path, _, _ in requests] == ["/dicom-web/studies"] * 3
    assert {headers["Authorization"] for _, headers, _ in requests} == {f"Bearer {TOKEN}"}
    for path, (_, headers, body) in zip(files, requests, strict=True):
        assert headers["Content-Type"].startswith('multipart/related; type="application/dicom"')
        assert path.read_bytes() in body
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(server)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (401, "wants a token"),
        (403, "does not permit"),
        (404, "no DICOMweb service"),
        (413, "too large"),
        (415, "transfer syntax"),
        (500, "HTTP status 500"),
        (503, "HTTP status 503"),
    ],
)
def test_web_says_why_the_archive_refused(files, code, reason):
    with web_archive(code) as (port, requests):
        with pytest.raises(OutputError, match=f"file 1 of 3.*{reason}") as caught:
            send_by_web(files, WebServer(f"http://127.0.0.1:{port}", TOKEN))
        assert len(requests) == 1  # not tried again with an empty body
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None


def test_web_reads_the_answer(files):
    failed = b'{"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [43264]}}]}}'
    with web_archive(answer=failed) as (port, _), pytest.raises(OutputError, match="did not store the object"):
        send_by_web(files, WebServer(f"http://127.0.0.1:{port}"))
    warned = b'{"00081199": {"vr": "SQ", "Value": [{"00081196": {"vr": "US", "Value": [45056]}}]}}'
    with web_archive(answer=warned) as (port, _):
        assert send_by_web(files, WebServer(f"http://127.0.0.1:{port}")) == Sent(3, 3)
    with (
        web_archive(answer=b"<html>", kind="application/json") as (port, _),
        pytest.raises(OutputError, match="not DICOMweb"),
    ):
        send_by_web(files, WebServer(f"http://127.0.0.1:{port}"))


def test_web_over_tls(files, certificate):
    with web_archive(context=server_context(certificate)) as (port, requests):
        url = f"https://localhost:{port}"
        assert send_by_web(files, WebServer(url, TOKEN, Tls(trusted=certificate[0]))).stored == 3
        assert len(requests) == 3
        with pytest.raises(OutputError, match="certificate is not trusted"):
            send_by_web(files, WebServer(url, TOKEN))
        assert len(requests) == 3
        assert send_by_web(files, WebServer(url, TOKEN, Tls(verify=False))).stored == 3


def test_web_to_nobody(files):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OutputError, match="cannot be reached"):
        send_by_web(files, WebServer(f"http://127.0.0.1:{port}"))


@pytest.mark.parametrize(
    ("url", "token", "message"),
    [
        ("archive.example/dicom-web", "", "must begin with"),
        ("ftp://archive.example", "", "must begin with"),
        ("https://user:word@archive.example", "", "holds a password"),
        ("http://archive.example", TOKEN, "unencrypted"),
        ("http://192.168.1.2:8042", TOKEN, "unencrypted"),
    ],
)
def test_addresses_that_are_refused(url, token, message):
    with pytest.raises(OutputError, match=message) as caught:
        WebServer(url, token)
    assert TOKEN not in str(caught.value)
    assert "word" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize(
    "url", ["https://archive.example", "http://127.0.0.1:8042", "http://localhost", "http://[::1]:1"]
)
def test_addresses_that_may_have_a_token(url):
    assert WebServer(url, TOKEN).url == url
