"""Trained detectors as files, read without executing anything in them."""
