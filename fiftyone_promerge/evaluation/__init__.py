"""COCO AP and AR as FiftyOne evaluation runs."""
