"""Send DICOM files to an archive: C-STORE (PS3.4 B) or DICOMweb STOW-RS (PS3.18 10.5)."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pynetdicom import AE, _config
from pynetdicom.association import Association

from UltrasoundLesionSegLib.dicom.quiet import quiet_dicom
from UltrasoundLesionSegLib.errors import OutputError
from UltrasoundLesionSegLib.readers.quiet import silent_loggers

SentProgress = Callable[[int, int], None]

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 120.0
_MOST_CONTEXTS = 128  # PS3.8 9.3.2.2: odd identifiers from 1 to 255


@dataclass(frozen=True)
class Tls:
    """How to trust a server and prove who we are.

    Parameters
    ----------
    trusted : Path or None
        PEM file with the certificates to trust; None trusts those of the operating system.
    certificate, key : Path or None
        PEM files of our own certificate and its key, where the server asks for one.
    verify : bool
        False accepts any certificate: the data may then go to anyone. For tests only.
    """

    trusted: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """Return the client's TLS context.

        Raises
        ------
        OutputError
            When a certificate or key cannot be read.
        """
        try:
            context = ssl.create_default_context(cafile=str(self.trusted) if self.trusted else None)
            if not self.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self.certificate is not None:
                context.load_cert_chain(str(self.certificate), str(self.key) if self.key else None)
        except (OSError, ssl.SSLError):
            raise OutputError("a TLS certificate or key cannot be read; give PEM files that exist") from None
        return context


@dataclass(frozen=True)
class StoreNode:
    """An archive that takes C-STORE.

    Parameters
    ----------
    host : str
    port : int
    title : str
        The archive's application entity title.
    calling_title : str
        Ours; many archives only take data from titles they know.
    tls : Tls or None
        None sends in the clear, as most archives inside a hospital expect.
    """

    host: str
    port: int
    title: str
    calling_title: str = "ULTRASOUNDSEG"
    tls: Tls | None = None


@dataclass(frozen=True)
class WebServer:
    """An archive that takes DICOMweb.

    Parameters
    ----------
    url : str
        Where the DICOMweb service begins, e.g. ``https://archive.example/dicom-web``.
    token : str
        Bearer token (RFC 6750), or ''. Never shown, and never sent unencrypted to another computer.
    tls : Tls
        For ``https`` addresses.
    """

    url: str
    token: str = field(default="", repr=False)
    tls: Tls = field(default_factory=Tls)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OutputError("the archive's web address must begin with https:// or http://; correct it")
        if parts.username or parts.password:
            raise OutputError("the archive's web address holds a password; give a token instead")
        if self.token and parts.scheme == "http" and not _is_this_computer(parts.hostname):
            raise OutputError("a token must not travel unencrypted; use the archive's https:// address")


@dataclass(frozen=True)
class Sent:
    """What an archive took: the number of instances, and of those it took with a warning (e.g. changed attributes)."""

    stored: int
    warned: int


def send_by_store(paths: Sequence[Path], node: StoreNode, progress: SentProgress | None = None) -> Sent:
    """Send files by C-STORE, in order, as they are.

    Parameters
    ----------
    paths : sequence of Path
    node : StoreNode
    progress : callable or None
        Called with the number of files sent and of all files, after each; may raise to cancel.

    Raises
    ------
    OutputError
        When a file is not DICOM, the archive cannot be reached or refuses; says how many files it had taken.
    """
    contexts = _contexts(paths)
    warned = 0
    with _association(node, contexts) as association, _as_stored():
        for count, path in enumerate(paths):
            status = _store(association, path, count, len(paths))
            warned += status != 0
            if progress is not None:
                progress(count + 1, len(paths))
    return Sent(len(paths), warned)


def send_by_web(paths: Sequence[Path], server: WebServer, progress: SentProgress | None = None) -> Sent:
    """Send files by DICOMweb STOW-RS, in order, one request each.

    Parameters and errors are those of ``send_by_store``.
    """
    _contexts(paths)
    client = DICOMwebClient(
        server.url.rstrip("/"), session=_session(server), timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS)
    )
    # the client's retries send an empty body, because its first attempt has used the data up
    client.set_http_retry_params(retry=False)
    warned = 0
    for count, path in enumerate(paths):
        answer = _stow(client, path, count, len(paths))
        if answer.get("FailedSOPSequence"):
            raise _refused(count, len(paths), "it answered that it did not store the object")
        warned += any(item.get("WarningReason") for item in answer.get("ReferencedSOPSequence") or [])
        if progress is not None:
            progress(count + 1, len(paths))
    return Sent(len(paths), warned)


def _is_this_computer(host: str) -> bool:
    """Whether a host name means the computer this runs on."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _contexts(paths: Sequence[Path]) -> set[tuple[str, str]]:
    """Return the SOP class and transfer syntax of each file."""
    if not paths:
        raise OutputError("there is nothing to send; export a segmentation or a report first")
    found = set()
    for number, path in enumerate(paths, start=1):
        try:
            with quiet_dicom():
                meta = dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True).file_meta
                found.add((str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)))
        except (InvalidDicomError, OSError, AttributeError, ValueError, EOFError):
            raise OutputError(
                f"file {number} of {len(paths)} to send is not readable DICOM; send files that this program exported"
            ) from None
    if len(found) > _MOST_CONTEXTS:
        raise OutputError(
            f"the files are of {len(found)} kinds, more than one connection can carry; send fewer at once"
        )
    return found


