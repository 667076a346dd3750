"""Segmentation of lesions in ultrasound cines: readers, engine, measurements, DICOM, MRML.

Importing this package loads nothing heavy; each room imports what it needs when it is used.
"""

__version__ = "0.1.0"
