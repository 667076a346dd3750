"""The command line: ``ultrasound-lesion-seg``."""
