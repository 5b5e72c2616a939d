"""The machine that a run has: its processors and its clock."""
