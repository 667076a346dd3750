"""Models on disk: MONAI bundles found by name, read as data, checked and loaded.

A bundle is a folder with ``configs/metadata.json``, ``configs/inference.json`` and ``models/model.safetensors`` (or
``model.pt``, a plain state dict). Nothing in it is evaluated: its ``network_def`` may name one of this package's own
networks with plain values as arguments, its weights are tensors, and their SHA-256 must match the metadata. So a bundle
from anywhere can be dropped into the models folder, or into a folder named in the variable ``ULS_MODELS``.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from UltrasoundLesionSegLib.errors import ModelError

# imported late: torch takes seconds, and the list of models does not need it
if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from UltrasoundLesionSegLib.engine.expected_overlap import OverlapEstimate
    from UltrasoundLesionSegLib.engine.tracker import TrackerSettings

logger = logging.getLogger(__name__)

PROPAGATE, SUGGEST, CLICK = "propagate", "suggest", "click"
# entry of the metadata with the settings of a role
ROLE_OPTIONS = {PROPAGATE: "propagation", SUGGEST: "suggestion", CLICK: "clicking"}
# every network that a bundle may name, and its role
NETWORK_ROLES = {
    "UltrasoundLesionSegLib.engine.networks.stpfnet.STPFNet": PROPAGATE,
    "UltrasoundLesionSegLib.engine.networks.bas.BasPropagate": PROPAGATE,
    "UltrasoundLesionSegLib.engine.networks.bas.Bas": SUGGEST,
    "UltrasoundLesionSegLib.engine.networks.bas.BasClick": CLICK,
}
# the best on the validation clips of the models that are fast enough on a CPU (Docs/results)
DEFAULT_MODELS = {PROPAGATE: "stpfnet_light", SUGGEST: "bas_s", CLICK: "bas_s_click"}
OVERLAP = "expected_overlap"  # the configuration file of the expected overlap
WEIGHT_FILES = ("model.safetensors", "model.pt")
FOLDERS_VARIABLE = "ULS_MODELS"
# limits on the memory and time that a bundle of unknown origin can ask for
_LARGEST_CONFIGURATION = 2**24  # bytes
_LARGEST_NUMBER = 4096  # among a network's arguments
_LARGEST_NUMBERS = {"blocks": 64}  # lower limits: blocks are built before their parameters can be counted
_LARGEST_INPUT = 2048  # pixels
_MOST_PARAMETERS = 200_000_000
_MOST_REMEMBERED = 10_000  # frames
_DEEPEST = 16  # lists in lists
# what MONAI's configurations would evaluate ($), look up (@) or expand (%)
_EXPRESSIONS = ("$", "@", "%")


@dataclass(frozen=True)
class Bundle:
    """A model as its folder describes it; ``read_bundle`` makes it.

    Parameters
    ----------
    name : str
        The folder's name: what people ask for.
    title, description : str
        For people.
    role : str
        ``propagate``, ``suggest`` or ``click``.
    input_size : int
        Side of the network's input in pixels, a multiple of 16.
    version : str
    sha256 : str
        Of the weights, as the metadata says; '' while there are none.
    folder : Path
    network_def : mapping
        Checked ``network_def`` of ``configs/inference.json``: ``_target_`` and plain arguments.
    propagation : mapping
        The metadata's ``propagation``: defaults of the window and the memory; empty for other roles.
    """

    name: str
    title: str
    description: str
    role: str
    input_size: int
    version: str
    sha256: str
    folder: Path = field(repr=False)
    network_def: Mapping[str, Any] = field(repr=False)
    propagation: Mapping[str, Any] = field(repr=False)

    @property
    def weights(self) -> Path | None:
        """The weights' file, safetensors before state dict; None when there is none yet."""
        files = (self.folder / "models" / name for name in WEIGHT_FILES)
        return next((file for file in files if file.is_file()), None)

    def tracker_settings(self) -> TrackerSettings:
        """Return the settings of window and memory this model was trained for.

        Raises
        ------
        ModelError
            When the model does not propagate, or its settings are no settings.
        """
        from UltrasoundLesionSegLib.engine.memory import MemoryPolicy, MemorySettings
        from UltrasoundLesionSegLib.engine.tracker import TrackerSettings

        if self.role != PROPAGATE:
            raise ModelError(f"the model '{self.name}' is made to {self.role}, not to propagate; choose another model")
        values = dict(self.propagation)
        try:
            memory = dict(values.pop("memory", {}))
            if "policy" in memory:
                memory["policy"] = MemoryPolicy(memory["policy"])
            settings = TrackerSettings(memory=MemorySettings(**memory), **values)
            sensible = 1 <= settings.window_margin < math.inf and 0 < settings.smallest_side < math.inf
            sensible &= settings.memory.capacity <= _MOST_REMEMBERED
            sensible &= isinstance(settings.outline_correction, bool)
            sensible &= 0 <= settings.certainty_kept <= 1
        except (TypeError, ValueError) as error:
            raise _misdescribed(self.name, "propagation settings") from error
        if not sensible:
            raise _misdescribed(self.name, "propagation settings")
        return settings

    def overlap_estimate(self) -> OverlapEstimate:
        """Return what tells the expected overlap of this model's masks: its own file, or that of a model like it.

        A network that does not know a lesion again (``PropagationNetwork.appearance``) needs other curves than one that
        does, so the file of a shipped model with the same network is taken, and the default model's if there is none.

        Raises
        ------
        ModelError
            When the file is no estimate.
        """
        if not (self.folder / "configs" / f"{OVERLAP}.json").is_file():
            return default_overlap(self.network_def["_target_"])
        return _read_overlap(self.folder)

    def build_network(self) -> nn.Module:
        """Return the network this model describes, without its weights, in training mode on the CPU.

        Raises
        ------
        ModelError
            When its arguments do not fit it.
        """
        import torch

        module, _, name = self.network_def["_target_"].rpartition(".")
        arguments = {key: value for key, value in self.network_def.items() if key != "_target_"}
        kind = getattr(importlib.import_module(module), name)
        try:
            with torch.device("meta"):  # without memory, to see how large it is
                parameters = sum(one.numel() for one in kind(**arguments).parameters())
            if parameters > _MOST_PARAMETERS:
                raise ValueError(f"{parameters:,} parameters are too many")
            network: nn.Module = kind(**arguments)
        except Exception as error:  # wrong arguments can lead to any exception in the layers
            raise ModelError(
                f"the model '{self.name}' describes a network that cannot be built ({error}); correct its network_def"
            ) from error
        return network

    def load_network(self, device: torch.device | str = "cpu") -> nn.Module:
        """Return the network with its weights in float32, in evaluation mode.

        Parameters
        ----------
        device : torch.device or str

        Raises
        ------
        ModelError
            When the weights are missing, are not those the metadata vouches for, or do not fit the network.
        """
        from UltrasoundLesionSegLib.engine.weight_storage import restored_state

        tensors = self._read_weights()
        network = self.build_network()
        try:
            network.load_state_dict(restored_state(tensors, self.name))
        except (RuntimeError, AttributeError, TypeError, ValueError, KeyError) as error:
            raise ModelError(
                f"the weights of the model '{self.name}' do not fit the network it describes; install it again"
            ) from error
        return network.eval().to(device)

    def load_for_inference(self, device: torch.device | str = "cpu") -> nn.Module:
        """Return the network as ``load_network`` does, in the form it is run in: faster, and not to be trained.

        Parameters
        ----------
        device : torch.device or str
            What ``resolve_device`` takes; ``openvino`` gives a network that OpenVINO computes.

        Raises
        ------
        ModelError
            As ``load_network`` does.
        DeviceError
            When the device is not there.
        """
        from UltrasoundLesionSegLib.engine.device import OPENVINO, resolve_device
        from UltrasoundLesionSegLib.engine.networks.fused import fuse
        from UltrasoundLesionSegLib.engine.openvino_backend import compiled

        network = self.load_network(resolve_device(str(device)))
        return compiled(network) if str(device) == OPENVINO else fuse(network)

    def _read_weights(self) -> Mapping[str, Tensor]:
        file = self.weights
        if file is None:
            raise ModelError(f"the model '{self.name}' has no weights; train it or install it again")
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ModelError(f"the weights of the model '{self.name}' cannot be read; install it again") from error
        if hashlib.sha256(content).hexdigest() != self.sha256.lower():
            raise ModelError(
                f"the weights of the model '{self.name}' are damaged or not its own: their SHA-256 is not the one its "
                "metadata names; install it again"
            )
        import torch
        from safetensors.torch import load

        try:
            if file.suffix == ".safetensors":
                return load(content)
            state: Mapping[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            return dict(state)
        except Exception as error:  # both readers raise many kinds of exceptions for a damaged file
            raise ModelError(
                f"the weights of the model '{self.name}' are no plain tensors; save them as safetensors or a state dict"
            ) from error


def models_folder() -> Path:
    """Return the folder of the bundles that came with the code: in a wheel, a Slicer install or a checkout.

    Raises
    ------
    ModelError
        When it is not there.
    """
    package = Path(__file__).resolve().parents[1]
    for parent in (package, package.parent, package.parent.parent):
        folder = parent / "Resources" / "Models"
        if folder.is_dir():
            return folder
    raise ModelError("the folder of models did not come with this installation; install it again")


def list_bundles() -> list[Bundle]:
    """Return all bundles whose weights are there, by name; those that came with the code first.

    A folder that is no sound bundle is left out, with a warning in the log; ``find_bundle`` says what is wrong with it.
    """
    bundles = []
    for folder in _bundle_folders():
        try:
            bundle = read_bundle(folder)
        except ModelError as error:
            logger.warning("%s", error)
            continue
        if bundle.weights is not None:
            bundles.append(bundle)
    return bundles


def find_bundle(name: str, role: str = "") -> Bundle:
    """Return the bundle of that name.

    Parameters
    ----------
    name : str
    role : str
        What it must be made to do (``propagate``, ``suggest`` or ``click``); anything when left out.

    Raises
    ------
    ModelError
        When there is none, there are two, it is not a sound bundle, or it has another role.
    """
    folders = [folder for folder in _bundle_folders() if folder.name == name]
    if not folders:
        raise ModelError(f"the model '{name}' is unknown; choose one of: {_names(role)}")
    if len(folders) > 1:
        raise ModelError(f"there are {len(folders)} models named '{name}'; rename the folder of one of them")
    bundle = read_bundle(folders[0])
    if role and bundle.role != role:
        raise ModelError(f"the model '{name}' is made to {bundle.role}, not to {role}; choose one of: {_names(role)}")
    return bundle


def _names(role: str) -> str:
    """Return the names of the models with a role, of all for '', as a sentence lists them."""
    return ", ".join(bundle.name for bundle in list_bundles() if role in ("", bundle.role)) or "none"


def default_bundle(role: str) -> Bundle:
    """Return the bundle to use for a role (``propagate``, ``suggest`` or ``click``) when none is named.

    Raises
    ------
    ModelError
        When no bundle of that role is there.
    """
    bundles = [bundle for bundle in list_bundles() if bundle.role == role]
    if not bundles:
        raise ModelError(f"no model that can {role} is installed; train one or install it again")
    return next((bundle for bundle in bundles if bundle.name == DEFAULT_MODELS[role]), bundles[0])


def default_overlap(network: str = "") -> OverlapEstimate:
    """Return the estimate of the expected overlap for models that bring none.

    Parameters
    ----------
    network : str
        The network's class with its modules, as ``network_def`` names it. The estimate is that of a shipped model with
        this network, or else of the default model.

    Raises
    ------
    ModelError
        When it is not there.
    """
    default = models_folder() / DEFAULT_MODELS[PROPAGATE]
    shipped = (file.parents[1] for file in sorted(models_folder().glob(f"*/configs/{OVERLAP}.json")))
    alike = (folder for folder in (default, *shipped) if read_bundle(folder).network_def["_target_"] == network)
    return _read_overlap(next(alike, default))


def _read_overlap(folder: Path) -> OverlapEstimate:
    from UltrasoundLesionSegLib.engine.expected_overlap import OverlapEstimate

    try:
        return OverlapEstimate.from_json(_read_json(folder, OVERLAP))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _misdescribed(folder.name, "estimate of the expected overlap") from error


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle's description; its weights are neither needed nor read.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    ModelError
        When a file is missing or no JSON, a field is missing, or the network is not one of this package's own.
    """
    metadata = _read_json(folder, "metadata")
    network_def = checked_network_def(_read_json(folder, "inference").get("network_def"), folder.name)
    role = NETWORK_ROLES[network_def["_target_"]]
    try:
        options: dict[str, Any] = metadata[ROLE_OPTIONS[role]]
        input_size = options["input_size"]
        if not isinstance(input_size, int) or not 16 <= input_size <= _LARGEST_INPUT or input_size % 16:
            raise _misdescribed(folder.name, "input size (a multiple of 16)")
        return Bundle(
            name=folder.name,
            title=str(metadata.get("name", folder.name)),
            description=str(metadata["description"]),
            role=role,
            input_size=input_size,
            version=str(metadata["version"]),
            sha256=str(metadata["weights"]["sha256"]),
            folder=folder,
            network_def=network_def,
            propagation=options if role == PROPAGATE else {},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise _misdescribed(folder.name, "metadata") from error


def checked_network_def(network_def: object, model: str) -> dict[str, Any]:
    """Return a ``network_def`` that names one of our networks and carries data alone.

    Raises
    ------
    ModelError
        Otherwise. Nothing is evaluated or imported to find out.
    """
    if not isinstance(network_def, dict) or network_def.get("_target_") not in [*NETWORK_ROLES]:
        names = ", ".join(target.rpartition(".")[2] for target in NETWORK_ROLES)
        raise ModelError(f"the model '{model}' does not name one of the networks known here ({names}); it is refused")
    arguments = {key: value for key, value in network_def.items() if key != "_target_"}
    if not all(
        not key.startswith("_") and _is_plain(value, _LARGEST_NUMBERS.get(key, _LARGEST_NUMBER))
        for key, value in arguments.items()
    ):
        raise ModelError(
            f"the model '{model}' has expressions, components or huge numbers among its network's arguments; "
            "give plain values"
        )
    return network_def


def _is_plain(value: object, largest: int, depth: int = 0) -> bool:
    """Tell whether a JSON value would be data to MONAI's configuration parser too, and of a sensible size."""
    if depth > _DEEPEST:
        return False
    if isinstance(value, dict):
        return all(not key.startswith("_") and _is_plain(one, largest, depth + 1) for key, one in value.items())
    if isinstance(value, list):
        return len(value) <= largest and all(_is_plain(one, largest, depth + 1) for one in value)
    if isinstance(value, (int, float)):
        return abs(value) <= largest
    return not (isinstance(value, str) and value.startswith(_EXPRESSIONS))


def _bundle_folders() -> list[Path]:
    """Return every folder that looks like a bundle: the shipped ones, then those of ``ULS_MODELS``, each by name."""
    parents = [models_folder()]
    for named in filter(None, os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)):
        if Path(named).is_dir():
            parents.append(Path(named))
        else:
            logger.warning("a folder of models named in %s is not there; correct the variable", FOLDERS_VARIABLE)
    return [file.parents[1] for parent in parents for file in sorted(parent.glob("*/configs/metadata.json"))]


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        with (folder / "configs" / f"{name}.json").open("rb") as file:
            content = json.loads(file.read(_LARGEST_CONFIGURATION))
    except (OSError, ValueError, RecursionError) as error:
        raise _misdescribed(folder.name, f"{name} configuration") from error
    if not isinstance(content, dict):
        raise _misdescribed(folder.name, f"{name} configuration")
    return content


def _misdescribed(model: str, what: str) -> ModelError:
    return ModelError(f"the {what} of the model '{model}' is missing or not valid; correct or install the model again")
