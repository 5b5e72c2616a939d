"""What trains a detector: torchvision or detectron2."""
