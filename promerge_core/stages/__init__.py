"""ProMerge on the patch grid: prompting, background, pruning, merging, scores."""
