"""Access to the models, each loaded once a device: a layer of the workflow class.

The method names are camelCase because Slicer's logic class inherits them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from UltrasoundLesionSegLib.workflow.scene_access import SceneAccess

if TYPE_CHECKING:
    from torch import device, nn

    from UltrasoundLesionSegLib.engine.bundles import Bundle


class ModelAccess(SceneAccess):
    """Finds bundles and keeps their networks."""

    def __init__(self) -> None:
        super().__init__()
        self._networks: dict[tuple[str, str], nn.Module] = {}  # by the bundle's SHA-256 and device

    def _release_all(self) -> None:
        super()._release_all()
        self._networks.clear()

    @staticmethod
    def _bundle(model: str | None, role: str) -> Bundle:
        from UltrasoundLesionSegLib.engine.bundles import default_bundle, find_bundle

        return default_bundle(role) if model is None else find_bundle(model, role)

    @staticmethod
    def _resolve_device(name: str) -> device:
        from UltrasoundLesionSegLib.engine.device import resolve_device

        return resolve_device(name)

    def _network(self, bundle: Bundle, device_name: str) -> Any:
        on = "openvino" if device_name == "openvino" else str(self._resolve_device(device_name))
        key = (bundle.sha256, on)
        if key not in self._networks:
            self._networks[key] = bundle.load_for_inference(on)
        return self._networks[key]
