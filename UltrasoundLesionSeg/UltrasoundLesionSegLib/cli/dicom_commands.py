"""The commands ``make-dicom``, which makes a DICOM image of a video, and ``send``, which sends files to an archive."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from UltrasoundLesionSegLib.errors import OutputError


def make_dicom(
    source: Annotated[Path, typer.Argument(help="Video file, folder of frames, NRRD, MHA or NIfTI.")],
    output: Annotated[Path, typer.Option(help="DICOM file to write; none may be there yet.")],
    patient: Annotated[
        Path,
        typer.Option(help="JSON file: patient_name, patient_id; birth_date, sex, study_date, accession_number, ..."),
    ],
    body_part: Annotated[str, typer.Option(help="Body Part Examined, for example BREAST; empty if unknown.")] = "",
    laterality: Annotated[str, typer.Option(help="L or R; empty if unknown.")] = "",
    lossless: Annotated[bool, typer.Option(help="RLE instead of JPEG.")] = False,
    frame_rate: Annotated[
        float | None, typer.Option(help="Frames a second, if the source does not say when its frames were taken.")
    ] = None,
) -> None:
    """Make an ultrasound multi-frame DICOM image of a video, so that a SEG can refer to it."""
    from UltrasoundLesionSegLib.dicom.patient import read_patient
    from UltrasoundLesionSegLib.dicom.ultrasound_image import with_frame_rate, write_ultrasound_image
    from UltrasoundLesionSegLib.readers.open import read_cine

    if output.exists():  # it may be the video itself, or an image that SEGs refer to
        raise OutputError("the output exists already and is not replaced; give a name that is free")
    cine, whose = read_cine(source), read_patient(patient)
    if frame_rate is not None:
        cine = with_frame_rate(cine, frame_rate)
    write_ultrasound_image(cine, output, whose, lossless, body_part, laterality)
    typer.echo("the DICOM image is written; segment that file to get a DICOM SEG")


def send(
    files: Annotated[list[Path], typer.Argument(help="DICOM files, for example segmentation.dcm measurements.dcm.")],
    web: Annotated[str | None, typer.Option(help="Address of a DICOMweb service, to send by STOW.")] = None,
    token_variable: Annotated[
        str, typer.Option(help="Environment variable that holds the bearer token for --web.")
    ] = "ULS_DICOMWEB_TOKEN",
    host: Annotated[str | None, typer.Option(help="Host of an archive, to send by C-STORE.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the archive.")] = 104,
    title: Annotated[str, typer.Option(help="Application entity title of the archive.")] = "ANY-SCP",
    calling_title: Annotated[str, typer.Option(help="Our own application entity title.")] = "ULTRASOUNDSEG",
    tls: Annotated[bool, typer.Option(help="Use TLS for C-STORE; https addresses always do.")] = False,
    trusted: Annotated[Path | None, typer.Option(help="PEM file of certificates to trust.")] = None,
) -> None:
    """Send DICOM files to an archive, by DICOMweb (--web) or C-STORE (--host)."""
    from UltrasoundLesionSegLib.dicom.send import StoreNode, Tls, WebServer, send_by_store, send_by_web

    if (web is None) == (host is None):
        raise OutputError("it is not clear where to send the files; give either --web ADDRESS or --host NAME")
    trust = Tls(trusted=trusted)
    if web is not None:
        sent = send_by_web(files, WebServer(web, os.environ.get(token_variable, ""), trust))
    else:
        assert host is not None
        sent = send_by_store(files, StoreNode(host, port, title, calling_title, trust if tls else None))
    from UltrasoundLesionSegLib.report.wording import counted

    typer.echo(f"{counted(sent.stored, 'file')} stored, {sent.warned} of them with a warning")
