"""Operators and panels of the FiftyOne App."""
