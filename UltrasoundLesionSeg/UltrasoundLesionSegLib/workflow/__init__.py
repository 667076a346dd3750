"""The whole job on MRML nodes. ``UltrasoundLesionWorkflow`` is the way in."""

from UltrasoundLesionSegLib.workflow.workflow import UltrasoundLesionWorkflow as UltrasoundLesionWorkflow
