"""A copy of a model with other settings, to compare with the original.

``python -m UltrasoundLesionSegLib.evaluation.variants MODEL NAME --models FOLDER --set propagation.window_margin=2.5``
copies a bundle into a folder; with that folder in ``ULS_MODELS`` the copy is evaluated by its name.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.engine.bundles import Bundle, find_bundle, read_bundle
from UltrasoundLesionSegLib.errors import ModelError


def make_variant(
    model: str, name: str, models: Path, changes: list[str], network: dict[str, Any] | None = None
) -> Bundle:
    """Copy a bundle under another name, with other metadata.

    Parameters
    ----------
    model : str
        The bundle to copy.
    name : str
        Of the copy.
    models : Path
        Folder the copy is put into; an older copy of that name is replaced.
    changes : list of str
        ``key=JSON value`` with dots for nesting, in the metadata.
    network : dict or None
        Arguments of the network to change; the weights are then left out, to be trained again.

    Raises
    ------
    ModelError
        When the model is unknown, a key is not there, or the result is no sound bundle.
    """
    source, target = find_bundle(model).folder, models / name
    if target.is_dir():
        shutil.rmtree(target)
    shutil.copytree(source, target)
    metadata = target / "configs" / "metadata.json"
    content = json.loads(metadata.read_text(encoding="utf-8"))
    for change in changes:
        key, _, value = change.partition("=")
        *outer, last = key.split(".")
        place = content
        for step in outer:
            place = place.get(step, {})
        if last not in place:
            raise ModelError(f"the model's metadata have no setting named {key}; name one that is there")
        place[last] = json.loads(value)
    metadata.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if network:
        inference = target / "configs" / "inference.json"
        description = json.loads(inference.read_text(encoding="utf-8"))
        description["network_def"] |= network
        inference.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(target / "models", ignore_errors=True)
    return read_bundle(target)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("name")
    parser.add_argument("--models", type=Path, required=True, help="folder of the variants")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change in the metadata")
    parser.add_argument(
        "--network", type=json.loads, help="JSON of network arguments to change; leaves the weights out"
    )
    chosen = parser.parse_args()
    make_variant(chosen.model, chosen.name, chosen.models, chosen.set, chosen.network)


if __name__ == "__main__":
    main()
