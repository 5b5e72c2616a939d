"""The commands that make masks: `generate` without training, `predict` with a detector."""
