"""Masks -> one vector each, by what they look like."""
