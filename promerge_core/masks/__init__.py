"""Instance masks: run-length encoding, components, resizing."""
