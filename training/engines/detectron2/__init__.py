"""The engine `detectron2`."""
