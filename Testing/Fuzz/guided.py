"""Coverage-guided fuzzing (atheris) of what is parsed in Python: headers of volumes, DICOM metadata, bundles, patients.

    .venv/bin/python Testing/Fuzz/guided.py nrrd --runs 20000 [--seed 1] [--corpus FOLDER]

libFuzzer changes the inputs by what code they reach, starting from the seeds of ``seeds.py``. It stops at the first
exception that is not one of ours, at 20 s for one input, or at 2 GB, and leaves that input in the working folder.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

with atheris.instrument_imports(include=["UltrasoundLesionSegLib", "pydicom"]):
    from seeds import all_seeds

    from UltrasoundLesionSegLib.batch import manifest
    from UltrasoundLesionSegLib.dicom import segmentation_reader, source
    from UltrasoundLesionSegLib.dicom.patient import read_patient
    from UltrasoundLesionSegLib.engine import bundles
    from UltrasoundLesionSegLib.errors import LesionSegError
    from UltrasoundLesionSegLib.readers import codestream, dicom_dates
    from UltrasoundLesionSegLib.readers.open import read_cine
    from UltrasoundLesionSegLib.readers.seed_masks import read_seed_file

FOLDER = Path(tempfile.mkdtemp(prefix="guided-"))
NRRD_PREFIX = b"NRRD0004\n"


def _file(content: bytes, name: str = "input") -> Path:
    path = FOLDER / name
    path.write_bytes(content)
    return path


def fuzz_nrrd(data: bytes) -> None:
    read_cine(_file(NRRD_PREFIX + data))


def fuzz_mask(data: bytes) -> None:
    read_seed_file(_file(NRRD_PREFIX + data), (24, 32))


def fuzz_meta_image(data: bytes) -> None:
    read_cine(_file(b"NDims = 3\n" + data))


def fuzz_dicom(data: bytes) -> None:
    """A DICOM file after its preamble, as a cine and as what outputs refer to."""
    source.DicomSource.from_cine(read_cine(_file(bytes(128) + b"DICM" + data)))


def fuzz_segmentation(data: bytes) -> None:
    segmentation_reader.read_segmentation(_file(bytes(128) + b"DICM" + data), read_cine(FOLDER / "cine.dcm"))


def fuzz_codestream(data: bytes) -> None:
    codestream.read_codestream(data)
    dicom_dates.seconds_of(data.decode("utf-8", "replace"))


def fuzz_bundle(data: bytes) -> None:
    """Both descriptions of a bundle: metadata, then after a null byte the configuration for inference."""
    folder = FOLDER / "model"
    (folder / "configs").mkdir(parents=True, exist_ok=True)
    metadata, _, inference = data.partition(b"\0")
    (folder / "configs" / "metadata.json").write_bytes(metadata)
    (folder / "configs" / "inference.json").write_bytes(inference)
    bundle = bundles.read_bundle(folder)
    if bundle.role == bundles.PROPAGATE:
        bundle.tracker_settings()


def fuzz_patient(data: bytes) -> None:
    read_patient(_file(data))


def fuzz_manifest(data: bytes) -> None:
    """A manifest as JSON where it looks like that, else as a table."""
    suffix = ".json" if data[:1] in (b"{", b"[") else ".csv"
    manifest.read_manifest(_file(data, f"manifest{suffix}"))


TARGETS: dict[str, tuple[Callable[[bytes], None], str, int]] = {
    # what it calls, the target of its seeds, and how much of a seed its prefix replaces
    "nrrd": (fuzz_nrrd, "cine", len(NRRD_PREFIX)),
    "mask": (fuzz_mask, "seed", len(NRRD_PREFIX)),
    "meta image": (fuzz_meta_image, "cine", 0),
    "dicom": (fuzz_dicom, "cine", 132),
    "segmentation": (fuzz_segmentation, "dicom seed", 132),
    "codestream": (fuzz_codestream, "cine", 0),
    "bundle": (fuzz_bundle, "bundle", 0),
    "patient": (fuzz_patient, "patient", 0),
    "manifest": (fuzz_manifest, "manifest", 0),
}


def write_corpus(target: str, folder: Path) -> None:
    """Write the seeds that suit a target, cut to what its prefix leaves."""
    _, kind, cut = TARGETS[target]
    for number, seed in enumerate(all_seeds(None, [kind])):
        if "cine.dcm" in seed.files:
            (FOLDER / "cine.dcm").write_bytes(seed.files["cine.dcm"])
        content = next(iter(seed.files.values()))
        if target == "bundle":
            parts = {name.rsplit("/", 1)[-1]: data for name, data in seed.files.items()}
            content = parts["metadata.json"] + b"\0" + parts["inference.json"]
        is_dicom, is_nrrd = content[128:132] == b"DICM", content.startswith(b"NRRD")
        if (target in ("dicom", "segmentation") and not is_dicom) or (target in ("nrrd", "mask") and not is_nrrd):
            continue
        (folder / f"seed-{number}").write_bytes(content[cut:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=[*TARGETS])
    parser.add_argument("--runs", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="Folder for the inputs that reached new code; a temporary one.")
    arguments = parser.parse_args()
    corpus = arguments.corpus or FOLDER / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    write_corpus(arguments.target, corpus)
    call = TARGETS[arguments.target][0]

    def one_input(data: bytes) -> None:
        with contextlib.suppress(LesionSegError):
            call(data)

    bounds = ["-timeout=20", "-rss_limit_mb=2048", "-max_len=16384", "-print_final_stats=1"]
    options = [f"-runs={arguments.runs}", f"-seed={arguments.seed}", *bounds]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
