"""The parts of the module's panel: one section a file. Only this room and UltrasoundLesionSeg.py import qt."""
