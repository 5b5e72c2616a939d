"""Seconds and memory of each stage."""
