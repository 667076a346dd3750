"""A model fitted to the reader's done cases by a process beside Slicer: started, followed and ended in the worklist."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt

from UltrasoundLesionSegLib.errors import LesionSegError, ModelError
from UltrasoundLesionSegLib.gui.host import Host
from UltrasoundLesionSegLib.gui.library_loading import import_steps
from UltrasoundLesionSegLib.gui.messages import Tone, reveal, sentence, tell, telling
from UltrasoundLesionSegLib.gui.own_model_folders import remember, use_remembered
from UltrasoundLesionSegLib.gui.repainting import run_repainting

if TYPE_CHECKING:
    from UltrasoundLesionSegLib.gui.adapt_process import AdaptProcess

LISTEN_EVERY_MS = 500
MODELS = "models"  # in the batch's folder


class OwnModel:
    """Fits a model while the reader works on; the process ends with the panel, and can be gone on with.

    Parameters
    ----------
    host : Host
    """

    def __init__(self, host: Host) -> None:
        self._host, self.ui = host, host.ui
        self._folder, self._reader, self._done = "", "", 0
        self._moves: dict[str, str] = {}
        self._bundles: list[Any] = []
        self._process: AdaptProcess | None = None
        self._models = Path()  # where the model that is being made will be
        use_remembered()
        self._timer = qt.QTimer(host.root)
        self._timer.setInterval(LISTEN_EVERY_MS)
        self._timer.connect("timeout()", self._listen)
        self.ui.ownModelCollapsibleButton.collapsed = True
        self.ui.adaptButton.connect("clicked(bool)", self.start_or_cancel)
        self.busy_changed()

    def show(self, folder: str, reader: str, done: int, moves: Mapping[Path, Path]) -> None:
        """Offer to learn from a reader's cases.

        Parameters
        ----------
        folder : str
            The batch's, '' where none is open.
        reader : str
        done : int
            Cases that the reader is done with.
        moves : mapping of Path to Path
            Folders of cines that were moved, former to present.
        """
        if folder != self._folder and folder and (Path(folder) / MODELS).is_dir():
            remember(Path(folder) / MODELS)
            self._host.models_changed()
        self._folder, self._reader, self._done = folder, reader, done
        self._moves = {str(before): str(now) for before, now in moves.items()}
        self.busy_changed()

    def list_models(self) -> None:
        """Offer the models to begin with; the one chosen before stays chosen."""
        from UltrasoundLesionSegLib.engine.bundles import default_bundle, list_bundles

        try:
            before = self._start.name if self._start is not None else default_bundle("propagate").name
            self._bundles = [bundle for bundle in list_bundles() if bundle.role == "propagate"]
        except LesionSegError as error:
            tell(self.ui.adaptLabel, sentence(str(error)), Tone.BAD)
            return
        box, names = self.ui.startModelComboBox, [bundle.name for bundle in self._bundles]
        box.clear()
        for bundle in self._bundles:
            box.addItem(bundle.title)
        box.currentIndex = names.index(before) if before in names else 0

    @property
    def _start(self) -> Any | None:
        index = self.ui.startModelComboBox.currentIndex
        return self._bundles[index] if 0 <= index < len(self._bundles) else None

    def busy_changed(self) -> None:
        """Offer what can be done: to start where there is something to learn from, to cancel what runs."""
        runs = self._process is not None
        self.ui.adaptButton.text = "Cancel" if runs else "Train"
        self.ui.adaptButton.enabled = runs or bool(self._folder and self._done)
        self.ui.adaptProgressBar.visible = runs
        for widget in (self.ui.startModelComboBox, self.ui.ownModelNameEdit, self.ui.ownModelMinutesSpinBox):
            widget.enabled = not runs

    def start_or_cancel(self) -> None:
        """What the button does."""
        if self._process is None:
            self._begin()
        else:
            self._end()
            tell(self.ui.adaptLabel, "Cancelled; what is done is kept. Train again under the same name to go on.")
            reveal(self.ui.adaptLabel)

    def _begin(self) -> None:
        if not self._host.offer("train", self.ui.adaptLabel):
            return
        run_repainting(import_steps("UltrasoundLesionSegLib.gui.adapt_process"))
        from UltrasoundLesionSegLib.batch.manifest import check_name
        from UltrasoundLesionSegLib.gui.adapt_process import AdaptProcess

        with telling(self.ui.adaptLabel):
            name, start = str(self.ui.ownModelNameEdit.text).strip(), self._start
            if not name:
                raise ModelError("the new model has no name; type one into the line beside the button")
            if start is None:
                raise ModelError("no model is installed to begin with; put a model bundle into the models folder")
            check_name(name, of="model")
            # no process makes samples beside it: that core is the reader's
            settings = {"start": start.name, "name": name, "device": self._host.device_name(), "workers": 0}
            settings["minutes"] = float(self.ui.ownModelMinutesSpinBox.value)
            self._models = Path(self._folder) / MODELS
            request = {"output": self._folder, "models": str(self._models), "reader": self._reader}
            self._process = AdaptProcess({**request, "settings": settings, "moves": self._moves})
            self.ui.adaptProgressBar.setRange(0, 0)
            self._timer.start()
            tell(self.ui.adaptLabel, f"Reading what reader {self._reader} is done with...")
        self.busy_changed()
        reveal(self.ui.adaptLabel)

    def _listen(self) -> None:
        """Show what the process has said since the last time."""
        messages = self._process.messages() if self._process is not None else []
        for message in messages:
            if "failed" in message:
                self._end()
                tell(self.ui.adaptLabel, sentence(str(message["failed"])), Tone.BAD)
            elif "is_better" in message:
                self._end()
                self._tell_outcome(message)
            else:
                self._show_progress(message)

    def _show_progress(self, message: Mapping[str, Any]) -> None:
        self.ui.adaptProgressBar.setRange(0, 100)
        self.ui.adaptProgressBar.value = int(100 * float(message["share"]))
        left = message["seconds_left"]
        text = sentence(str(message["sentence"]))
        tell(self.ui.adaptLabel, text if left is None else f"{text} About {max(1, round(left / 60))} min left.")

    def _tell_outcome(self, message: Mapping[str, Any]) -> None:
        text = " ".join(sentence(str(one)) for one in (message["sentence"], *message["notes"]))
        if message["is_better"]:
            remember(self._models)
            self._host.models_changed()
        tell(self.ui.adaptLabel, text, Tone.GOOD if message["is_better"] else Tone.PLAIN)

    def _end(self) -> None:
        """End the process and let go of it."""
        process, self._process = self._process, None
        self._timer.stop()
        if process is not None:
            process.end()
        self.busy_changed()

    def cleanup(self) -> None:
        """End the process: the panel is about to be destroyed."""
        self._end()
