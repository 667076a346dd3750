"""Segments a lesion through an ultrasound cine from one drawing: the module, its panel and its self test.

What the module does is in UltrasoundLesionSegLib: the panel's sections and the logic class in ``gui``, the work in
``workflow``. Slicer imports this file when it starts, so it imports nothing but Slicer's own modules.
"""

import logging
import unittest
from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

HOMEPAGE = "https://github.com/UltrasoundLesionSeg/SlicerUltrasoundLesionSeg"


class UltrasoundLesionSeg(ScriptedLoadableModule):
    """Describes the module to Slicer."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Ultrasound Lesion Segmentation")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Ultrasound")]
        parent.dependencies = ["Sequences", "Segmentations", "SubjectHierarchy", "Tables", "Plots"]
        parent.contributors = ["UltrasoundLesionSeg contributors"]
        parent.helpText = _(
            "Draw a lesion on one frame of an ultrasound cine, press Propagate, and get it on all frames, with "
            'measurements, for correction and export. See the <a href="{url}">tutorial</a>.'
        ).format(url=f"{HOMEPAGE}/blob/main/Docs/tutorial.md")
        parent.acknowledgementText = _(
            "STPFNet: spatial-temporal progressive fusion for breast lesion segmentation in ultrasound videos. "
            "BaS: fast segmentation of breast lesions in ultrasound videos. Built on MONAI and PyTorch."
        )
        if not hasattr(slicer.modules, "dicomPlugins"):  # this module may be found before Slicer's DICOM module
            slicer.modules.dicomPlugins = {}
        slicer.modules.dicomPlugins["UltrasoundLesionSegDICOMPlugin"] = makeDICOMPlugin
        slicer.app.connect("startupCompleted()", onStartupCompleted)


def __getattr__(name):
    """Give the logic class to ``from UltrasoundLesionSeg import UltrasoundLesionSegLogic``, made when asked for."""
    if name == "UltrasoundLesionSegLogic":
        return logicClass()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def logicClass():
    """Return the logic class: it brings numpy, which Slicer does not need for its start."""
    from UltrasoundLesionSegLib.gui.module_logic import UltrasoundLesionSegLogic

    return UltrasoundLesionSegLogic


def makeDICOMPlugin():
    """Return the plugin for Slicer's DICOM browser, made when the browser is first used."""
    from UltrasoundLesionSegLib.gui.dicom_plugin import UltrasoundLesionSegDICOMPlugin

    return UltrasoundLesionSegDICOMPlugin()


def onStartupCompleted():
    """Add the simulated sample cine to the Sample Data module, and the arrangements of views to Slicer's."""
    from UltrasoundLesionSegLib.gui import sample_data, view_layout

    icons = Path(__file__).parent / "Resources" / "Icons"
    sample_data.register(icons, lambda: logicClass()().loadSample())
    view_layout.register()


class UltrasoundLesionSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Puts the panel into Slicer's life cycle: scenes, parameter nodes, entering and leaving, reloading."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self._parameterNode = None
        self._binding = None

    def setup(self):
        """Make the panel; called when the module is opened for the first time or reloaded."""
        from UltrasoundLesionSegLib.gui.panel import Panel

        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/UltrasoundLesionSeg.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        self.logic = logicClass()()
        self.panel = Panel(uiWidget, self.ui, self.logic)
        self.panel.prepare()  # before the scene, so that the editor finds its settings there
        uiWidget.setMRMLScene(slicer.mrmlScene)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeRemoved)
        self.initializeParameterNode()
        if self.parent.isEntered:  # reloaded while shown: Slicer does not enter again
            self.enter()

    def cleanup(self):
        """Let go of everything; called before the module is reloaded and when the application ends."""
        self.setParameterNode(None)
        self.removeObservers()
        if self.panel is not None:
            self.panel.cleanup()
        self.panel = None
        if self.logic is not None:
            self.logic.release()

    def enter(self):
        """Show the present state; called each time the module is opened."""
        self.panel.prepare()
        self.initializeParameterNode()
        self.panel.enter()

    def exit(self):
        """Keep what was drawn and stop listening to keys; called each time another module is opened."""
        if self.panel is not None:
            self.panel.leave()

    def onSceneStartClose(self, caller, event):
        """Let go of the scene's nodes before they are removed."""
        self.panel.cancel()
        self.setParameterNode(None)
        self.panel.let_go()

    def onSceneEndClose(self, caller, event):
        """Start again in the empty scene; the memory of the old one is given back."""
        self.logic.release()
        if self.parent.isEntered:
            self.panel.prepare()
            self.initializeParameterNode()

    def onSceneEndImport(self, caller, event):
        """Show what a scene that was just read brought."""
        if self.parent.isEntered:
            self.panel.prepare()
            self.initializeParameterNode()
            self.panel.scene_was_read()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeRemoved(self, caller, event, node):
        """Work with a new parameter node when somebody deletes the present one: that one names no nodes any more."""
        isOurs = self._parameterNode is not None and node is self._parameterNode.parameterNode
        if isOurs and not caller.IsClosing():
            self.panel.later(self.initializeParameterNode)

    def initializeParameterNode(self):
        """Make sure that there is a parameter node and choose the first cine if none is chosen."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.browser:
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
            if first is not None:
                self._parameterNode.browser = first

    def setParameterNode(self, inputParameterNode):
        """Bind the panel to another parameter node, or to none."""
        from UltrasoundLesionSegLib.gui.parameter_binding import ParameterBinding

        if self._parameterNode:
            self._binding.end()
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        self._parameterNode = inputParameterNode
        if self._parameterNode:
            self._binding = ParameterBinding(self._parameterNode, self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)
        if self.panel is not None:
            self.panel.use_parameters(self._parameterNode)

    def onParametersModified(self, caller=None, event=None):
        """Show the cine that is chosen now."""
        if self.panel is not None:
            self.panel.follow_parameters()


class UltrasoundLesionSegTest(ScriptedLoadableModuleTest):
    """Tests the module inside Slicer; also run by ctest in a build of Slicer."""

    def setUp(self):
        """Start from an empty scene; without what the sample cine needs there is nothing to test."""
        slicer.mrmlScene.Clear()
        self.needModules("cv2")

    def runTest(self):
        """Run all tests."""
        for test in (self.test_DrawAndMeasure, self.test_Propagate, self.test_SaveAndLoad):
            try:
                self.setUp()
                test()
            except unittest.SkipTest as reason:
                logging.warning("%s was not run: %s", test.__name__, reason)

    def test_DrawAndMeasure(self):
        """A drawn lesion is an anchor, survives browsing and is measured in mm."""
        self.delayDisplay("Draw and measure")
        logic = logicClass()()
        browser = logic.loadSample()
        segment, frames = next(iter(logic.anchors(browser).items()))
        self.assertEqual(frames, [0])
        for frame in range(browser.GetNumberOfItems()):
            browser.SetSelectedItemNumber(frame)
        self.assertEqual(logic.anchors(browser), {segment: [0]})
        measured = logic.measure(browser)
        self.assertEqual(len(measured.segments), 1)
        area = measured.segments[0].measurements[0].area
        self.assertGreater(area, 1.0)
        self.assertLess(area, 2000.0)
        self.assertEqual(measured.frame_table.GetNumberOfRows(), 1)

    def test_Propagate(self):
        """Propagation fills the other frames, leaves the anchor as it is, and can be taken back."""
        self.delayDisplay("Propagate")
        self.needModules("torch", "monai", "safetensors")
        logic = logicClass()()
        browser = logic.loadSample()
        segment = next(iter(logic.anchors(browser)))
        drawn = slicer.util.arrayFromSegmentBinaryLabelmap(logic.segmentationNode(browser), segment)
        summary = logic.propagate(browser, frames=(0, 5), device="cpu")
        self.assertEqual(summary.frames_computed, [1, 2, 3, 4])
        after = slicer.util.arrayFromSegmentBinaryLabelmap(logic.segmentationNode(browser), segment)
        self.assertEqual((drawn != after).sum(), 0)
        self.assertNotIn(1, logic.reviewOrder(browser))  # the seed's neighbour
        logic.undoPropagation(browser)
        self.assertEqual(logic.reviewOrder(browser), [])

    def test_SaveAndLoad(self):
        """A scene that is saved and loaded has its anchors again."""
        self.delayDisplay("Save and load")
        logic = logicClass()()
        anchors = logic.anchors(logic.loadSample())
        path = Path(slicer.app.temporaryPath) / "UltrasoundLesionSegTest.mrb"
        self.assertTrue(slicer.util.saveScene(str(path)))
        slicer.mrmlScene.Clear()
        slicer.util.loadScene(str(path))
        path.unlink()
        browser = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
        self.assertIsNotNone(browser)
        self.assertEqual(logicClass()().anchors(browser), anchors)

    def needModules(self, *names):
        """Skip the test, and say so, when Python modules are not installed."""
        from importlib.util import find_spec

        missing = [name for name in names if find_spec(name) is None]
        if missing:
            self.skipTest(f"not installed: {', '.join(missing)}")
