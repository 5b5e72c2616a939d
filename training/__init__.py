"""ProMerge+ and CutLER: class-agnostic detectors trained on masks that no human drew."""
