"""Masks into a field of a dataset."""
