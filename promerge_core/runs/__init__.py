"""Masks for many images: sources, runs that resume, COCO json, shards."""
