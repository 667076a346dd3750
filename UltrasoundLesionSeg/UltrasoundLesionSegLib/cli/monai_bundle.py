"""What ``python -m monai.bundle run`` does with a bundle: a folder of frames and a seed or a click in, masks out.

Each bundle's ``configs/inference.json`` names ``BundleRun`` under ``job`` and calls its ``run``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from UltrasoundLesionSegLib.cine import Anchor, Cine
from UltrasoundLesionSegLib.engine.bundles import CLICK, PROPAGATE, read_bundle
from UltrasoundLesionSegLib.errors import FrameError, LesionSegError, SeedError
from UltrasoundLesionSegLib.readers.open import read_cine
from UltrasoundLesionSegLib.readers.seed_masks import read_seed_file
from UltrasoundLesionSegLib.writers.atomic import atomic_path
from UltrasoundLesionSegLib.writers.masks import davis_palette, label_map

if TYPE_CHECKING:
    import torch
    from monai.inferers import Inferer


class BundleRun:
    """Inference with one bundle, as MONAI's configuration parser builds it.

    Parameters
    ----------
    bundle_root : str
        The bundle's folder.
    frames : str
        Folder of frames as pictures, in the order of their names, or any other cine that the package reads.
    output : str
        Folder for the masks ``00000.png``, ``00001.png``, ...: 0 is background, k is lesion k. A frame that cannot be
        read has no mask.
    device : torch.device
    inferer : monai.inferers.Inferer
        As configured; used by models that propagate.
    seed : str
        File with masks of the lesions on one frame (PNG, NRRD, .seg.nrrd). Only models that propagate need one.
    seed_frame : int
        Zero-based frame on which the masks were drawn, where the file does not say it.
    point : sequence of float
        (row, column) of a point in the lesion, in pixels. Only models that draw from clicks need one.
    point_frame : int
        Zero-based frame of the point; only the mask of this frame is written.
    """

    def __init__(
        self,
        bundle_root: str,
        frames: str,
        output: str,
        device: torch.device,
        inferer: Inferer,
        seed: str = "",
        seed_frame: int = 0,
        point: Sequence[float] = (),
        point_frame: int = 0,
    ) -> None:
        self._root = Path(bundle_root).resolve()
        self._frames = Path(frames)
        self._output = Path(output)
        self._device = device
        self._inferer = inferer
        self._seed = seed
        self._seed_frame = seed_frame
        self._point = tuple(point)
        self._point_frame = point_frame

    def run(self) -> list[Path]:
        """Segment every frame, or the clicked one, and write the masks.

        Returns
        -------
        list of Path
            Files of the masks, in the order of the frames.

        Raises
        ------
        SystemExit
            With one sentence, when bundle, frames, seed or point cannot be used: MONAI's command line prints it and
            ends.
        """
        try:
            bundle = read_bundle(self._root)
            cine = read_cine(self._frames)
            network = bundle.load_for_inference(self._device)
            if bundle.role == PROPAGATE:
                masks = self._propagated(cine, network)
            elif bundle.role == CLICK:
                masks = {self._point_frame: self._clicked(cine, network, bundle.input_size)}
            else:
                masks = self._suggested(cine, network, bundle.input_size)
            return [self._write(frame, masks[frame]) for frame in sorted(masks)]
        except LesionSegError as error:
            raise SystemExit(f"error: {error}") from None

    def _write(self, frame: int, masks: NDArray[np.bool_]) -> Path:
        """Write the masks of a frame, bool (K, H, W), as one label image; returns its file."""
        image = Image.fromarray(label_map(masks))
        image.putpalette(davis_palette())
        target = self._output / f"{frame:05d}.png"
        with atomic_path(target) as temporary:
            image.save(temporary, format="PNG")
        return target

    def _propagated(self, cine: Cine, network: Any) -> Mapping[int, NDArray[np.bool_]]:
        """Return the masks propagated from the seed, bool (K, H, W) by frame."""
        from UltrasoundLesionSegLib.engine.propagation import PropagationInputs
        from UltrasoundLesionSegLib.engine.stretches import Direction, plan_stretches

        anchors = self._anchors(cine)
        count = 1 + max(anchor.lesion for anchor in anchors)
        masks: dict[int, NDArray[np.bool_]] = {}
        for anchor in anchors:
            masks.setdefault(anchor.frame, np.zeros((count, *cine.shape), np.bool_))[anchor.lesion] = anchor.mask

        def known(frame: int) -> NDArray[np.bool_]:
            return masks.get(frame, np.zeros((count, *cine.shape), np.bool_)).copy()

        plan = plan_stretches(anchors, Direction.BOTH, range(len(cine)))
        for result in self._inferer(PropagationInputs(cine, count, plan, known), network):
            if result.error:
                print(f"{result.error}; it has no mask")
                continue
            masks[result.frame] = result.masks
        return masks

    def _anchors(self, cine: Cine) -> list[Anchor]:
        """Return the seed of each lesion in the file of masks."""
        if not self._seed:
            raise SeedError("this model needs a seed: --seed MASK --seed_frame FRAME")
        found = read_seed_file(self._seed, cine.shape, count=len(cine))
        anchors = []
        for frame_in_file, labels in found.masks.items():
            frame = self._seed_frame if frame_in_file is None else frame_in_file
            for label in np.unique(labels[labels > 0]):
                anchor = Anchor(int(label) - 1, frame, labels == label)
                anchor.check_against(cine)
                anchors.append(anchor)
        return anchors

    def _suggested(self, cine: Cine, network: Any, input_size: int) -> Mapping[int, NDArray[np.bool_]]:
        """Return the mask that the model proposes on each frame for itself, bool (1, H, W) by frame."""
        from UltrasoundLesionSegLib.engine.suggestion import suggest_mask

        masks: dict[int, NDArray[np.bool_]] = {}
        for index in range(len(cine)):
            try:
                masks[index] = suggest_mask(cine.frames[index], network, input_size, self._device)[None]
            except FrameError as error:
                print(f"{error}; it has no mask")
        return masks

    def _clicked(self, cine: Cine, network: Any, input_size: int) -> NDArray[np.bool_]:
        """Return the mask that the model draws around the point, bool (1, H, W)."""
        from UltrasoundLesionSegLib.engine.click_prompt import Click
        from UltrasoundLesionSegLib.engine.clicking import ClickDrawing

        if len(self._point) != 2:
            raise SeedError("this model needs a point in the lesion: --point '[ROW, COLUMN]' --point_frame FRAME")
        row, column = self._point
        if not 0 <= self._point_frame < len(cine):
            raise SeedError(f"the cine has no frame {self._point_frame}; its frames are 0 to {len(cine) - 1}")
        if not (0 <= row < cine.height and 0 <= column < cine.width):
            raise SeedError(f"the point lies outside the frames of {cine.height} x {cine.width} pixels")
        drawing = ClickDrawing(cine.frames[self._point_frame], network, input_size, self._device)
        return drawing.mask([Click(row, column)])[None]