@contextlib.contextmanager
def _association(node: StoreNode, contexts: set[tuple[str, str]]) -> Iterator[Association]:
    """Hold an association (PS3.8) open; released at the end, aborted on an error."""
    entity = AE(ae_title=node.calling_title)
    entity.connection_timeout = _CONNECT_SECONDS
    entity.acse_timeout = _CONNECT_SECONDS * 3
    entity.dimse_timeout = entity.network_timeout = _ANSWER_SECONDS
    for sop_class, transfer_syntax in sorted(contexts):
        entity.add_requested_context(sop_class, transfer_syntax)
    tls = (node.tls.context(), node.host) if node.tls is not None else None
    association = entity.associate(node.host, node.port, ae_title=node.title, tls_args=tls)
    if not association.is_established:
        raise OutputError(_why_not(association))
    try:
        yield association
        association.release()
    finally:
        if association.is_established:
            association.abort()


def _why_not(association: Association) -> str:
    """Return why there is no association."""
    if association.is_rejected:
        return "the archive refused us; check both application entity titles and that it knows ours"
    if association.rejected_contexts:
        return "the archive takes none of these kinds of objects; ask its administrator"
    return "the archive cannot be reached; check its host, port and TLS settings"


@contextlib.contextmanager
def _as_stored() -> Iterator[None]:
    """Make pynetdicom send files in pieces as they are, not decoded and encoded again as a whole."""
    before = _config.STORE_SEND_CHUNKED_DATASET
    _config.STORE_SEND_CHUNKED_DATASET = True
    try:
        yield
    finally:
        _config.STORE_SEND_CHUNKED_DATASET = before


def _store(association: Association, path: Path, count: int, total: int) -> int:
    """Send one file; return its status: 0, or one that says it was stored with a warning."""
    try:
        answer = association.send_c_store(path)
    # no accepted presentation context; the text would name the file's SOP class at length
    except ValueError:
        raise _refused(count, total, "it does not take this kind of object") from None
    # the connection is gone, or the file
    except (RuntimeError, AttributeError, OSError):
        raise _refused(count, total, "the connection broke") from None
    status = answer.get("Status")
    if status is None:
        raise _refused(count, total, "the connection broke or it did not answer in time")
    # PS3.4 Table B.2-1: B000, B006 and B007 are warnings, the object is stored
    if status != 0 and status not in (0xB000, 0xB006, 0xB007):
        raise _refused(count, total, _STORE_REASONS.get(status >> 8, f"it answered with status {status:04X}"))
    return int(status)


# by the upper byte of the status: PS3.4 Table B.2-1, PS3.7 Annex C
_STORE_REASONS = {
    0xA7: "it is out of resources",
    0xA9: "the object does not match its SOP class",
    0x01: "it does not permit this or does not take this kind of object",
    **dict.fromkeys(range(0xC0, 0xD0), "it cannot understand the object"),
}


def _refused(count: int, total: int, reason: str) -> OutputError:
    """Return the error for an archive that stopped in the middle."""
    return OutputError(
        f"the archive did not store file {count + 1} of {total} ({reason}); {count} were stored before it, "
        "ask the archive's administrator and send again"
    )


class _Bearer(requests.auth.AuthBase):
    """Adds a token to requests. As an auth object it goes into no log and is dropped on a redirect to another host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _TlsAdapter(requests.adapters.HTTPAdapter):
    """Makes HTTPS connections with our TLS context, where requests would trust a list of its own in addition."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **options)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        return super().proxy_manager_for(*args, ssl_context=self._context, **options)

    def cert_verify(self, *args: Any, **options: Any) -> None:
        """Add no certificates to those of the context."""


def _session(server: WebServer) -> requests.Session:
    """Return an HTTP session with the server's TLS and token settings."""
    session = requests.Session()
    # only proxies come from the environment: its certificates and passwords would override the given ones
    session.trust_env = False
    session.proxies = requests.utils.get_environ_proxies(server.url)
    session.verify = server.tls.verify
    if server.url.startswith("https"):
        session.mount("https://", _TlsAdapter(server.tls.context()))
    if server.token:
        session.auth = _Bearer(server.token)
    return session


def _stow(client: DICOMwebClient, path: Path, count: int, total: int) -> Dataset:
    """Send one file; return the archive's answer (PS3.18 10.5.3.2)."""
    try:
        # the library that the client tries again with logs the traceback of every error
        with quiet_dicom(), silent_loggers("retrying"):
            return client.store_instances([dcmread(path)])
    except requests.HTTPError as error:
        code = error.response.status_code if error.response is not None else 0
        reason = _HTTP_REASONS.get(code, f"it answered with HTTP status {code}")
    except requests.exceptions.SSLError:
        reason = "its certificate is not trusted; name the certificate file to trust it by"
    except requests.Timeout:
        reason = "it did not answer in time"
    # an answer that is neither DICOM JSON nor XML; requests' own JSON error is a RequestException too
    except (requests.JSONDecodeError, ValueError, KeyError, TypeError, SyntaxError):
        reason = "its answer is not DICOMweb; check its address"
    except requests.RequestException:
        reason = "it cannot be reached; check its address"
    raise _refused(count, total, reason)


_HTTP_REASONS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "it wants a token, or another one",
    HTTPStatus.FORBIDDEN: "the token does not permit storing",
    HTTPStatus.NOT_FOUND: "there is no DICOMweb service at its address",
    HTTPStatus.CONFLICT: "it stored none of the object",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the object is too large for it",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "it does not take this transfer syntax",
}
