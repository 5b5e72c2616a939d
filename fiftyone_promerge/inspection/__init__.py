"""How the masks of an image came to be, and the figures of a dataset."""
