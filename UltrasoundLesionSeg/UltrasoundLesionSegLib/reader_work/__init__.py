"""A reader's work on one case as files: ``OUT/review/READER/CASE``. The machine never writes there."""
