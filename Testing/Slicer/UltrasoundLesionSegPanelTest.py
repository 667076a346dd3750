"""The panel in a real Slicer: opened, used, left, reloaded, its scene closed and loaded. Run by ctest."""

import logging
import shutil
import tempfile
import time
import unittest
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import slicer

NEEDED_TO_PROPAGATE = ("torch", "monai", "safetensors")


def missing(*names):
    return [name for name in names if find_spec(name) is None]


@unittest.skipIf(missing("cv2"), "the sample cine needs opencv-python-headless")
class UltrasoundLesionSegPanelTest(unittest.TestCase):
    """What a user does, on Slicer's own widgets."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        slicer.util.selectModule("UltrasoundLesionSeg")

    @property
    def widget(self):
        return slicer.modules.UltrasoundLesionSegWidget

    def wait_until(self, happened, seconds=120):
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, "it takes too long"
            slicer.app.processEvents()

    def load_sample(self):
        self.widget.ui.loadSampleButton.click()
        self.wait_until(lambda: self.widget.ui.loadSampleButton.enabled)

    def test_the_sample_is_shown_with_its_anchor(self):
        self.load_sample()
        assert "60 frames" in self.widget.ui.cineInfoLabel.text
        assert "mm per pixel" in self.widget.ui.cineInfoLabel.text
        assert "on frame 0" in self.widget.ui.anchorsLabel.text
        browser = self.widget.ui.browserSelector.currentNode()
        assert browser is not None
        segmentation = self.widget.logic.segmentationNode(browser)
        assert self.widget.ui.segmentEditor.segmentationNode() is segmentation
        background = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode().GetBackgroundVolumeID()
        assert background == self.widget.logic.volumeNode(browser).GetID()

    def test_a_second_cine_is_alone_in_one_large_view(self):
        self.load_sample()
        first = self.widget.ui.browserSelector.currentNode()
        self.load_sample()
        second = self.widget.ui.browserSelector.currentNode()
        assert second is not first
        for browser, other in ((first, second), (second, first)):
            self.widget.ui.browserSelector.setCurrentNode(browser)
            slicer.app.processEvents()
            red = slicer.app.layoutManager().sliceWidget("Red")
            assert red.mrmlSliceCompositeNode().GetBackgroundVolumeID() == self.widget.logic.volumeNode(browser).GetID()
            assert self.widget.logic.segmentationNode(browser).GetDisplayNode().GetVisibility()
            assert not self.widget.logic.segmentationNode(other).GetDisplayNode().GetVisibility()
        ours = slicer.app.layoutManager().layout
        slicer.util.selectModule("Data")
        assert slicer.app.layoutManager().layout != ours

    def test_tables_and_charts_are_large_enough_to_read(self):
        self.load_sample()
        self.widget.ui.measureButton.click()
        self.widget.ui.chartButton.click()
        slicer.app.processEvents()
        manager = slicer.app.layoutManager()
        assert manager.plotViewCount >= 2
        for number in range(2):
            assert manager.plotWidget(number).height > 120
        self.widget.ui.chartButton.click()

    def test_a_drawing_survives_the_next_frame(self):
        import numpy as np

        self.load_sample()
        browser = self.widget.ui.browserSelector.currentNode()
        browser.SetSelectedItemNumber(5)
        segmentation = self.widget.logic.segmentationNode(browser)
        volume = self.widget.logic.volumeNode(browser)
        mask = np.zeros(slicer.util.arrayFromVolume(volume).shape, np.uint8)
        mask[0, 50:80, 60:90] = 1
        segment = segmentation.GetSegmentation().GetNthSegmentID(0)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment, volume)
        browser.SetSelectedItemNumber(6)
        browser.SetSelectedItemNumber(5)
        after = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment, volume)
        assert int((after != mask).sum()) == 0
        assert self.widget.logic.anchors(browser)[segment] == [0, 5]

    def computed(self, browser):
        """Return how many frames have a model's mask."""
        return sum(int(np.isfinite(one).sum()) for one in self.widget.logic.confidences(browser).values())

    def test_propagate_cancel_and_go_on(self):
        if missing(*NEEDED_TO_PROPAGATE):
            self.skipTest(f"not installed: {', '.join(missing(*NEEDED_TO_PROPAGATE))}")
        self.load_sample()
        browser = self.widget.ui.browserSelector.currentNode()
        self.widget.ui.propagateButton.click()
        self.wait_until(lambda: self.computed(browser) >= 3)
        self.widget.ui.propagateButton.click()
        assert self.widget.ui.propagateButton.text == "Propagate"
        assert self.computed(browser) < 59
        self.widget.ui.propagateButton.click()
        slicer.util.selectModule("Data")
        self.wait_until(lambda: self.computed(browser) == 59)

    def test_scenes_close_and_load_and_the_module_reloads(self):
        self.load_sample()
        path = Path(slicer.app.temporaryPath) / "UltrasoundLesionSegPanelTest.mrb"
        assert slicer.util.saveScene(str(path))
        slicer.mrmlScene.Clear()
        assert self.widget.ui.cineInfoLabel.text == "No cine is chosen."
        slicer.util.loadScene(str(path))
        path.unlink()
        assert "on frame 0" in self.widget.ui.anchorsLabel.text
        slicer.util.reloadScriptedModule("UltrasoundLesionSeg")
        assert "60 frames" in self.widget.ui.cineInfoLabel.text
        assert "on frame 0" in self.widget.ui.anchorsLabel.text

    def test_the_expected_effects_are_in_the_editor(self):
        names = self.widget.ui.segmentEditor.availableEffectNames()
        for effect in ("Paint", "Draw", "Erase", "Threshold", "Smoothing"):
            assert effect in names
        logging.info("effects: %s", ", ".join(names))

    def test_a_case_of_a_worklist_is_drawn_stored_and_left(self):
        import cv2

        from UltrasoundLesionSegLib.gui.worklist_section import FOLDER, READER
        from UltrasoundLesionSegLib.reader_work.store import ReviewFolder
        from UltrasoundLesionSegLib.review.worklist import begin

        settings = slicer.app.userSettings()
        before = {key: settings.value(key, "") for key in (FOLDER, READER)}
        folder = Path(tempfile.mkdtemp(dir=slicer.app.temporaryPath))
        rng = np.random.default_rng(0)
        for cine in ("a", "b"):
            (folder / "cines" / cine).mkdir(parents=True)
            for frame in range(5):
                picture = rng.integers(0, 200, (120, 160), dtype=np.uint8)
                cv2.imwrite(str(folder / "cines" / cine / f"{frame:03d}.png"), picture)
        begin(folder / "cines", folder / "out")
        try:
            settings.setValue(FOLDER, str(folder / "out"))
            settings.setValue(READER, "T")
            slicer.util.reloadScriptedModule("UltrasoundLesionSeg")
            self.work_through(ReviewFolder(folder / "out"))
        finally:
            for key, value in before.items():
                settings.setValue(key, value)
            shutil.rmtree(folder, ignore_errors=True)

    def work_through(self, reviews):
        """Open the first case, draw, and go to the next one."""
        ui = self.widget.ui
        ui.worklistCollapsibleButton.collapsed = False
        slicer.app.processEvents()
        model = ui.worklistTableView.model()
        assert model.rowCount() == 2
        first = model.data(model.index(0, 0))
        ui.nextCaseButton.click()
        self.wait_until(lambda: first in ui.openCaseLabel.text)
        browser = ui.browserSelector.currentNode()
        segmentation, volume = self.widget.logic.segmentationNode(browser), self.widget.logic.volumeNode(browser)
        mask = np.zeros(slicer.util.arrayFromVolume(volume).shape, np.uint8)
        mask[0, 30:60, 40:80] = 1
        segment = segmentation.GetSegmentation().GetNthSegmentID(0)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment, volume)
        self.wait_until(lambda: reviews.work("T", first).record() is not None)
        (anchor,) = reviews.work("T", first).anchors()
        assert anchor.frame == 0
        assert int((anchor.mask != mask[0].astype(bool)).sum()) == 0
        ui.nextCaseButton.click()
        self.wait_until(lambda: ui.openCaseLabel.text and first not in ui.openCaseLabel.text)
        assert model.data(model.index(0, 2)) == "in work"
        ui.closeCaseButton.click()
        assert ui.browserSelector.currentNode() is None
        assert not reviews.work("T", first).is_held()
