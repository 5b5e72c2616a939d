"""The engine `torchvision`."""
