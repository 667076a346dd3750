"""Runs a scripted module's widget without the Slicer application: real Qt (PySide6), real MRML (slicer-core)."""
