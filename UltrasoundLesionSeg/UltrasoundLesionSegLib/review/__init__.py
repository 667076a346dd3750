"""What people did to the cases of a batch folder: their anchors, their verdicts, the list of what is left to do."""
