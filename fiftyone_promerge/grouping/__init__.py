"""Masks -> vectors, groups, names."""
