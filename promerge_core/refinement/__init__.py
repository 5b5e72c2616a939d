"""The dense CRF that fits masks to the image."""
