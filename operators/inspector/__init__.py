"""The panel `promerge_inspector`."""
