"""The six benchmarks of the ProMerge paper."""
