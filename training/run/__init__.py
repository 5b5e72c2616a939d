"""A training run: its settings, its rounds, its processes."""
