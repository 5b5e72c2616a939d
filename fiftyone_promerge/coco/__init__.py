"""Labels of a dataset as COCO annotations, and COCO files in and out."""
