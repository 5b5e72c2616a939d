"""Generators and detectors as FiftyOne models."""
