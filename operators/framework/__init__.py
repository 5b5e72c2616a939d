"""What all operators have in common: forms, runs with live progress, outputs."""
