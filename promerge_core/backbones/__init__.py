"""Backbones: images -> one feature per patch."""
